"""Before the probes: which endpoints of a server take them, and whether its network can reach the witness."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from itertools import pairwise

from relaytrap.clock import monotonic
from relaytrap.probe.channel import ChannelError, StreamChannel, UdpSocket, reason_of
from relaytrap.probe.place import Place
from relaytrap.probe.plan import Plan, new_token
from relaytrap.probe.target import Endpoint, version_of
from relaytrap.probe.witness import Knock, Watch, WitnessedRequest
from relaytrap.sip import Response, Via
from relaytrap.sip.uri import host_port

__all__ = ["Outside", "Pinholes", "find_offered"]

Check = Callable[[str], None]

UDP_KNOCKS_S = (0.0, 0.4, 1.0)
OUTSIDE_KNOCKS_S = (0.0, 0.4, 1.0, 2.0, 3.0)


async def find_offered(plan: Plan, check: Check) -> tuple[list[Endpoint], list[str]]:
    """Endpoints that take a connection, and a sentence for each of the others.

    Of the ports that nobody named the first that is open is taken. UDP is offered unless the host says that it is not,
    as silence proves nothing. check: raises ChannelError for an address that may not be sent anything.
    """
    endpoints = plan.target.endpoints
    troubles = await asyncio.gather(*(_trouble_at(plan, endpoint, check) for endpoint in endpoints))
    offered: list[Endpoint] = []
    sentences: list[str] = []
    groups: dict[tuple[str, str], list[tuple[Endpoint, ChannelError | None]]] = {}
    for endpoint, trouble in zip(endpoints, troubles, strict=True):
        if endpoint.guessed:
            groups.setdefault((endpoint.transport, endpoint.address), []).append((endpoint, trouble))
        elif trouble:
            sentences.append(str(trouble))
        else:
            offered.append(endpoint)
    for group in groups.values():
        first = next((endpoint for endpoint, trouble in group if trouble is None), None)
        if first:
            offered.append(first)
        sentences += _others_of(group, first)
    return sorted(offered, key=endpoints.index), sentences


def _others_of(group: Sequence[tuple[Endpoint, ChannelError | None]], taken: Endpoint | None) -> list[str]:
    """One sentence for the guessed ports of a transport of which none is open; one for each further open one."""
    if taken:
        return [
            f"{each.transport.upper()} {host_port(each.address, each.port)} is open too; name that port to test it"
            for each, trouble in group
            if trouble is None and each is not taken
        ]
    if len(group) == 1:
        return [str(trouble) for _, trouble in group]
    ports: dict[str, list[str]] = {}
    for endpoint, trouble in group:
        assert trouble is not None
        ports.setdefault(trouble.what, []).append(str(endpoint.port))
    first = group[0][0]
    parts = [f"at port {', '.join(numbers)} {what}" for what, numbers in ports.items()]
    return [f"{first.transport.upper()} {first.address} {', '.join(parts)}"]


async def _trouble_at(plan: Plan, endpoint: Endpoint, check: Check) -> ChannelError | None:
    try:
        check(endpoint.address)
        local = plan.testers.get(version_of(endpoint.address))
        if local is None:
            where = f"{endpoint.transport.upper()} {host_port(endpoint.address, endpoint.port)}"
            raise ChannelError(where, f"cannot be reached (no IPv{version_of(endpoint.address)} from here)")
        if endpoint.transport == "udp":
            await _knock_by_udp(plan, endpoint, local)
        else:
            channel = StreamChannel(endpoint.transport, endpoint.address, endpoint.port, local, lambda data: None)
            await channel.open()
            channel.close()
    except ChannelError as error:
        return error
    return None


async def _knock_by_udp(plan: Plan, endpoint: Endpoint, local: str) -> None:
    """Raises ChannelError when the server's host says that nobody listens there."""
    answered = asyncio.Event()
    there = (endpoint.address, endpoint.port)
    where = f"UDP {host_port(*there)}"
    try:
        way = await UdpSocket.open(local, 0, lambda data, source: answered.set(), only=there)
    except OSError as error:
        raise ChannelError(where, f"cannot be reached ({reason_of(error)})") from None
    knock = Knock(*there, new_token()).build((local, way.port))
    try:
        await _repeat(UDP_KNOCKS_S, lambda: way.send(knock, *there), lambda: answered.is_set() or bool(way.refused))
        if isinstance(way.refused, ConnectionRefusedError):
            raise ChannelError(where, "is closed")
        if way.refused:
            raise ChannelError(where, f"cannot be reached ({reason_of(way.refused)})")
    finally:
        way.close()


async def _repeat(moments: Sequence[float], send: Callable[[], None], done: Callable[[], bool]) -> None:
    """Send at each moment but the last, which is the end, until it is done."""
    began = monotonic()
    for moment, following in pairwise(moments):
        send()
        while not done() and monotonic() - began < following:
            await asyncio.sleep(min(0.05, following - moment))
        if done():
            return


