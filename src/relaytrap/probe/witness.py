"""The witness: the tester's own endpoint at which a relayed probe arrives.

It answers only requests that carry the token of a probe that a test has announced, and never lets a call ring or be
answered: INVITE gets 486 at once, REGISTER 403, OPTIONS, CANCEL and BYE 200. A retransmission gets the same answer
again, and is reported like its first: who counts arrivals tells them apart. When a test is over its tokens are still
answered for the life of a transaction, so that a late INVITE leaves nothing ringing.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from relaytrap.probe.listener import Listener
from relaytrap.probe.place import Place
from relaytrap.probe.request import Probe, build_probe, find_token
from relaytrap.probe.target import version_of
from relaytrap.probe.tricks import Ends
from relaytrap.sip import Request, Response, parse_message
from relaytrap.sip.build import build_response

__all__ = [
    "WITNESS_NAME",
    "WITNESS_PORT",
    "WITNESS_TAG",
    "Knock",
    "LocalWatch",
    "Watch",
    "Watcher",
    "Witness",
    "WitnessedRequest",
    "Witnesses",
    "tokens_of",
]

# Some relays reach only SIP's own port.
WITNESS_PORT = 5060
# By either of these the tester knows an answer of the witness's: a relay may change one, and a To may have had a tag.
WITNESS_TAG = b"wit-"
WITNESS_NAME = b"Relaytrap witness"
# 64*T1: how long a relay's transaction may go on (RFC 3261 section 17.1.1.2).
STRAY_S = 32.0
ANSWERS = {b"INVITE": (486, b"Busy Here"), b"REGISTER": (403, b"Forbidden")}
SILENT_METHODS = {b"ACK"}


@dataclass(frozen=True, slots=True)
class WitnessedRequest:
    """A request that came to the witness, whoever sent it."""

    request: Request
    source: str
    source_port: int
    transport: str


@dataclass(frozen=True, slots=True)
class Knock:
    """An OPTIONS from the witness's own port to a server: opens a NAT's way back, and its answer shows that one is."""

    server: str
    server_port: int
    token: str

    def build(self, here: Place) -> bytes:
        """The request, its Via naming the witness's place."""
        there = (self.server, self.server_port)
        ends = Ends(*there, self.server, *there, *here, self.token, "")
        return build_probe(Probe("OPTIONS", "udp", "plain", ends))


class Watcher(Protocol):
    """Who is told what came to a witness."""

    def take_request(self, seen: WitnessedRequest) -> bool:
        """A request with an announced token; whether it shall be answered."""

    def take_response(self, response: Response, source: str) -> None:
        """An answer to a knock, and where it came from."""


class Watch(Protocol):
    """One test's share of a witness, here or on another machine.

    places: by IP version, address and port that probes name. elsewhere: it runs on another machine, so that reaching
    it from here shows that others can. named: IP versions for which its user said how others reach it; probes name
    that, and not as whom a server saw it. trouble: why what arrives is not told any more, as a sentence; "" when it is.
    """

    places: dict[int, Place]
    elsewhere: bool
    named: set[int]
    trouble: str

    def report_to(self, watcher: Watcher) -> None:
        """Name who is told; before anything is announced."""

    async def announce(self, tokens: Iterable[bytes]) -> None:
        """From now on requests with these tokens are this test's; returns when the witness knows."""

    def knock(self, knock: Knock) -> None:
        """Send one knock from the place of the server's IP version."""

    def close(self) -> None:
        """The test is over."""


