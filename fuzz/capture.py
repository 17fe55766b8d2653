"""Capture files. Reading any octets as a capture, or as a segment, ends in observations or an InputError: nothing else
is raised, what is held stays within its bound, and a segment written from what was read comes back exactly.
"""

import io

from tests.capture.scenes import captures

from relaytrap.capture import ReadOptions, SegmentWriter, read_capture, read_segment
from relaytrap.errors import InputError

BOUND = 1 << 18
SLACK = 1 << 17
"""One packet may go beyond the bound before something is given up."""
PIECES: tuple[bytes, ...] = ()


def seeds() -> list[bytes]:
    """A capture of everything the reader knows, of each kind."""
    return list(captures().values())


def check(data: bytes) -> None:
    """Hold one file against the invariant."""
    observations = []
    try:
        reader = read_capture(io.BytesIO(data), name="fuzz", sensor="fuzz", options=ReadOptions(max_held_bytes=BOUND))
        for observation in reader:
            observations.append(observation)
            assert reader.held <= BOUND * 6 // 4 + SLACK, reader.held
    except InputError:
        pass
    file = io.BytesIO()
    writer = SegmentWriter(file, sensor="fuzz")
    for observation in observations:
        writer.write(observation)
    assert list(read_segment(io.BytesIO(file.getvalue()))) == observations
    try:
        list(read_segment(io.BytesIO(data)))
    except InputError:
        pass
