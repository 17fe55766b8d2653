"""Results of tests, made up: for what is built from them."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from relaytrap.probe.report import build_report
from relaytrap.probe.request import METHODS, Probe
from relaytrap.probe.tricks import STANDARD, Ends
from relaytrap.probe.verdict import Answer, Arrival, Outcome

ENDS = Ends(
    "203.0.113.5", 5060, "pbx.example", "192.0.2.10", 5060, "198.51.100.10", 5061, "k3yabcdefgh1", "99900000001"
)
VIAS = (
    "SIP/2.0/UDP 203.0.113.5;branch=z9hG4bK3f1.0",
    "SIP/2.0/UDP 198.51.100.10:5061;branch=z9hG4bKk3yabcdefgh1;received=198.51.100.10;rport=5061",
)


def arrived(method: str, *, vias: Sequence[str] = VIAS, raw: bytes = b"") -> Arrival:
    """A request as the witness saw it, from the server itself."""
    lines = [f"{method} sip:{ENDS.token}@192.0.2.10 SIP/2.0", *(f"Via: {via}" for via in vias), "Max-Forwards: 6"]
    message = raw or ("\r\n".join(lines) + "\r\n\r\n").encode()
    return Arrival(0.031, "203.0.113.5", 5060, "udp", method, tuple(vias), 6, message, False, "198.51.100.10", 5061)


def outcomes(
    relays: Callable[[Probe], bool] = lambda probe: False, *, server: str = "", arrival: Arrival | None = None
) -> list[Outcome]:
    """What a server gives over UDP and TCP that relays the probes it relays and answers the others with 403."""
    found = []
    for transport in ("udp", "tcp"):
        for method in METHODS:
            for trick in STANDARD:
                probe = Probe(method, transport, trick, ENDS)
                if relays(probe):
                    answers = (Answer(0.05, 486, "Busy Here", True),)
                    found.append(Outcome(probe, (arrival or arrived(method),), answers))
                else:
                    found.append(Outcome(probe, (), (Answer(0.02, 403, "No", False, server),)))
    return found


def report_of(found: Sequence[Outcome], target: str = "pbx.example", *, reachable: bool = True) -> dict[str, Any]:
    """The report as it comes out of the register: JSON's own types."""
    report = build_report(
        target,
        found,
        witness_reachable=reachable,
        tested_from="198.51.100.10",
        witness="192.0.2.10:5060",
        started_at="2026-11-22T01:00:00.000000000Z",
        seconds=31.2,
        not_offered=[],
        tricks=STANDARD,
    )
    loaded: dict[str, Any] = json.loads(json.dumps(report.as_json()))
    return loaded
