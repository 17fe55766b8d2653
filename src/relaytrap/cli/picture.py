"""Pictures for a terminal: dots of braille characters, eight to a cell."""

from collections.abc import Sequence

__all__ = ["dot_chart"]

# Bit of a braille character for the dot at (column, row) of its cell (Unicode, block Braille Patterns).
BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
BLANK = 0x2800


def dot_chart(points: Sequence[tuple[float, float]], width: int = 60, height: int = 12) -> list[str]:
    """Points (x to the right, y upwards) as lines of text, scaled to fill width × height characters."""
    if not points:
        return []
    left, right = min(x for x, _ in points), max(x for x, _ in points)
    bottom, top = min(y for _, y in points), max(y for _, y in points)
    cells = [[0] * width for _ in range(height)]
    for x, y in points:
        column = _place(x, left, right, 2 * width)
        row = 4 * height - 1 - _place(y, bottom, top, 4 * height)
        cells[row // 4][column // 2] |= BITS[column % 2][row % 4]
    return ["".join(chr(BLANK + cell) for cell in line) for line in cells]


def _place(value: float, low: float, high: float, count: int) -> int:
    return int((value - low) / (high - low) * (count - 1)) if high > low else 0
