"""A witness on another machine: one TLS connection, JSON lines, for a test that runs here.

    tester                                     outpost
    Join (the secret)              ──────▸
                                   ◂──────     Joined (its places), or Refused
    Announce (probes' tokens)      ──────▸
                                   ◂──────     Announced
    Send (a knock at a server)     ──────▸
                                   ◂──────     Came (each message with an announced token)

The join token holds the outpost's secret and the fingerprint of its certificate: the secret is told to nobody else,
and nobody else can say what arrived. When the connection breaks, the witness counts as not reachable.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import count
from typing import Annotated, TypeVar

import msgspec

from relaytrap.errors import InputError
from relaytrap.probe.certificate import fingerprint, pinning_peer
from relaytrap.probe.channel import reason_of
from relaytrap.probe.place import Place
from relaytrap.probe.target import version_of
from relaytrap.probe.witness import Knock, Watcher, WitnessedRequest
from relaytrap.sip import Request, Response, parse_message
from relaytrap.sip.uri import host_port

__all__ = [
    "CONTROL_PORT",
    "LINE_MAX_BYTES",
    "PROTOCOL",
    "Announce",
    "Announced",
    "Came",
    "FromTester",
    "Join",
    "JoinToken",
    "Joined",
    "Refused",
    "RemoteWatch",
    "Send",
    "Token",
    "encode_line",
    "read_outpost",
    "read_tester",
]

CONTROL_PORT = 5059
PROTOCOL = 1
LINE_MAX_BYTES = 1 << 18
CONNECT_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 10.0
T = TypeVar("T")

Token = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9]{11}$")]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class Join(msgspec.Struct, frozen=True, tag=True):
    """Somebody who knows the secret wants to watch."""

    secret: str
    protocol: int = PROTOCOL


class Joined(msgspec.Struct, frozen=True, tag=True):
    """Places where the witness listens; an unspecified address is whichever the outpost was reached by.

    named: IP versions of those that the outpost's user gave as others reach them.
    """

    places: list[tuple[str, Port]]
    named: list[int] = []


class Refused(msgspec.Struct, frozen=True, tag=True):
    """Why not, as a sentence's end."""

    why: str


class Announce(msgspec.Struct, frozen=True, tag=True):
    """Tokens of probes that will be sent."""

    number: int
    tokens: Annotated[list[Token], msgspec.Meta(max_length=4096)]


class Announced(msgspec.Struct, frozen=True, tag=True):
    """The witness knows the tokens of that announcement."""

    number: int


class Send(msgspec.Struct, frozen=True, tag=True):
    """A knock at a server."""

    server: str
    server_port: Port
    token: Token


class Came(msgspec.Struct, frozen=True, tag=True):
    """A message that came to the witness."""

    raw: bytes
    source: str
    source_port: int
    transport: str


FromTester = Join | Announce | Send
FromOutpost = Joined | Refused | Announced | Came
_FROM_TESTER: msgspec.json.Decoder[FromTester] = msgspec.json.Decoder(FromTester)
_FROM_OUTPOST: msgspec.json.Decoder[FromOutpost] = msgspec.json.Decoder(FromOutpost)


def encode_line(message: FromTester | FromOutpost) -> bytes:
    """A message as one line."""
    return msgspec.json.encode(message) + b"\n"


def read_tester(line: bytes) -> FromTester:
    """What a tester says. Raises ValueError when it is nothing of the protocol."""
    return _decode(_FROM_TESTER, line)


def read_outpost(line: bytes) -> FromOutpost:
    """What an outpost says. Raises ValueError when it is nothing of the protocol."""
    return _decode(_FROM_OUTPOST, line)


def _decode(decoder: msgspec.json.Decoder[T], line: bytes) -> T:
    try:
        return decoder.decode(line)
    except RecursionError:  # brackets in brackets, in a field that nobody knows
        raise ValueError("too deeply nested") from None


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What lets a tester join: the outpost's secret, and the SHA-256 of its certificate."""

    secret: str
    pin: str

    def __str__(self) -> str:
        return f"{self.secret}.{self.pin}"

    @classmethod
    def parse(cls, text: str) -> "JoinToken":
        """Raises InputError when the text is none."""
        secret, dot, pin = text.strip().rpartition(".")
        if not dot or not secret or len(pin) != 64 or not set(pin) <= set("0123456789abcdef"):
            raise InputError("that is no witness token; `relaytrap witness --token` on the witness's machine shows it")
        return cls(secret, pin)


