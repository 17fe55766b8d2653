"""One whole test as the command line and the page run it: options in, report out."""

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass

from relaytrap.clock import monotonic, now_ns, rfc3339
from relaytrap.errors import InputError, ListenError, RelaytrapError
from relaytrap.probe.place import Place, parse_name, parse_place, parse_places
from relaytrap.probe.plan import Plan, Progress
from relaytrap.probe.remote import CONTROL_PORT, JoinToken, RemoteWatch
from relaytrap.probe.report import Report, build_report
from relaytrap.probe.request import METHODS
from relaytrap.probe.run import Run
from relaytrap.probe.target import Target, version_of
from relaytrap.probe.tricks import STANDARD, TRICKS
from relaytrap.probe.witness import WITNESS_PORT, LocalWatch, Watch, Witnesses
from relaytrap.sip.uri import host_port

__all__ = ["Options", "address_towards", "conduct"]

NUMBER = re.compile(r"\+?[0-9]{2,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Options:
    """What a user chose; empty values mean the usual.

    tester: our own address. witness, witness_public: ADDR, ADDR:PORT or [IPV6]:PORT, or an IPv4 and an IPv6 one with
    a comma between; where it listens and how others reach it. witness_token: it runs already on another machine, where
    `witness` names the host and port to join it at. number: a telephone number of the user's own. register:
    try the registrar too. private_allowed: whether private addresses may be tested. opted_out: see Plan. witnesses:
    those that the tests of this process share; None for a test that is the only one.
    """

    transports: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    domain: str = ""
    thorough: bool = False
    number: str = ""
    register: bool = False
    tester: str = ""
    witness: str = ""
    witness_public: str = ""
    witness_token: str = ""
    private_allowed: bool = True
    opted_out: Callable[[str], str] = lambda address: ""
    witnesses: Witnesses | None = None

    @property
    def tricks(self) -> tuple[str, ...]:
        """Names of the tricks that this choice means."""
        chosen = tuple(name for name, trick in TRICKS.items() if trick.group != "asked") if self.thorough else STANDARD
        return (*chosen, "number") if self.number else chosen


async def conduct(target: Target, options: Options, on_progress: Callable[[Progress], None]) -> Report:
    """Run the test and put its result in order. Raises InputError or ListenError with one sentence."""
    if options.number and not NUMBER.fullmatch(options.number):
        raise InputError(f"{options.number!r} is no telephone number; write +4930123456, digits only")
    testers = _testers(target, options.tester)
    tester = testers.pop(version_of(target.address), "") or testers.pop(next(iter(testers)))
    plan = Plan(
        target,
        tester,
        other_tester="".join(testers.values()),
        tricks=options.tricks,
        methods=options.methods or METHODS,
        number=options.number,
        register=options.register,
        private_allowed=options.private_allowed,
        opted_out=options.opted_out,
    )
    started_ns, started = now_ns(), monotonic()
    watch = await _open_watch(options, plan)
    try:
        run = Run(plan, watch, on_progress)
        await run.run()
    finally:
        watch.close()
    return build_report(
        target.named,
        run.outcomes,
        witness_reachable=run.witness_reachable,
        tested_from=" and ".join(plan.testers.values()),
        witness=" and ".join(host_port(*place) for place in run.witness_places),
        started_at=rfc3339(started_ns),
        seconds=monotonic() - started,
        not_offered=run.not_offered,
        tricks=options.tricks,
    )


def address_towards(target: Target) -> str:
    """Our address on the way to the target. Raises InputError when there is no way."""
    return _address_towards(target.address, target.endpoints[0].port)


def _address_towards(address: str, port: int) -> str:
    """Our address on the way to another; connecting a UDP socket sends nothing."""
    family = socket.AF_INET6 if version_of(address) == 6 else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        try:
            way.connect((address, port))
        except OSError as error:
            raise InputError(
                f"no way to {address} from here ({error.strerror}); choose an address with --from"
            ) from None
        return str(way.getsockname()[0])


def _testers(target: Target, wanted: str) -> dict[int, str]:
    """Our own addresses by IP version, for the versions that the target has; at least one."""
    first = {version_of(each.address): each for each in reversed(target.endpoints)}
    found: dict[int, str] = {}
    if wanted:
        wanted = parse_place(wanted, 0)[0]
        version = version_of(wanted)
        if version not in first:
            raise InputError(f"--from {wanted} cannot reach {target.named}, which has no IPv{version} address")
        found[version] = wanted
    trouble: InputError | None = None
    for version, endpoint in first.items():
        try:
            found.setdefault(version, _address_towards(endpoint.address, endpoint.port))
        except InputError as error:
            trouble = error
    if not found and trouble:
        raise trouble
    return found


async def _open_watch(options: Options, plan: Plan) -> Watch:
    """The witness that the user named, or one here."""
    if options.witness_token:
        if not options.witness:
            raise InputError("--witness-token needs --witness HOST, where that witness runs")
        if options.witness_public:
            raise InputError("--witness-public is for a witness here; give the other machine's as its --public")
        remote = RemoteWatch()
        await remote.open(*parse_name(options.witness, CONTROL_PORT), JoinToken.parse(options.witness_token))
        return remote
    watch = LocalWatch(options.witnesses)
    try:
        await _listen(watch, options, plan)
    except RelaytrapError:
        watch.close()
        raise
    return watch


async def _listen(watch: LocalWatch, options: Options, plan: Plan) -> None:
    """A witness of each IP version that we test from: where the user said, else where we are."""
    named = parse_places(options.witness, WITNESS_PORT)
    public = parse_places(options.witness_public, WITNESS_PORT)
    usual = {version: (address, WITNESS_PORT) for version, address in plan.testers.items()}
    for version, place in (usual | named).items():
        if ipaddress.ip_address(place[0]).is_unspecified and version not in public:
            raise InputError(f"probes cannot name {place[0]} as the witness; give its address, or --witness-public")
        await _listen_at(watch, place, public.get(version), any_port=version not in named)


async def _listen_at(watch: LocalWatch, place: Place, public: Place | None, *, any_port: bool) -> None:
    """Listen at a place, or at another port when it is taken and any serves."""
    try:
        await watch.open(*place, public=public)
    except OSError as error:
        if any_port:
            await _listen_at(watch, (place[0], 0), public, any_port=False)
            return
        where = host_port(place[0], place[1] or None)
        raise ListenError(
            f"cannot listen on {where} ({error.strerror}); choose another with --from or --witness, or wait if another "
            "test is running there"
        ) from None
