"""The sensor's own segments. However a file is damaged: counting it raises nothing, cutting it behind its last whole
block keeps what stood before and is stable, and what is left ends in observations or an InputError for the hub.
"""

import tempfile
from io import BytesIO
from pathlib import Path

from tests.capture.packets import request
from tests.capture.test_pcapng import observation, written

from relaytrap.capture import read_segment
from relaytrap.errors import InputError
from relaytrap.sensor.segment import whole_blocks
from relaytrap.sensor.spool_folder import cut_to_whole

PIECES = (b"\0\0\0\x06", b"\0\0\0\x20", b"\x0a\x0d\x0d\x0a", b'"part":2', b'"part":1,', bytes(12), b"\xff" * 4)
FOLDER = tempfile.TemporaryDirectory()
FILE = Path(FOLDER.name, "segment")


def seeds() -> list[bytes]:
    """Segments with one and several observations, and one in parts."""
    large = observation(request(body=b"x" * 70_000), transport="tcp")
    return [written(observation(request(1)), observation(request(2), direction="out")), written(large)]


def check(data: bytes) -> None:
    """Hold one input against the invariant."""
    FILE.write_bytes(data)
    blocks = whole_blocks(FILE)
    assert 0 <= blocks.received <= blocks.observations
    assert cut_to_whole(FILE) == blocks.observations
    left = FILE.read_bytes()
    assert data.startswith(left)
    assert whole_blocks(FILE) == blocks
    try:
        list(read_segment(BytesIO(left)))
    except InputError:
        return
