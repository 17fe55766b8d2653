"""Random changes to inputs, and inputs made of nothing but pieces."""

import random
from collections.abc import Sequence

__all__ = ["change"]

LARGEST = 1 << 20


def change(inputs: Sequence[bytes], pieces: Sequence[bytes], chance: random.Random) -> bytes:
    """One of the inputs with octets set, removed, repeated, or with a piece or part of another input put in."""
    if pieces and not chance.randrange(8):
        return b"".join(chance.choices(pieces, k=chance.randint(1, 60)))
    data = bytearray(chance.choice(inputs))
    for _ in range(1 << chance.randrange(6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(6 if pieces else 5):
            case 0:
                data[at : at + 1] = bytes([chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))])
            case 1:
                width = chance.choice((1, 2, 4))
                data[at : at + width] = chance.randbytes(width)
            case 2:
                del data[at : at + chance.choice((1, 4, 20, 200))]
            case 3:
                other = chance.choice(inputs)
                start = chance.randrange(len(other) + 1)
                data[at:at] = other[start : start + chance.randrange(1, 400)]
            case 4:
                data[at:at] = data[at : at + chance.choice((1, 8, 60, 2000))]
            case _:
                data[at:at] = chance.choice(pieces) * chance.choice((1, 1, 1, 2, 300))
    return bytes(data[:LARGEST])