class Pinholes:
    """The witness's own OPTIONS to each server: opens a NAT's way back, and its answer shows that there is one.

    seen_as: by server address, as whom that server saw the witness.
    """

    def __init__(self, watch: Watch, plan: Plan, endpoints: Iterable[Endpoint]) -> None:
        self._watch = watch
        self._timing = plan.timing
        first = {each.address: each for each in reversed(list(endpoints)) if each.transport == "udp"}
        knocks = [Knock(each.address, each.port, new_token()) for each in first.values()]
        self._knocks = {knock.token.encode(): knock for knock in knocks}
        self.seen_as: dict[str, Place] = {}

    @property
    def tokens(self) -> list[bytes]:
        """What the witness must know before it knocks."""
        return list(self._knocks)

    async def open(self, check: Check) -> None:
        """Knock until every server has answered, or long enough."""

        def knock_at_silent() -> None:
            for knock in self._knocks.values():
                if knock.server not in self.seen_as:
                    self._send(knock, check)

        moments = self._timing.knocks
        await _repeat((*moments, moments[-1] + 0.5), knock_at_silent, lambda: len(self.seen_as) == len(self._knocks))

    async def keep(self, check: Check) -> None:
        """Knock again now and then, so that a NAT does not forget; until cancelled."""
        while True:
            await asyncio.sleep(self._timing.pinhole)
            for knock in self._knocks.values():
                self._send(knock, check)

    def take_response(self, response: Response, source: str) -> None:
        """A server's answer to a knock; what anybody else sends there changes no probe."""
        knock = self._knocks.get((response.call_id or b"").partition(b"@")[0])
        if knock is None or source != knock.server or not response.vias:
            return
        here = self._watch.places[version_of(source)]
        seen = _seen_as(response.vias[0], here)
        # A private address as seen from outside is one that the server did not check: it could not lead back here.
        if seen and not (seen[0] == here[0] and ip_address(here[0]).is_private and ip_address(source).is_global):
            self.seen_as.setdefault(source, seen)

    def take_echo(self, token: bytes) -> bool:
        """Whether a request is a knock that came back: the server can reach the witness, which shall not answer."""
        knock = self._knocks.get(token)
        if knock is not None:
            self.seen_as.setdefault(knock.server, self._watch.places[version_of(knock.server)])
        return knock is not None

    def _send(self, knock: Knock, check: Check) -> None:
        with suppress(ChannelError):  # somebody objects by now; every probe says so itself
            check(knock.server)
            self._watch.knock(knock)


class Outside:
    """Whether a witness on another machine can be reached from here, and so by others.

    reached: transports by which it was.
    """

    def __init__(self, watch: Watch, plan: Plan) -> None:
        self._places = watch.places if watch.elsewhere else {}
        self._plan = plan
        self._versions = {new_token().encode(): version for version in self._places if version in plan.testers}
        self.reached: dict[int, set[str]] = {version: set() for version in self._versions.values()}

    @property
    def tokens(self) -> list[bytes]:
        """What the witness must know before it is tried."""
        return list(self._versions)

    async def try_it(self, udp: dict[int, UdpSocket]) -> None:
        """Send it a request by UDP and one by TCP."""
        await asyncio.gather(*(self._try(token, version, udp[version]) for token, version in self._versions.items()))

    def sentences(self) -> list[str]:
        """What could not be reached."""
        return [
            f"The witness at {host_port(*self._places[version])} cannot be reached from here by"
            f" {' or '.join(missing)}; let its port through"
            for version, reached in self.reached.items()
            if (missing := [name.upper() for name in ("udp", "tcp") if name not in reached])
        ]

    def take_request(self, token: bytes, seen: WitnessedRequest) -> bool:
        """Whether a request is ours."""
        version = self._versions.get(token)
        if version is not None:
            self.reached[version].add(seen.transport)
        return version is not None

    async def _try(self, token: bytes, version: int, udp: UdpSocket) -> None:
        place, local = self._places[version], self._plan.testers[version]
        request = Knock(*place, token.decode()).build((local, udp.port))
        channel = StreamChannel("tcp", *place, local, lambda data: None)
        with suppress(ChannelError):
            await channel.open()
            channel.send(request)
        reached = self.reached[version]
        await _repeat(OUTSIDE_KNOCKS_S, lambda: udp.send(request, *place), lambda: reached >= {"udp", "tcp"})
        channel.close()


def _seen_as(via: Via, here: Place) -> Place | None:
    """Our address and port as the server saw them, from `received` and `rport` (RFC 3581); None when they are none."""
    if via.received is None:
        return here
    port = here[1] if via.rport is None or isinstance(via.rport, bool) else via.rport
    try:
        address = ip_address(via.received.decode("latin-1").strip("[]"))
    except ValueError:
        return None
    return (str(address), port) if address.version == ip_address(here[0]).version and 0 < port < 65536 else None
