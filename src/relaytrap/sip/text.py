"""The one way from wire bytes to text for people, and the marks that must never reach them raw."""

import re

__all__ = ["display", "visible"]

# C0 and C1 controls, direction marks and isolates, line and paragraph separators, byte-order mark, zero-width marks:
# what a terminal, a log line or a page would act on instead of showing.
ACTING = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def display(data: bytes) -> str:
    """Wire bytes as text: UTF-8, each undecodable byte as `\\xNN`. Controls stay; a door escapes them for itself."""
    return data.decode("utf-8", "backslashreplace")


def visible(text: str) -> str:
    """Text in which everything that acts instead of showing stands as `\\xNN` or `\\uNNNN`."""
    return ACTING.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
