"""One whole test as the command line and the page run it: options in, report out."""

import ipaddress
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass

from relaytrap.clock import monotonic, now_ns, rfc3339
from relaytrap.errors import InputError
from relaytrap.probe.plan import Plan, Progress
from relaytrap.probe.report import Report, build_report
from relaytrap.probe.request import METHODS
from relaytrap.probe.run import Run
from relaytrap.probe.target import Target
from relaytrap.probe.tricks import STANDARD, TRICKS, host_port

__all__ = ["Options", "address_towards", "conduct"]

WITNESS_PORT = 5060
NUMBER = re.compile(r"\+?[0-9]{2,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Options:
    """What a user chose; empty values mean the usual.

    tester: our own address. witness, witness_public: ADDR, ADDR:PORT or [IPV6]:PORT, where it listens and how others
    reach it. number: a telephone number of the user's own. register: try the registrar too. private_allowed: whether
    private addresses may be tested. opted_out: see Plan.
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
    private_allowed: bool = True
    opted_out: Callable[[str], str] = lambda address: ""

    @property
    def tricks(self) -> tuple[str, ...]:
        """Names of the tricks that this choice means."""
        chosen = tuple(name for name, trick in TRICKS.items() if trick.group != "asked") if self.thorough else STANDARD
        return (*chosen, "number") if self.number else chosen


async def conduct(target: Target, options: Options, on_progress: Callable[[Progress], None]) -> Report:
    """Run the test and put its result in order. Raises InputError or ListenError with one sentence."""
    tester = options.tester or address_towards(target)
    witness = _parse_place(options.witness, tester)
    public = _parse_place(options.witness_public, "") if options.witness_public else ("", 0)
    if ipaddress.ip_address(witness[0]).is_unspecified and not public[0]:
        raise InputError(f"probes cannot name {witness[0]} as the witness; give its address, or --witness-public")
    if options.number and not NUMBER.fullmatch(options.number):
        raise InputError(f"{options.number!r} is no telephone number; write +4930123456, digits only")
    plan = Plan(
        target,
        tester,
        witness_public=public,
        tricks=options.tricks,
        methods=options.methods or METHODS,
        number=options.number,
        register=options.register,
        private_allowed=options.private_allowed,
        opted_out=options.opted_out,
    )
    started_ns, started = now_ns(), monotonic()
    run = Run(plan, on_progress)
    await run.run(*witness, any_port=not options.witness)
    seen_as = public if public[0] else run.witness_seen_as or run.witness_at
    return build_report(
        target.named,
        run.outcomes,
        witness_reachable=run.witness_reachable,
        tested_from=tester,
        witness=host_port(*seen_as),
        started_at=rfc3339(started_ns),
        seconds=monotonic() - started,
        not_offered=run.not_offered,
        tricks=options.tricks,
    )


def address_towards(target: Target) -> str:
    """Our address on the way to the target; connecting a UDP socket sends nothing."""
    family = socket.AF_INET6 if ":" in target.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as way:
        try:
            way.connect((target.address, target.endpoints[0].port))
        except OSError as error:
            raise InputError(
                f"no way to {target.address} from here ({error.strerror}); choose an address with --from"
            ) from None
        return str(way.getsockname()[0])


def _parse_place(text: str, address: str) -> tuple[str, int]:
    """ADDR, ADDR:PORT or [IPV6]:PORT with defaults for what is missing."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        number = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, number = text.partition(":")
    else:
        host, number = text, ""
    if number and not (number.isascii() and number.isdecimal() and 0 < int(number) < 65536):
        raise InputError(f"{text!r}: there is no port {number!r}")
    try:
        ip = ipaddress.ip_address(host or address)
    except ValueError:
        raise InputError(f"{text or address!r} is no address; write ADDR, ADDR:PORT or [IPV6]:PORT") from None
    return str(ip), int(number or WITNESS_PORT)
