"""IEEE 802.11 data frames down to their LLC header, with the measurements that capture drivers put before them.

Only what was sent or decrypted in the clear can be read; of an aggregate (A-MSDU) the first part is.
"""

from typing import Final

__all__ = ["NO_DATA", "behind_prism", "behind_radiotap", "payload"]

NO_DATA: Final = -1
"""Stands for the offset in a frame that carries none in the clear: management, control, encrypted."""

DATA_FRAME: Final = 2
SUBTYPE_NULL, SUBTYPE_QOS = 0x40, 0x80
TO_DS, FROM_DS, PROTECTED, ORDER = 0x01, 0x02, 0x40, 0x80
AGGREGATE: Final = 0x80
TSFT, FLAGS, MORE_WORDS = 1, 2, 1 << 31
PADDED: Final = 0x20
AVS_MAGIC: Final = b"\x80\x21\x10"


def payload(frame: bytes, at: int, *, padded: bool = False) -> int | None:
    """Offset of the LLC header in an 802.11 frame; NO_DATA; None when the frame ends before.

    padded: whether the driver left its header's padding to four octets in place.
    """
    if at + 2 > len(frame):
        return None
    control, flags = frame[at], frame[at + 1]
    if control >> 2 & 3 != DATA_FRAME or control & SUBTYPE_NULL or flags & PROTECTED:
        return NO_DATA
    header = 30 if flags & TO_DS and flags & FROM_DS else 24
    aggregate = 0
    if control & SUBTYPE_QOS:
        if at + header + 2 > len(frame):
            return None
        aggregate = 14 if frame[at + header] & AGGREGATE else 0
        header += 6 if flags & ORDER else 2
    if padded:
        header = (header + 3) & ~3
    return at + header + aggregate


def behind_radiotap(frame: bytes, at: int) -> int | None:
    """The same for a frame behind a radiotap header (radiotap.org); little-endian."""
    if at + 8 > len(frame):
        return None
    present = int.from_bytes(frame[at + 4 : at + 8], "little")
    end = at + int.from_bytes(frame[at + 2 : at + 4], "little")
    field, more = at + 8, present & MORE_WORDS
    while more and field + 4 <= min(end, len(frame)):
        more = frame[field + 3] & 0x80
        field += 4
    if present & TSFT:
        field = at + ((field - at + 7) & ~7) + 8
    padded = bool(present & FLAGS) and field < len(frame) and bool(frame[field] & PADDED)
    return payload(frame, end, padded=padded)


def behind_prism(frame: bytes, at: int) -> int | None:
    """The same behind a Prism header, or the AVS header that some drivers give in its place; both tell their length."""
    if at + 8 > len(frame):
        return None
    length = int.from_bytes(frame[at + 4 : at + 8], "big" if frame.startswith(AVS_MAGIC, at) else "little")
    return payload(frame, at + length)
