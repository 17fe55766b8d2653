"""What happens in the scene, in the order in which it is recorded; and when, in the story, it happened.

A phase is recorded in seconds and told in hours: the recording keeps its real times, and the truth says for each phase
where on the timeline it belongs. Hours count back from the end of the story; -4.3 is four hours and a bit before it.
"""

import base64
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import background
import messages
import plan
from messages import Maker, Shot
from plan import HONEYPOTS, HONEYPOTS6, Scanner

HERE = Path(__file__).resolve().parent
Place = tuple[float, float]
Job = dict[str, Any]


@dataclass(frozen=True)
class Tool:
    """One run of a real program. source: of a program that cannot choose its address and needs a room of its own."""

    command: tuple[str, ...]
    timeout: float = 8
    source: str = ""

    @property
    def room(self) -> str:
        return f"at-{self.source}" if self.source else "world"


@dataclass
class Phase:
    """Something recorded without pause. placed: by source, or by "" for whatever comes through relays."""

    name: str
    campaign: str
    placed: dict[str, Place]
    jobs: list[Job] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)


def job(
    source: str, port: int, shots: Sequence[tuple[float, str, bytes]], transport: str = "udp", patience_s: float = 2.5
) -> Job:
    """One sender's work; shots: (second, first hop, bytes). patience_s: how long it listens after the last one."""
    items = [[at, [hop, 5060], base64.b64encode(data).decode()] for at, hop, data in shots]
    return {"source": source, "port": port, "transport": transport, "items": items, "patience_s": patience_s}


# --- The 2022 story ---

SWEEP_RATE = 30.0


def sweep(night: int, make: Maker, placed: Place) -> Phase:
    """Extensions 100 to 1000, each once, over every relay and all honeypots in an order that shows nowhere."""
    rng = random.Random(f"sweep {night}")
    hops = list(itertools.chain.from_iterable(shuffled(rng, [r.address for r in plan.relays()]) for _ in range(9)))
    targets = list(itertools.chain.from_iterable(shuffled(rng, HONEYPOTS) for _ in range(226)))
    shots = []
    for n, extension in enumerate(range(100, 1001)):
        shot = Shot(rng, plan.SWEEPER, 5060, targets[n], str(extension))
        shots.append((n / SWEEP_RATE, hops[n], make(shot)))
    return Phase(f"sweep-{night}", "sweep", {"": placed}, [job(plan.SWEEPER, 5060, shots)])


def shuffled(rng: random.Random, values: Sequence[str]) -> list[str]:
    return rng.sample(values, len(values))


# --- Real scanners through relays ---


def relays_of(*kinds: str) -> list[str]:
    return [relay.address for relay in plan.relays() if relay.kind in kinds and not relay.next_hop]


def war_dialling() -> Phase:
    """svwar with a relay as its target and the honeypot as its domain; only one honeypot tells users apart."""
    hops = [relays_of("stateful")[3], relays_of("stateless")[0], relays_of("topoh")[0], relays_of("stateful")[20]]
    tools = []
    for n, hop in enumerate(hops):
        options = ("-e", f"{2000 + 15 * n}-{2012 + 15 * n}", "-P", str(5060 + n), "--maximumtime", "2")
        command = ("svwar", *options, *bound(plan.WAR_DIALLER), "--force", "--domain", HONEYPOTS[3], hop)
        tools.append(Tool(command, 12, plan.WAR_DIALLER))
    return Phase("war-dialling", "war-dialling", {"": (-61.0, -60.2)}, tools=tools)


def bound(address: str) -> tuple[str, ...]:
    """SIPVicious options to send from an address, at a pace that a busy machine records in order.

    svmap binds to the address; svwar and svcrack only write it into their headers.
    """
    return "-b", address, "-x", address, "-t", "0.05"


