"""The witness: the tester's own endpoint at which a relayed probe arrives. It listens, answers, and remembers nothing.

It never lets a call ring or be answered: INVITE gets 486 at once, REGISTER 403, OPTIONS, CANCEL and BYE 200. What
belongs to no probe of the test gets no answer at all. A
retransmission gets the same answer again, and is reported like its first: who counts arrivals tells them apart.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from relaytrap.probe.channel import UdpSocket
from relaytrap.probe.request import find_token
from relaytrap.sip import Request, Response, parse_message
from relaytrap.sip.build import build_response
from relaytrap.sip.stream import StreamParser

__all__ = ["WITNESS_NAME", "WITNESS_TAG", "Witness", "WitnessedRequest", "tokens_of"]

# By either of these the tester knows an answer of the witness's: a relay may change one, and a To may have had a tag.
WITNESS_TAG = b"wit-"
WITNESS_NAME = b"Relaytrap witness"
ANSWERS = {b"INVITE": (486, b"Busy Here"), b"REGISTER": (403, b"Forbidden")}
SILENT_METHODS = {b"ACK"}
MESSAGE_MAX_BYTES = 1 << 17


@dataclass(frozen=True, slots=True)
class WitnessedRequest:
    """A request that came to the witness, whoever sent it."""

    request: Request
    source: str
    source_port: int
    transport: str


class Witness:
    """UDP and TCP at one address and port."""

    def __init__(
        self,
        on_request: Callable[[WitnessedRequest], bool],
        on_response: Callable[[Response, str], None] = lambda response, source: None,
    ) -> None:
        """on_request: whether the request belongs to a probe; no other gets an answer. on_response: also its source."""
        self._on_request = on_request
        self._on_response = on_response
        self._udp: UdpSocket | None = None
        self._servers: list[asyncio.Server] = []
        self._writers: set[asyncio.StreamWriter] = set()
        self.address = ""
        self.port = 0

    async def open(self, address: str, port: int) -> None:
        """Listen. Raises OSError when the address or the port cannot be had by both transports."""
        self._udp = await UdpSocket.open(address, port, self._take_datagram)
        self.address, self.port = address, self._udp.port
        try:
            self._servers.append(await asyncio.start_server(self._serve, address, self.port))
        except OSError:
            self._udp.close()
            raise

    def send(self, data: bytes, address: str, port: int) -> None:
        """A datagram from the witness's own socket, to open a NAT's way back to it."""
        assert self._udp is not None
        self._udp.send(data, address, port)

    def close(self) -> None:
        """Stop listening."""
        if self._udp is not None:
            self._udp.close()
        for server in self._servers:
            server.close()
        for writer in self._writers:
            writer.close()

    def _take_datagram(self, data: bytes, source: tuple[str, int]) -> None:
        answer = self._take(data, source, "udp")
        if answer and self._udp is not None:
            self._udp.send(answer, *source)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        parser = StreamParser(max_message_bytes=MESSAGE_MAX_BYTES)
        source = writer.get_extra_info("peername")[:2]
        self._writers.add(writer)
        with suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(65536):
                for framed in parser.receive(data):
                    if framed.kind == "message" and (answer := self._take(framed.raw, source, "tcp")):
                        writer.write(answer)
                        await writer.drain()
        self._writers.discard(writer)
        writer.close()

    def _take(self, data: bytes, source: tuple[str, int], transport: str) -> bytes:
        """Report one message; the bytes to answer with, or none."""
        message = parse_message(data)
        address = str(ip_address(source[0].partition("%")[0]))
        if isinstance(message, Response):
            self._on_response(message, address)
        if not isinstance(message, Request):
            return b""
        ours = self._on_request(WitnessedRequest(message, address, source[1], transport))
        if not ours or message.method in SILENT_METHODS:
            return b""
        status, reason = ANSWERS.get(message.method, (200, b"OK"))
        tag = WITNESS_TAG + (tokens_of(message) or [b"unknown"])[0]
        try:
            return build_response(
                message,
                status,
                reason,
                headers=((b"Server", WITNESS_NAME),),
                to_tag=tag,
                received=address.encode(),
                rport=source[1],
            )
        except ValueError:  # a request whose own headers cannot be copied into an answer is left unanswered
            return b""


def tokens_of(request: Request) -> list[bytes]:
    """Candidates for a probe's token in a request."""
    to = request.to_address
    return find_token(
        request.request_uri,
        request.from_tag or b"",
        request.call_id or b"",
        b" ".join(via.branch or b"" for via in request.vias),
        (to.uri.user or b"") if to else b"",
    )
