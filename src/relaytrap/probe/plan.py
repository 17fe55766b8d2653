"""What a test will do: the plan, its waits, and every probe of it, each with a token of its own."""

import secrets
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from relaytrap.probe.request import METHODS, TOKEN_CHARS, Probe
from relaytrap.probe.target import Endpoint, Target, version_of
from relaytrap.probe.tricks import STANDARD, TRICKS, Ends

__all__ = ["NO_NUMBER", "Plan", "Progress", "Timing", "Way", "make_ends", "new_token", "plan_probes"]

SAME_TRANSPORT, OTHER_VERSION = "same-transport", "other-version"
# Sent after all others, in this order: what names a host that does not exist, as looking for it can block a server's
# worker for a while; and what is addressed to the server itself, as one that is silent to strangers answers that, and
# so shows that it was no ban.
LAST = ("route-foreign", "route")
# What made-up numbers begin with: no country's emergency number, and no country code (978), wherever a server that
# minds digits alone may dial them.
NO_NUMBER = "97800"


@dataclass(frozen=True, slots=True)
class Timing:
    """The waits of a test, in seconds.

    resend: when a UDP probe is sent again (RFC 3261 timer E with T1 = 0.5 s). settle: how long the witness is watched
    after the last sending. cancelled: how long a cancelled call may take to end. stray: how long late traffic of calls
    that have not ended is minded. pace: between two probes to one address; Debian's Kamailio with its flood guard on
    bans a source that sends 16 requests in two seconds. connections: open to one address at the same time. knocks: when
    the witness knocks at a server, until it is answered. pinhole: how often it knocks again to keep a NAT open (RFC
    4787 section 4.3 lets one forget after two minutes, many do after 30 seconds).
    """

    resend: tuple[float, ...] = (0.5, 1.5, 3.5, 7.5)
    settle: float = 5.5
    cancelled: float = 3.0
    stray: float = 32.0
    pace: float = 0.2
    connections: int = 12
    knocks: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)
    pinhole: float = 15.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to test, from where, and with what.

    tester: our own address towards the server. other_tester: the same for the server's addresses of the other IP
    version; "" when we have none. number: a telephone number of the user's own, for the
    trick that calls it. register: also register a random user and call it; taken back afterwards. opted_out: why an
    address's operator wants no probes, as the end of a sentence, "" when nobody objects; asked before every sending.
    """

    target: Target
    tester: str
    other_tester: str = ""
    tricks: tuple[str, ...] = STANDARD
    methods: tuple[str, ...] = METHODS
    number: str = ""
    register: bool = False
    private_allowed: bool = True
    opted_out: Callable[[str], str] = lambda address: ""
    timing: Timing = field(default_factory=Timing)

    @property
    def testers(self) -> dict[int, str]:
        """Our own addresses by IP version."""
        return {version_of(address): address for address in (self.other_tester, self.tester) if address}


@dataclass(frozen=True, slots=True)
class Way:
    """How a server is probed: from where, and which places of the witness's its probes name.

    other_witness: the witness's place of the other IP version, for a server that forwards from one to the other.
    """

    endpoint: Endpoint
    tester: str
    tester_port: int
    witness: tuple[str, int]
    other_witness: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a test is: probes sent and settled of all, seconds that are left at most, and what it does."""

    sent: int
    settled: int
    total: int
    seconds_left: float
    doing: str


def plan_probes(plan: Plan, ways: Iterable[Way]) -> list[Probe]:
    """Every probe of a test, without the tricks that say nothing new of a way.

    A number is called and nothing else: a REGISTER for it would take over the user's own.
    """
    probes = [
        Probe(method, way.endpoint.transport, trick, make_ends(plan, way, trick))
        for way in ways
        for trick in plan.tricks
        if trick not in _pointless(plan, way)
        for method in (("INVITE",) if TRICKS[trick].kind == "number" else plan.methods)
    ]
    return sorted(probes, key=lambda probe: LAST.index(probe.trick) if probe.trick in LAST else -1)


def make_ends(plan: Plan, way: Way, trick: str) -> Ends:
    """The ends of one probe, with a token of its own."""
    number = plan.number.lstrip("+") if TRICKS[trick].kind == "number" else f"{NO_NUMBER}{secrets.randbelow(10**7):07d}"
    witness = way.other_witness if trick == OTHER_VERSION and way.other_witness else way.witness
    return Ends(
        server=way.endpoint.address,
        server_port=way.endpoint.port,
        domain=plan.target.domain,
        witness=witness[0],
        witness_port=witness[1],
        tester=way.tester,
        tester_port=way.tester_port,
        token=new_token(),
        number=number,
        transport=way.endpoint.transport,
    )


def _pointless(plan: Plan, way: Way) -> set[str]:
    return {
        *(("from-domain",) if plan.target.domain == way.endpoint.address else ()),
        *((SAME_TRANSPORT,) if way.endpoint.transport == "udp" else ()),
        *((OTHER_VERSION,) if way.other_witness is None else ()),
    }


def new_token() -> str:
    """Twelve characters that nobody can guess, the first a letter."""
    letters = string.ascii_lowercase
    return secrets.choice(letters) + "".join(secrets.choice(letters + string.digits) for _ in range(TOKEN_CHARS - 1))
