"""The other end of a remote watch: a witness that stands by for testers who know its secret, and serves nobody else.

On SIP's port it answers only requests with a token that a tester who joined has announced. What a tester may do is
bounded: how many watch at once and how long, how many tokens, how many knocks at how many servers.
"""

import asyncio
import hmac
import logging
import ssl
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

from relaytrap.errors import DiskError
from relaytrap.probe.place import Place
from relaytrap.probe.remote import (
    LINE_MAX_BYTES,
    PROTOCOL,
    Announce,
    Announced,
    Came,
    FromTester,
    Join,
    Joined,
    Refused,
    Send,
    encode_line,
    read_tester,
)
from relaytrap.probe.target import refusal, version_of
from relaytrap.probe.witness import Knock, Witness, WitnessedRequest, tokens_of
from relaytrap.sip import Response

__all__ = ["Outpost"]

log = logging.getLogger(__name__)

WATCHES_MAX = 8
CONNECTIONS_MAX = 32
JOIN_TIMEOUT_S = 10.0
WATCH_MAX_S = 900.0
TOKENS_MAX = 8192
KNOCKS_MAX = 512
SERVERS_MAX = 8
# What may wait for a tester that reads too slowly; it is then better off without a half-told story.
UNREAD_MAX_BYTES = 8 << 20
WRONG_SECRET_WAIT_S = 1.0


class Outpost:
    """Witnesses of this machine, and the door at which testers join.

    public: by IP version, how others reach a witness. read_secret: gives the join token's secret as it is now, for
    whoever joins; raises DiskError.
    """

    def __init__(
        self, witnesses: Iterable[Witness], public: Mapping[int, Place], read_secret: Callable[[], str]
    ) -> None:
        self.witnesses = {version_of(each.place[0]): each for each in witnesses}
        self.places = {version: each.place for version, each in self.witnesses.items()} | dict(public)
        self.named = sorted(public)
        self._read_secret = read_secret
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self.watches = 0

    async def open(self, address: str, port: int, context: ssl.SSLContext) -> int:
        """Let testers join at an address; its port. Raises OSError."""
        server = await asyncio.start_server(
            self._accept, address, port, ssl=context, ssl_handshake_timeout=JOIN_TIMEOUT_S, limit=LINE_MAX_BYTES
        )
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def close(self) -> None:
        """Let nobody join any more, and end what runs."""
        for server in self._servers:
            server.close()
        for task in self._connections:
            task.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            if len(self._connections) <= CONNECTIONS_MAX:
                await self._serve(reader, writer)
        except asyncio.CancelledError:  # by close(); a server's own tasks must not end in it
            log.debug("a watch was ended")
        except (OSError, TimeoutError, EOFError, ValueError) as error:
            log.info("a tester's connection ended source=%s error=%s", writer.get_extra_info("peername"), error)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source = writer.get_extra_info("peername")[0]
        async with asyncio.timeout(JOIN_TIMEOUT_S):
            join = read_tester(await reader.readline())
            if why := await self._refusal_of(join):
                log.warning("a tester was refused source=%s why=%s", source, why)
                writer.write(encode_line(Refused(why)))
                await writer.drain()
                return
        self.watches += 1
        session = Session(self, writer)
        log.info("a tester joined source=%s", source)
        try:
            async with asyncio.timeout(WATCH_MAX_S):
                writer.write(encode_line(Joined(list(self.places.values()), self.named)))
                while line := await reader.readline():
                    session.take(read_tester(line))
                    await writer.drain()
        finally:
            self.watches -= 1
            for witness in self.witnesses.values():
                witness.release(session)
            log.info("a tester left source=%s reported=%d", source, session.reported)

    async def _refusal_of(self, join: FromTester) -> str:
        if not isinstance(join, Join):
            raise ValueError("another word than Join")
        try:
            secret = self._read_secret()
        except DiskError as error:
            log.error("nobody can join: %s", error)
            return "cannot read its own token; its log says why"
        if not secret or not hmac.compare_digest(join.secret.encode(), secret.encode()):
            await asyncio.sleep(WRONG_SECRET_WAIT_S)
            return "does not know this token; get it again with `relaytrap witness --token`"
        if join.protocol != PROTOCOL:
            return f"speaks version {PROTOCOL} of the protocol, not {join.protocol}; run the same Relaytrap on both"
        return "serves as many tests as it can; try again in a minute" if self.watches >= WATCHES_MAX else ""


class Session:
    """One tester's watch: passes on what comes with its tokens."""

    def __init__(self, outpost: Outpost, writer: asyncio.StreamWriter) -> None:
        self._outpost = outpost
        self._writer = writer
        self._tokens = 0
        self._knocks: set[bytes] = set()
        self._servers: set[str] = set()
        self._knocked = 0
        self.reported = 0

    def take(self, message: FromTester) -> None:
        """Do what the tester asks. Raises ValueError for what no tester of ours would ask."""
        match message:
            case Announce():
                self._announce(message)
            case Send():
                self._knock(message)
            case Join():
                raise ValueError("Join a second time")

    def _announce(self, message: Announce) -> None:
        self._tokens += len(message.tokens)
        if self._tokens > TOKENS_MAX:
            raise ValueError(f"more than {TOKENS_MAX} tokens")
        tokens = [token.encode() for token in message.tokens]
        for witness in self._outpost.witnesses.values():
            witness.watch(tokens, self)
        self._writer.write(encode_line(Announced(message.number)))

    def _knock(self, wanted: Send) -> None:
        self._servers.add(wanted.server)
        self._knocked += 1
        if self._knocked > KNOCKS_MAX or len(self._servers) > SERVERS_MAX:
            raise ValueError("more knocks than a test needs")
        if why := refusal(wanted.server, private_allowed=True):
            raise ValueError(f"{wanted.server} {why}")
        version = version_of(wanted.server)
        if witness := self._outpost.witnesses.get(version):
            self._knocks.add(wanted.token.encode())
            knock = Knock(wanted.server, wanted.server_port, wanted.token)
            witness.send(knock.build(self._outpost.places[version]), knock.server, knock.server_port)

    def take_request(self, seen: WitnessedRequest) -> bool:
        """Pass it on; a knock that came back gets no answer."""
        self._report(Came(seen.request.raw, seen.source, seen.source_port, seen.transport))
        return not self._knocks.intersection(tokens_of(seen.request))

    def take_response(self, response: Response, source: str) -> None:
        """Pass on what answered a knock."""
        self._report(Came(response.raw, source, 0, "udp"))

    def _report(self, came: Came) -> None:
        if self._writer.transport.get_write_buffer_size() > UNREAD_MAX_BYTES:
            with suppress(OSError):
                self._writer.transport.abort()
            return
        self.reported += 1
        self._writer.write(encode_line(came))
