"""SIP over WebSocket in the clear, as a capture shows it (RFC 6455 framing, RFC 7692 compression, RFC 7118 for SIP)."""

import re
import zlib
from typing import Final

__all__ = [
    "MAX_HANDSHAKE",
    "WebSocketFrames",
    "begins_handshake",
    "first_payload",
    "offers_compression",
    "upgrades_to_sip",
]

MAX_HANDSHAKE: Final = 16_384
MAX_START: Final = 1024
"""Octets of a frame's payload that are looked at to tell whether it is one."""
MAX_MESSAGE: Final = 1 << 20
MAX_INFLATED: Final = 1 << 16
"""Octets that a deflated message may grow to: what the largest datagram holds."""
MAX_GROWTH: Final = 64
"""Times the octets of a stream that its deflated messages may grow to together. A web phone's come to 8 to 20 times,
the same OPTIONS again and again to 31; deflate itself allows a thousand."""
TO_WEBSOCKET: Final = re.compile(rb"\nupgrade[ \t]*+:[ \t]*+websocket", re.IGNORECASE)
FOR_SIP: Final = re.compile(rb"\nsec-websocket-protocol[ \t]*+:(?:[^\r\n]*[ \t,])?sip[ \t,\r\n]", re.IGNORECASE)

DEFLATE: Final = re.compile(rb"\nsec-websocket-extensions[ \t]*+:[^\r\n]*permessage-deflate", re.IGNORECASE)

CONTINUATION, TEXT, BINARY = 0, 1, 2
FINAL, COMPRESSED, RESERVED_BITS = 0x80, 0x40, 0x70
FLUSHED: Final = b"\0\0\xff\xff"
"""What a deflater ends a message with, and leaves out (RFC 7692 section 7.2.1)."""
BEHIND_LAST: Final = (FLUSHED, b"\0" + FLUSHED)
"""What stands behind a block that says it is the last: nothing, or the empty block of RFC 7692 section 7.2.3.4."""


def begins_handshake(octets: bytes) -> bool:
    """Whether a stream starts like either side of an HTTP upgrade."""
    return octets.startswith((b"GET ", b"HTTP/1.1 101"))


def upgrades_to_sip(head: bytes) -> bool:
    """Whether an HTTP header part opens a WebSocket for SIP."""
    return TO_WEBSOCKET.search(head) is not None and FOR_SIP.search(head) is not None


def offers_compression(head: bytes) -> bool:
    """Whether the header part of a handshake names permessage-deflate; the peer may still have declined it."""
    return DEFLATE.search(head) is not None


def first_payload(octets: bytes) -> bytes:
    """The beginning of what a plain data frame at the start of `octets` carries, unmasked; b"" where none can start."""
    if len(octets) < 2 or octets[0] & ~FINAL not in (TEXT, BINARY):
        return b""
    masked, length, at = octets[1] & 0x80, octets[1] & 0x7F, 2
    if length > 125:
        size = 2 if length == 126 else 8
        length, at = int.from_bytes(octets[at : at + size], "big"), at + size
    payload_at = at + 4 if masked else at
    payload = octets[payload_at : payload_at + min(length, MAX_START)]
    return _unmask(payload, octets[at:payload_at]) if masked and payload else payload


class WebSocketFrames:
    """One direction after the handshake: octets in, messages out, unmasked.

    compressed: whether messages may come deflated; each says so itself.
    """

    def __init__(self, *, compressed: bool = False) -> None:
        self._buffer = bytearray()
        self._message = bytearray()
        self._framed = 0
        self._goes_on = False
        self._deflated = False
        self._came = 0
        self._grown = 0
        # One for all messages: where the peer starts each afresh, it refers to nothing before it.
        self._inflate = zlib.decompressobj(wbits=-15) if compressed else None
        self.broken = False
        """Whether something stood there that is no frame, or too large a one: nothing more comes out."""

    @property
    def held(self) -> int:
        """Octets of the stream from where the message in progress begins."""
        return len(self._buffer) + self._framed

    def receive(self, data: bytes) -> list[bytes]:
        """The messages that `data` completes."""
        self._buffer += data
        messages: list[bytes] = []
        at = 0
        while not self.broken and (end := self._read_frame(at, messages)):
            at = end
        del self._buffer[:at]
        return messages

    def _read_frame(self, start: int, messages: list[bytes]) -> int:
        """Read the frame at `start` of the buffer (RFC 6455 section 5.2); where it ends, 0 while it is not whole."""
        buffer = self._buffer
        if len(buffer) < start + 2:
            return 0
        first, masked, length, at = buffer[start], buffer[start + 1] & 0x80, buffer[start + 1] & 0x7F, start + 2
        if length > 125:
            size = 2 if length == 126 else 8
            if len(buffer) < at + size:
                return 0
            length, at = int.from_bytes(buffer[at : at + size], "big"), at + size
        if length + len(self._message) > MAX_MESSAGE or not self._knows(first):
            self.broken = True
            return 0
        payload_at = at + 4 if masked else at
        end = payload_at + length
        if len(buffer) < end:
            return 0
        self._came += end - start
        payload = bytes(buffer[payload_at:end])
        self._keep(first, _unmask(payload, bytes(buffer[at:payload_at])) if masked else payload, messages)
        self._framed = self._framed + end - start if self._goes_on else 0
        return end

    def _knows(self, first: int) -> bool:
        """Whether a frame's reserved bits mean something: compression, on the first frame of a message."""
        reserved = first & RESERVED_BITS
        return not reserved or (reserved == COMPRESSED and first & 0x0F in (TEXT, BINARY) and self._inflate is not None)

    def _keep(self, first: int, payload: bytes, messages: list[bytes]) -> None:
        """Add a frame's payload to the message it belongs to."""
        opcode = first & 0x0F
        if opcode not in (CONTINUATION, TEXT, BINARY):
            return
        if opcode != CONTINUATION:
            self._deflated = bool(first & COMPRESSED)
        self._message += payload
        self._goes_on = not first & FINAL
        if not self._goes_on:
            message = self._inflated() if self._deflated else bytes(self._message)
            if not self.broken:
                messages.append(message)
            self._message.clear()

    def _inflated(self) -> bytes:
        """The message without its compression; one that is none, or grows beyond the bounds, breaks the stream."""
        assert self._inflate
        try:
            plain = self._inflate.decompress(self._message + FLUSHED, MAX_INFLATED)
        except zlib.error:
            self.broken = True
            return b""
        self._grown += len(plain)
        self.broken = bool(self._inflate.unconsumed_tail) or self._grown > MAX_GROWTH * self._came
        if (
            self._inflate.eof
        ):  # a last block: the next message starts afresh, and no other may hide behind it in this one
            self.broken = self.broken or self._inflate.unused_data not in BEHIND_LAST
            self._inflate = zlib.decompressobj(wbits=-15)
        return plain


def _unmask(payload: bytes, key: bytes) -> bytes:
    """XOR with the key repeated, as one large number."""
    length = len(payload)
    mask = (key * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(length, "big")
