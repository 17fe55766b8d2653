"""What really happened: for each request that a honeypot recorded, its campaign, its path and its origin.

Known by construction, not read from the messages: campaigns that use relays are recorded one after the other, so the
moment of a relayed request says whose it is, and who sends directly has an address of its own.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import phases
import plan
from phases import Phase

from relaytrap.observation import Observation
from relaytrap.sample.timeline import Anchors
from relaytrap.sip import Request, parse_message

CAMPAIGNS: dict[str, dict[str, Any]] = {
    "sweep": {
        "title": "The 2022 story: extensions 100 to 1000, each once a night, over 116 open relays and four honeypots",
        "goal": "extension sweep",
        "origin": plan.SWEEPER,
        "program": "own sender; relays by Kamailio and own b2bua.py",
        "range": [100, 1000],
        "rounds": 3,
    },
    "war-dialling": {
        "title": "svwar through four of the same relays",
        "goal": "extension sweep",
        "origin": plan.WAR_DIALLER,
        "program": "SIPVicious svwar",
    },
    "answered-calls": {
        "title": "Calls abroad through record-routing relays",
        "goal": "toll-fraud probing",
        "origin": plan.CALLER,
        "program": "sipp",
    },
    "forging": {
        "title": "Made-up Vias that name a clinic, half of them through relays",
        "goal": "unknown",
        "origin": plan.FORGER,
        "framed": plan.CLINIC,
        "program": "own sender",
    },
    "toll-fraud": {
        "title": "Few numbers under many prefixes, from six countries",
        "goal": "toll-fraud probing",
        "origins": [dialler.address for dialler in phases.diallers()],
        "program": "own sender in the manner of a three-integer prober",
    },
    "2010": {
        "title": "The 2010 story: one INVITE that says eyeBeam",
        "goal": "toll-fraud probing",
        "origin": plan.OLD_DIALLER,
        "program": "own sender",
    },
    "relay-hunting": {
        "title": "OPTIONS for a host somewhere else",
        "goal": "open-relay hunting",
        "origin": plan.RELAY_HUNTER,
        "program": "own sender",
    },
    "honest-calls": {
        "title": "A carrier's customer calls through the carrier's proxy",
        "legitimate": True,
        "origin": plan.CUSTOMER,
        "program": "own sender; Kamailio as the proxy",
    },
    "background": {
        "title": "Everybody else: each source by itself",
        "each_source_by_itself": True,
        "program": "SIPVicious, sipp, sipsak, nmap; own sender in the manner of others",
    },
}


@dataclass
class Window:
    """A phase as it was recorded: nanoseconds, UTC."""

    phase: Phase
    began_ns: int
    ended_ns: int
    seen: dict[str, tuple[int, int]] = field(default_factory=dict)

    def covers(self, moment_ns: int) -> bool:
        return self.began_ns <= moment_ns <= self.ended_ns

    def see(self, source: str, moment_ns: int) -> None:
        """Remember the first and last dialogue of whoever the phase places: a direct source, or "" for the relays."""
        who = source if source in self.phase.placed else ""
        first, last = self.seen.get(who, (moment_ns, moment_ns))
        self.seen[who] = min(first, moment_ns), max(last, moment_ns)


@dataclass
class Labels:
    """The labels of one capture; paths as indices into a shared list."""

    rows: list[tuple[int, str, int]] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)


class Judge:
    """Says whose a recorded request is."""

    def __init__(self, windows: list[Window]) -> None:
        self.windows = windows
        self.relays = {relay.address: relay for relay in (*plan.relays(), *plan.exits())}
        self.entries = {relay.next_hop: relay.address for relay in plan.relays() if relay.next_hop}
        self.paths: dict[tuple[str, ...], int] = {}

    def label(self, observations: Iterable[Observation]) -> Labels:
        """Labels of everything a honeypot received, requests and what could not be read; frames count from 1."""
        labels = Labels()
        anchors = Anchors()
        for frame, observation in enumerate(observations, 1):
            anchor_ns = anchors.anchor_ns(observation)
            found = self.whose(observation.source, anchor_ns)
            if observation.direction == "out":
                continue
            if found is None:
                labels.unknown[observation.source] += 1
                continue
            campaign, path = found
            if isinstance(parse_message(observation.raw), Request):
                labels.rows.append((frame, campaign, self.paths.setdefault(path, len(self.paths))))
        return labels

    def whose(self, source: str, moment_ns: int) -> tuple[str, tuple[str, ...]] | None:
        """(campaign, path from the origin to the source); None when nobody of the cast can have sent it."""
        window = next((w for w in self.windows if w.covers(moment_ns)), None)
        if window is None:
            return None
        phase = window.phase
        window.see(source, moment_ns)
        if source == plan.CARRIER:
            return phase.campaign, (plan.CUSTOMER, plan.CARRIER)
        if source in phase.placed:
            return phase.campaign, (source,)
        origin = CAMPAIGNS[phase.campaign].get("origin")
        if source not in self.relays or not origin:
            return None
        entry = self.entries.get(source)
        return phase.campaign, (origin, entry, source) if entry else (origin, source)


def timeline(windows: list[Window], began_ns: int) -> list[dict[str, Any]]:
    """Where on the timeline each phase belongs; see relaytrap.sample.timeline. Labels must have been given before."""

    def second(moment_ns: int) -> float:
        return round((moment_ns - began_ns) / 1e9, 6)

    return [
        {
            "phase": window.phase.name,
            "recorded_s": [second(window.began_ns), second(window.ended_ns)],
            "stays": {
                who: [second(first), second(last), *(round(hour, 4) for hour in window.phase.placed[who])]
                for who, (first, last) in window.seen.items()
            },
        }
        for window in windows
    ]


def actors() -> dict[str, dict[str, str]]:
    """Everybody with a part that a reader may look for; the world's scanners are in the timeline."""
    cast: dict[str, dict[str, str]] = {}
    for relay in (*plan.relays(), *plan.exits()):
        cast[relay.address] = {"role": "open relay", "kind": relay.kind, "brand": relay.brand}
        if relay.next_hop:
            cast[relay.address]["next_hop"] = relay.next_hop
    for sensor in plan.SENSORS:
        cast |= {address: {"role": "honeypot", "sensor": sensor.name} for address in sensor.addresses}
    for key, campaign in CAMPAIGNS.items():
        if "origin" in campaign:
            cast[campaign["origin"]] = {"role": "origin", "campaign": key}
    cast[plan.CUSTOMER] = {"role": "honest caller", "campaign": "honest-calls"}
    cast[plan.CARRIER] = {"role": "honest proxy", "campaign": "honest-calls"}
    cast[plan.CLINIC] = {"role": "innocent", "named_by": "forging"}
    cast[plan.BYSTANDER] = {"role": "innocent", "named_by": "the lying relay"}
    return cast
