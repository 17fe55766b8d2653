"""What a test will do: the plan, its waits, and every probe of it, each with a token of its own."""

import secrets
import string
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from relaytrap.probe.request import METHODS, TOKEN_CHARS, Probe
from relaytrap.probe.target import Endpoint, Target
from relaytrap.probe.tricks import STANDARD, TRICKS, Ends

__all__ = ["Plan", "Progress", "Timing", "make_ends", "new_token", "plan_probes"]


@dataclass(frozen=True, slots=True)
class Timing:
    """The waits of a test, in seconds.

    resend: when a UDP probe is sent again (RFC 3261 timer E with T1 = 0.5 s). settle: how long the witness is watched
    after the last sending. cancelled: how long a cancelled call may take to end. stray: how long late traffic of calls
    that have not ended is minded. pace: between two probes; Debian's Kamailio with its flood guard on bans a source
    that sends 16 requests in two seconds.
    """

    resend: tuple[float, ...] = (0.5, 1.5, 3.5, 7.5)
    settle: float = 5.5
    cancelled: float = 3.0
    stray: float = 32.0
    pace: float = 0.2
    connections: int = 12


@dataclass(frozen=True, slots=True)
class Plan:
    """What to test, from where, and with what.

    tester: our own address towards the server. witness_public: the address and port that others reach the witness
    by; ("", 0) to use what the server saw, or the witness's own. number: a telephone number of the user's own, for the
    trick that calls it. register: also register a random user and call it; taken back afterwards. opted_out: why an
    address's operator wants no probes, as the end of a sentence, "" when nobody objects; asked before every sending.
    """

    target: Target
    tester: str
    witness_public: tuple[str, int] = ("", 0)
    tricks: tuple[str, ...] = STANDARD
    methods: tuple[str, ...] = METHODS
    number: str = ""
    register: bool = False
    private_allowed: bool = True
    opted_out: Callable[[str], str] = lambda address: ""
    timing: Timing = field(default_factory=Timing)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a test is: probes sent and settled of all, seconds that are left at most, and what it does."""

    sent: int
    settled: int
    total: int
    seconds_left: float
    doing: str


def plan_probes(plan: Plan, endpoints: Iterable[Endpoint], witness: tuple[str, int], tester_port: int) -> list[Probe]:
    """Every probe of a test. A From trick with the server's domain is left out when the domain is its address.

    A number is called and nothing else: a REGISTER for it would take over the user's own.
    """
    probes = []
    for endpoint in endpoints:
        for trick in plan.tricks:
            if trick == "from-domain" and plan.target.domain == endpoint.address:
                continue
            for method in ("INVITE",) if TRICKS[trick].kind == "number" else plan.methods:
                ends = make_ends(plan, endpoint, trick, witness, tester_port)
                probes.append(Probe(method, endpoint.transport, trick, ends))
    return probes


def make_ends(plan: Plan, endpoint: Endpoint, trick: str, witness: tuple[str, int], tester_port: int) -> Ends:
    """The ends of one probe, with a token of its own."""
    number = plan.number.lstrip("+") if TRICKS[trick].kind == "number" else f"9990{secrets.randbelow(10**8):08d}"
    return Ends(
        server=endpoint.address,
        server_port=endpoint.port,
        domain=plan.target.domain,
        witness=witness[0],
        witness_port=witness[1],
        tester=plan.tester,
        tester_port=tester_port,
        token=new_token(),
        number=number,
    )


def new_token() -> str:
    """Twelve characters that nobody can guess, the first a letter."""
    letters = string.ascii_lowercase
    return secrets.choice(letters) + "".join(secrets.choice(letters + string.digits) for _ in range(TOKEN_CHARS - 1))
