"""SIP over WebSocket in the clear, as a capture shows it (RFC 6455 framing, RFC 7118 for SIP)."""

import re
from typing import Final

__all__ = ["MAX_HANDSHAKE", "WebSocketFrames", "begins_handshake", "upgrades_to_sip"]

MAX_HANDSHAKE: Final = 16_384
MAX_MESSAGE: Final = 1 << 20
TO_WEBSOCKET: Final = re.compile(rb"\nupgrade[ \t]*+:[ \t]*+websocket", re.IGNORECASE)
FOR_SIP: Final = re.compile(rb"\nsec-websocket-protocol[ \t]*+:(?:[^\r\n]*[ \t,])?sip[ \t,\r\n]", re.IGNORECASE)

CONTINUATION, TEXT, BINARY = 0, 1, 2
FINAL, RESERVED_BITS = 0x80, 0x70


def begins_handshake(octets: bytes) -> bool:
    """Whether a stream starts like either side of an HTTP upgrade."""
    return octets.startswith((b"GET ", b"HTTP/1.1 101"))


def upgrades_to_sip(head: bytes) -> bool:
    """Whether an HTTP header part opens a WebSocket for SIP."""
    return TO_WEBSOCKET.search(head) is not None and FOR_SIP.search(head) is not None


class WebSocketFrames:
    """One direction after the handshake: octets in, messages out, unmasked."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._message = bytearray()
        self.broken = False
        """Whether something stood there that is no frame, or too large a one: nothing more comes out."""

    @property
    def held(self) -> int:
        return len(self._buffer) + len(self._message)

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
        if length + len(self._message) > MAX_MESSAGE or first & RESERVED_BITS:
            self.broken = True
            return 0
        payload_at = at + 4 if masked else at
        end = payload_at + length
        if len(buffer) < end:
            return 0
        payload = bytes(buffer[payload_at:end])
        self._keep(first, _unmask(payload, bytes(buffer[at:payload_at])) if masked else payload, messages)
        return end

    def _keep(self, first: int, payload: bytes, messages: list[bytes]) -> None:
        """Add a frame's payload to the message it belongs to."""
        if first & 0x0F not in (CONTINUATION, TEXT, BINARY):
            return
        self._message += payload
        if first & FINAL:
            messages.append(bytes(self._message))
            self._message.clear()


def _unmask(payload: bytes, key: bytes) -> bytes:
    """XOR with the key repeated, as one large number."""
    length = len(payload)
    mask = (key * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(length, "big")