class Witness:
    """A listener, and whose each token is."""

    def __init__(self) -> None:
        self._listener = Listener(self._take)
        self._watched: dict[bytes, Watcher | None] = {}
        self.watches = 0

    async def open(self, address: str, port: int) -> None:
        """Listen. Raises OSError when the address or the port cannot be had."""
        await self._listener.open(address, port)

    @property
    def place(self) -> Place:
        """Where it listens."""
        return self._listener.address, self._listener.port

    def watch(self, tokens: Iterable[bytes], watcher: Watcher) -> None:
        """Requests with these tokens go to a watcher, and are answered."""
        self._watched.update(dict.fromkeys(tokens, watcher))

    def release(self, watcher: Watcher) -> None:
        """Tell a watcher nothing more; its tokens are answered for a while yet."""
        gone = [token for token, each in self._watched.items() if each is watcher]
        self._watched.update(dict.fromkeys(gone))
        asyncio.get_running_loop().call_later(STRAY_S, self._forget, gone)

    def send(self, data: bytes, address: str, port: int) -> None:
        """A datagram from the witness's own port."""
        self._listener.send(data, address, port)

    def close(self) -> None:
        """Stop listening."""
        self._listener.close()

    def _forget(self, tokens: list[bytes]) -> None:
        for token in tokens:
            self._watched.pop(token, None)

    def _take(self, data: bytes, source: Place, transport: str) -> bytes:
        """Report one message; the bytes to answer with, or none."""
        message = parse_message(data)
        if isinstance(message, Response):
            token = (message.call_id or b"").partition(b"@")[0]
            if watcher := self._watched.get(token):
                watcher.take_response(message, source[0])
            return b""
        if not isinstance(message, Request):
            return b""
        token = next((token for token in tokens_of(message) if token in self._watched), b"")
        if not token:
            return b""
        watcher = self._watched[token]
        wanted = watcher is None or watcher.take_request(WitnessedRequest(message, *source, transport))
        return _answer(message, token, source) if wanted and message.method not in SILENT_METHODS else b""


class Witnesses:
    """The witnesses of a process: tests that name the same address and port share one."""

    def __init__(self) -> None:
        self._open: dict[Place, Witness] = {}
        self._opening = asyncio.Lock()

    async def open(self, address: str, port: int) -> Witness:
        """The witness at a place, opened when it is not. Raises OSError."""
        async with self._opening:
            witness = self._open.get((address, port))
            if witness is None:
                witness = Witness()
                await witness.open(address, port)
                self._open[witness.place] = witness
            witness.watches += 1
            return witness

    def release(self, witness: Witness) -> None:
        """A watch on it is over; with the last one, and when no stray can come any more, its port is given back."""
        witness.watches -= 1
        asyncio.get_running_loop().call_later(STRAY_S, self._close_unwatched, witness)

    def close(self) -> None:
        """Give back every port now."""
        for witness in self._open.values():
            witness.close()
        self._open.clear()

    def _close_unwatched(self, witness: Witness) -> None:
        if not witness.watches and self._open.get(witness.place) is witness:
            del self._open[witness.place]
            witness.close()


class LocalWatch:
    """A watch on witnesses of this process, at most one for each IP version.

    pool: those that tests share; None for witnesses that are this watch's alone and end with it.
    """

    elsewhere = False
    trouble = ""

    def __init__(self, pool: Witnesses | None = None) -> None:
        self._pool = pool or Witnesses()
        self._is_alone = pool is None
        self._witnesses: dict[int, Witness] = {}
        self._watcher: Watcher | None = None
        self.places: dict[int, Place] = {}
        self.named: set[int] = set()

    async def open(self, address: str, port: int, *, public: Place | None = None) -> None:
        """Listen at an address too. public: how others reach it. Raises OSError."""
        version = version_of(address)
        witness = await self._pool.open(address, port)
        self._witnesses[version] = witness
        self.places[version] = public or witness.place
        if public:
            self.named.add(version)

    def report_to(self, watcher: Watcher) -> None:
        self._watcher = watcher

    async def announce(self, tokens: Iterable[bytes]) -> None:
        assert self._watcher is not None
        tokens = tuple(tokens)
        for witness in self._witnesses.values():
            witness.watch(tokens, self._watcher)

    def knock(self, knock: Knock) -> None:
        version = version_of(knock.server)
        if witness := self._witnesses.get(version):
            witness.send(knock.build(self.places[version]), knock.server, knock.server_port)

    def close(self) -> None:
        for witness in self._witnesses.values():
            if self._watcher is not None:
                witness.release(self._watcher)
            self._pool.release(witness)
        self._witnesses.clear()
        if self._is_alone:
            self._pool.close()


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


def _answer(request: Request, token: bytes, source: Place) -> bytes:
    status, reason = ANSWERS.get(request.method, (200, b"OK"))
    try:
        return build_response(
            request,
            status,
            reason,
            headers=((b"Server", WITNESS_NAME),),
            to_tag=WITNESS_TAG + token,
            received=source[0].encode(),
            rport=source[1],
        )
    except ValueError:  # a request whose own headers cannot be copied into an answer is left unanswered
        return b""