class RemoteWatch:
    """A watch on a witness of another machine. answer_s: how long an announcement may stay unanswered."""

    elsewhere = True

    def __init__(self, answer_s: float = ANSWER_TIMEOUT_S) -> None:
        self._answer_s = answer_s
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._watcher: Watcher | None = None
        self._numbers = count(1)
        self._announced: dict[int, asyncio.Event] = {}
        self.places: dict[int, Place] = {}
        self.named: set[int] = set()
        self.trouble = ""

    async def open(self, host: str, port: int, token: JoinToken) -> None:
        """Join. Raises InputError with one sentence."""
        where = f"the witness at {host_port(host, port)}"
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                joined = await self._join(host, port, token)
                self.places = await _reached_by(joined.places, host, self._peer)
                self.named = set(joined.named)
        except (OSError, ValueError, EOFError, TimeoutError) as error:
            self.close()
            why = "no answer" if isinstance(error, TimeoutError) else _why(error)
            raise InputError(f"{where} cannot be joined ({why}); see that `relaytrap witness` runs there") from None
        except _NotJoined as error:
            self.close()
            raise InputError(f"{where} {error}") from None
        if not self.places:
            self.close()
            raise InputError(f"{where} has no address that probes could name; start it with --public")
        self._reading = asyncio.create_task(self._read())

    def report_to(self, watcher: Watcher) -> None:
        self._watcher = watcher

    async def announce(self, tokens: Iterable[bytes]) -> None:
        if self.trouble:
            return
        number = next(self._numbers)
        known = self._announced[number] = asyncio.Event()
        self._write(Announce(number, [token.decode() for token in tokens]))
        try:
            async with asyncio.timeout(self._answer_s):
                await known.wait()
        except TimeoutError:
            self._break("did not answer")

    def knock(self, knock: Knock) -> None:
        self._write(Send(knock.server, knock.server_port, knock.token))

    def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    @property
    def _peer(self) -> str:
        assert self._writer is not None
        return str(self._writer.get_extra_info("peername")[0])

    async def _join(self, host: str, port: int, token: JoinToken) -> Joined:
        self._reader, self._writer = await asyncio.open_connection(host, port, ssl=pinning_peer(), limit=LINE_MAX_BYTES)
        tls: ssl.SSLObject = self._writer.get_extra_info("ssl_object")
        if fingerprint(tls.getpeercert(binary_form=True) or b"") != token.pin:
            raise _NotJoined("shows another certificate than the token says; get its token again")
        self._write(Join(token.secret))
        answer = read_outpost(await self._reader.readline())
        if isinstance(answer, Refused):
            raise _NotJoined(answer.why)
        if not isinstance(answer, Joined):
            raise ValueError("another answer than one to joining")
        return answer

    async def _read(self) -> None:
        assert self._reader is not None
        try:
            while line := await self._reader.readline():
                self._take(read_outpost(line))
            self._break("ended the connection")
        except (OSError, ValueError) as error:
            self._break(f"cannot be heard any more ({_why(error)})")

    def _take(self, message: FromOutpost) -> None:
        match message:
            case Announced(number=number):
                if known := self._announced.pop(number, None):
                    known.set()
            case Refused(why=why):
                self._break(why)
            case Came(raw=raw, source=source, source_port=port, transport=transport):
                assert self._watcher is not None
                came = parse_message(raw)
                if isinstance(came, Request):
                    self._watcher.take_request(WitnessedRequest(came, source, port, transport))
                elif isinstance(came, Response):
                    self._watcher.take_response(came, source)

    def _break(self, why: str) -> None:
        """From now on nothing that arrives is known here."""
        self.trouble = self.trouble or f"The witness {why}: what arrived there later is not known"
        for known in self._announced.values():
            known.set()

    def _write(self, message: FromTester) -> None:
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(encode_line(message))


def _why(error: Exception) -> str:
    return reason_of(error) if isinstance(error, OSError) else str(error) or "it ended the connection"


class _NotJoined(Exception):
    """The outpost will not have us, or is another; str() ends a sentence."""


async def _reached_by(places: Iterable[tuple[str, int]], host: str, peer: str) -> dict[int, Place]:
    """Places by IP version; where the outpost listens on every address, the one that its name or we know it by."""
    found: dict[int, Place] = {}
    for address, port in places:
        version = ip_address(address).version
        if not ip_address(address).is_unspecified:
            found[version] = (address, port)
        elif version == version_of(peer):
            found[version] = (peer, port)
        else:
            family = socket.AF_INET6 if version == 6 else socket.AF_INET
            with suppress(OSError):  # it has no address of that version
                infos = await asyncio.get_running_loop().getaddrinfo(host, port, family=family, type=socket.SOCK_DGRAM)
                found[version] = (str(infos[0][4][0]), port)
    return found