def answered_calls() -> Phase:
    """sipp calls numbers abroad through record-routing relays and hangs up when answered.

    Through relays that go on over TCP: a caller over UDP alone has not proved its address, and no sensor answers it.
    """
    tools = []
    for n, number in enumerate(("00441134960123", "+46846500412")):
        hop, target = relays_of("to-tcp")[n], HONEYPOTS[0]
        port = str(5060 + n)
        options = ("-i", plan.CALLER, "-p", port, "-m", "3", "-r", "1", "-nostdin", "-timeout", "24")
        scenario = ("-sf", str(HERE / "calls.xml"), "-rsa", f"{hop}:5060", "-s", number)
        tools.append(Tool(("sipp", target, *scenario, *options), timeout=28))
    return Phase("answered-calls", "answered-calls", {"": (-37.4, -36.9)}, tools=tools)


# --- Liars ---


def forging() -> Phase:
    """INVITEs with made-up hops that name the clinic; half directly, half through relays that add their own."""
    rng = random.Random("forging")
    hops = relays_of("stateful", "stateless")[30:42]
    shots = []
    for n in range(48):
        target = HONEYPOTS[n % 4]
        hop = hops[n // 2 % len(hops)] if n % 2 else target
        shot = Shot(rng, plan.FORGER, 5070, target, f"{8000 + n}")
        shots.append((n / 12, hop, messages.forged(shot, plan.CLINIC)))
    place = (-81.2, -79.6)
    return Phase("forging", "forging", {"": place, plan.FORGER: place}, [job(plan.FORGER, 5070, shots)])


# --- Toll fraud ---

PREFIXES = ("0011", "011", "00", "900", "9011", "+", "90011", "000", "7700", "")
# Kept by regulators for films and examples: Ofcom, ARCEP, PTS, Bundesnetzagentur, NANPA, ACMA.
CORES = ("442079460123", "441134960456", "33199001234", "46846500412", "493023125042", "12125550147", "61255501234")
DIALLER_COUNTRIES = ("PS", "FR", "NL", "VN", "EG", "US")


def diallers() -> list[Scanner]:
    """One scanner of each of these countries is a toll-fraud prober instead."""
    return [next(s for s in plan.scanners() if s.country == country) for country in DIALLER_COUNTRIES]


def toll_fraud() -> Phase:
    """Few numbers under many prefixes, each prober at its own pace over days."""
    rng = random.Random("toll fraud")
    jobs, placed = [], {}
    for n, dialler in enumerate(diallers()):
        make = messages.three_integers_pplsip if n == 1 else messages.three_integers
        targets = HONEYPOTS[n % 4 :] + HONEYPOTS[: n % 4]
        cores = (CORES[n], CORES[(n + 2) % len(CORES)])
        tried = list(itertools.product(cores, targets[:2], PREFIXES))
        shots = []
        for k, (core, target, prefix) in enumerate(tried):
            shot = Shot(rng, dialler.address, 5062 + n, target, prefix + core)
            shots.append((k * 0.25, target, make(shot)))
        jobs.append(job(dialler.address, 5062 + n, shots))
        start = -150 + 22.5 * n
        placed[dialler.address] = (start, start + (3, 40, 9, 26, 5, 14)[n])
    return Phase("toll-fraud", "toll-fraud", placed, jobs)


def letter_of_2010() -> Phase:
    """One INVITE to the Australian honeypot, for a number in France, from a telephone that it is not."""
    shot = Shot(random.Random("2010"), plan.OLD_DIALLER, 2452, HONEYPOTS[0], "001133199001234")
    shots = [(0.0, HONEYPOTS[0], messages.faked_eyebeam(shot))]
    return Phase(
        "2010", "2010", {plan.OLD_DIALLER: (-27.7, -27.6)}, [job(plan.OLD_DIALLER, 2452, shots, patience_s=14)]
    )


def relay_hunting() -> Phase:
    """OPTIONS for a host somewhere else: who forwards them?"""
    rng = random.Random("hunting")
    shots = []
    for n in range(24):
        shot = Shot(rng, plan.RELAY_HUNTER, 5090, HONEYPOTS[n % 4], f"rt{rng.getrandbits(32):08x}")
        shots.append((n / 10, HONEYPOTS[n % 4], messages.relay_hunt(shot)))
    place = {plan.RELAY_HUNTER: (-101.0, -29.0)}
    return Phase("relay-hunting", "relay-hunting", place, [job(plan.RELAY_HUNTER, 5090, shots)])


# --- Honest ---


def honest_calls() -> Phase:
    """A carrier's customer calls us through the carrier's proxy, in office hours of most days."""
    rng = random.Random("honest")
    shots = []
    for n in range(9):
        shot = Shot(rng, plan.CUSTOMER, 5060, HONEYPOTS[0], f"+6125550{1000 + n}")
        shots.append((n * 0.6, plan.CARRIER, messages.honest_call(shot)))
    place = {"": (-124.0, -6.5), plan.CARRIER: (-124.0, -6.5)}
    return Phase("honest-calls", "honest-calls", place, [job(plan.CUSTOMER, 5060, shots, patience_s=16)])


# --- The world's background ---

MANNERS: tuple[tuple[Maker, int], ...] = (
    (background.scanner_of_old, 9),
    (background.pen_test_suite, 4),
    (background.research_template, 5),
    (background.claimed_desk_phone, 6),
    (background.windows_kit, 3),
    (background.command_line_caller, 4),
    (background.claimed_gateway, 2),
)
COMMON_USERS = ("100", "101", "1000", "1001", "200", "2000", "3000", "admin", "test", "trunk", "500", "9999")


def crowd(scanners: Sequence[Scanner]) -> Phase:
    """Own senders in the manner of many tools, and some that do not speak SIP at all."""
    rng = random.Random("crowd")
    makers, weights = zip(*MANNERS, strict=True)
    jobs, placed = [], {}
    for scanner in scanners:
        make = rng.choices(makers, weights)[0]
        six = ":" in scanner.address
        port = rng.choice((5060, 5060, 5070, rng.randrange(10000, 60000)))
        if six and make is background.scanner_of_old:
            make = background.pen_test_suite
        targets = rng.sample(HONEYPOTS6 if six else HONEYPOTS, 2 if six else rng.choice((1, 2, 2, 4)))
        shots = list(visit(rng, scanner.address, port, targets, make))
        if rng.random() < 0.2:
            shots += [(shots[-1][0] + 0.3, targets[0], rng.choice(background.JUNK))]
        jobs.append(job(scanner.address, port, shots, "tcp" if rng.random() < 0.12 else "udp"))
        placed[scanner.address] = some_time(rng)
    return Phase("crowd", "background", placed, jobs)


def visit(
    rng: random.Random, address: str, port: int, targets: Sequence[str], make: Maker
) -> Iterator[tuple[float, str, bytes]]:
    """Some rounds over the targets."""
    at = rng.random() * 12
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        for target in targets:
            user = rng.choice(COMMON_USERS)
            if make in (background.command_line_caller, background.claimed_gateway):
                user = rng.choice(PREFIXES) + rng.choice(CORES)
            yield at, target, make(Shot(rng, address, port, target, user))
            at += 0.2 + rng.random() * 0.3


def some_time(rng: random.Random) -> Place:
    """Somewhere in the week, more by day than by night, lasting from minutes to most of a day."""
    while True:
        start = rng.uniform(-167, -0.4)
        if rng.random() < (1.0 if -18 < start % 24 - 24 < -4 else 0.45):
            break
    lasts = rng.choice((0.05, 0.3, 2.0, 9.0, 20.0))
    return start, min(start + lasts, -0.05)


def real_tools(scanners: Sequence[Scanner]) -> Phase:
    """SIPVicious, sipp and nmap as they come, from a few dozen places."""
    rng = random.Random("tools")
    commands: list[Callable[[str], tuple[Tool, ...]]] = [*[_svmap] * 28, *[_svwar] * 7, *[_svcrack] * 5]
    commands += [*[_sipp] * 5, *[_nmap_udp] * 4, *[_nmap_tcp] * 3]
    tools: list[Tool] = []
    placed = {}
    for scanner, command in zip(scanners, commands, strict=True):
        tools += command(scanner.address)
        start, _ = some_time(rng)
        placed[scanner.address] = (start, min(start + 0.2, -0.05))
    return Phase("real-tools", "background", placed, tools=tools)


REAL_TOOLS = 52


def _svmap(address: str) -> tuple[Tool, ...]:
    return (Tool(("svmap", *bound(address), *HONEYPOTS), timeout=6),)


def _svwar(address: str) -> tuple[Tool, ...]:
    pick = sum(address.encode())
    method, target = (("REGISTER", HONEYPOTS[3]), ("OPTIONS", HONEYPOTS[pick % 4]))[pick % 3 == 0]
    options = ("-e", f"{100 * (1 + pick % 7)}-{100 * (1 + pick % 7) + 14}", "-m", method, "--force")
    return (Tool(("svwar", *options, *bound(address), "--maximumtime", "2", target), 9, address),)


def _svcrack(address: str) -> tuple[Tool, ...]:
    pick = sum(address.encode())
    options = ("-u", ("100", "1000", "200")[pick % 3], "-d", "passwords.txt", *bound(address), "--maximumtime", "2")
    return (Tool(("svcrack", *options, HONEYPOTS[pick % 4]), 9, address),)


def _sipp(address: str) -> tuple[Tool, ...]:
    options = ("-i", address, "-p", "5060", "-m", "2", "-r", "2", "-d", "200", "-nostdin", "-timeout", "6")
    return (Tool(("sipp", HONEYPOTS[sum(address.encode()) % 4], "-sn", "uac", "-s", "1000", *options), timeout=9),)


def _nmap_udp(address: str) -> tuple[Tool, ...]:
    return (Tool(("nmap", "-sU", "-p", "5060", *_nmap_options(address), *HONEYPOTS), timeout=20),)


def _nmap_tcp(address: str) -> tuple[Tool, ...]:
    target = HONEYPOTS[sum(address.encode()) % 4]
    return (
        Tool(("nmap", "-sT", "-sV", "--version-intensity", "4", "-p", "5060", *_nmap_options(address), target), 40),
    )


def _nmap_options(address: str) -> tuple[str, ...]:
    return "-n", "-Pn", "-S", address, "-e", "eth0"


def sipsak_visits(addresses: Sequence[str]) -> Phase:
    """sipsak from a few places."""
    rng = random.Random("sipsak")
    tools, placed = [], {}
    for n, address in enumerate(addresses):
        for target in rng.sample(HONEYPOTS, 2):
            more = ("-U", "-I", "-a", "secret") if n % 5 == 4 else ()
            command = ("sipsak", *more, "-v", "-s", f"sip:{rng.choice(COMMON_USERS)}@{target}")
            tools.append(Tool(command, 4, address))
        start, _ = some_time(rng)
        placed[address] = (start, min(start + 0.2, -0.05))
    return Phase("sipsak", "background", placed, tools=tools)


SIPSAK_VISITORS = 8


def cast() -> tuple[list[Scanner], list[Scanner], list[Scanner]]:
    """The scanners: those for real tools, for sipsak, and the crowd."""
    busy = {dialler.address for dialler in diallers()}
    free = [scanner for scanner in plan.scanners() if scanner.address not in busy]
    sipsak_from = REAL_TOOLS + SIPSAK_VISITORS
    return free[:REAL_TOOLS], free[REAL_TOOLS:sipsak_from], free[sipsak_from:]


def all_phases() -> list[Phase]:
    """The whole scene, in recording order."""
    with_tools, with_sipsak, others = cast()
    return [
        sweep(1, messages.sweep_register, (-52.3, -48.3)),
        war_dialling(),
        sweep(2, messages.sweep_register, (-28.3, -24.3)),
        answered_calls(),
        forging(),
        toll_fraud(),
        letter_of_2010(),
        relay_hunting(),
        honest_calls(),
        real_tools(with_tools),
        sipsak_visits([scanner.address for scanner in with_sipsak]),
        crowd(others),
        sweep(3, messages.sweep_invite, (-4.3, -0.3)),
    ]
