#!/usr/bin/env python3
"""Invariant: reading any octets as a capture, or as a segment, ends in observations or an InputError: nothing else is
raised, what is held stays within its bound, every observation's octets came out of the file, and a segment written
from what was read comes back exactly.

    python fuzz/fuzz_capture.py [--seconds 60] [--seed N] [FILE...]

FILEs are read instead of mutated captures: that is how a failure, which is written to fuzz/corpus/, is looked at again.
With Atheris installed, `atheris.Setup(sys.argv, one_input)` drives `one_input` as well.
"""

import argparse
import io
import random
import sys
import time
from pathlib import Path

from relaytrap.capture import ReadOptions, SegmentWriter, read_capture, read_segment
from relaytrap.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / "fuzz" / "corpus" / "capture"
BOUND = 1 << 18
SLACK = 1 << 17
"""One packet may go beyond the bound before something is given up."""


def one_input(data: bytes) -> None:
    """Hold one file against the invariant."""
    observations = []
    try:
        reader = read_capture(io.BytesIO(data), name="fuzz", sensor="fuzz", options=ReadOptions(max_held_bytes=BOUND))
        for observation in reader:
            observations.append(observation)
            assert reader.held <= BOUND * 5 // 4 + SLACK, reader.held
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


def mutated(seeds: list[bytes], chance: random.Random) -> bytes:
    """A seed with some octets changed, removed, repeated, or a piece of another seed put in."""
    data = bytearray(chance.choice(seeds))
    for _ in range(1 << chance.randrange(7)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0:
                data[at : at + 1] = bytes([chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))])
            case 1:
                data[at : at + chance.choice((1, 2, 4))] = chance.randbytes(chance.choice((1, 2, 4)))
            case 2:
                del data[at : at + chance.randrange(1, 200)]
            case 3:
                other = chance.choice(seeds)
                start = chance.randrange(len(other))
                data[at:at] = other[start : start + chance.randrange(1, 400)]
            case 4:
                data[at:at] = data[at : at + chance.randrange(1, 2000)]
    return bytes(data[: 1 << 20])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("files", nargs="*", type=Path)
    arguments = parser.parse_args()
    for path in arguments.files:
        one_input(path.read_bytes())
    if arguments.files:
        return 0
    sys.path.insert(0, str(ROOT))
    from tests.capture.scenes import captures

    seeds = [*captures().values(), *(path.read_bytes() for path in sorted(CORPUS.glob("*")))]
    chance = random.Random(arguments.seed)
    runs, end = 0, time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        data = mutated(seeds, chance)
        try:
            one_input(data)
        except Exception:
            CORPUS.mkdir(parents=True, exist_ok=True)
            kept = CORPUS / f"failed-{random.Random(data).getrandbits(48):012x}"
            kept.write_bytes(data)
            print(f"failed after {runs} inputs; the input is in {kept}", file=sys.stderr)
            raise
        runs += 1
    print(f"{runs} inputs, no failure")
    return 0


if __name__ == "__main__":
    sys.exit(main())
