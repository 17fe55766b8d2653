"""A policy proposed from honest traffic: what the edge is, whom it serves, who forwards to it. To be read before use.

Only what was served counts: a request answered with success, or handed on and answered. An attacker who is refused
proposes nothing; one who is served would, and that is why somebody must read it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

from relaytrap.evidence.path import address_text, is_public
from relaytrap.guard.transaction import Answer, Leg, Transaction, key_of_message, way_of
from relaytrap.observation import Observation
from relaytrap.sip import Request, Response, parse_message

__all__ = ["Suggestion"]

HELD_MAX: Final = 1 << 16
COUNTED_MAX: Final = 4096
Text = TypeVar("Text", str, bytes)
LISTED: Final = 64
DOMAIN: Final = re.compile(rb"(?i)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")


class Suggestion:
    """Takes messages in, gives a settings file."""

    def __init__(self) -> None:
        self._open: dict[int, Transaction] = {}
        self._messages = 0
        # Address → how often it answered with success, passed on, registered, began a call, began one with Vias below.
        self._serves: Counter[str] = Counter()
        self._forwards: Counter[str] = Counter()
        self._registers: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._called: Counter[str] = Counter()
        self._hands_on: Counter[str] = Counter()
        self._domains: Counter[bytes] = Counter()
        # What the edge is asked as and does not have: its address outside a translation.
        self._translated: Counter[str] = Counter()
        self._asked_at: dict[str, str] = {}
        self._hops: dict[str, int] = defaultdict(int)

    def take(self, seen: Observation) -> None:
        """One message."""
        self._messages += 1
        message = parse_message(seen.raw)
        if not isinstance(message, Request | Response):
            return
        key = key_of_message(message)
        source, _, destination, _ = way_of(seen)
        if key is None:
            return
        if isinstance(message, Request):
            if len(self._open) >= HELD_MAX:
                self._open.pop(next(iter(self._open)))
            transaction = self._open.setdefault(key, Transaction(seen.received_at_ns))
            transaction.add_leg(Leg(seen, message, source, destination, message.via_count))
        elif (known := self._open.get(key)) is not None:
            known.add_answer(Answer(seen, message, source, destination))
            if known.is_final:
                self._count(self._open.pop(key))

    def lines(self) -> Iterator[str]:
        """The settings, each with what speaks for it."""
        edges = self._edges()
        domains = [name for name, _ in self._domains.most_common(LISTED) if DOMAIN.fullmatch(name)]
        users = [each for each in _often(self._registers) if each not in edges]
        inside = [each for each in users if not is_public(each)]
        handing = [each for each in _often(self._hands_on) if each not in edges and each not in users]
        calling = [each for each in _often(self._calls + self._called) if each not in (*edges, *users, *handing)]
        yield "# Proposed from what was served in this traffic. Read every line: whoever was served stands here, also a"
        yield "# stranger whom an open relay served. Write networks (198.51.100.0/28) where addresses belong together."
        yield f"# {self._messages:,} messages; they end where the captures end, and so does what they show."
        yield ""
        yield "[network]"
        reasons = dict.fromkeys(edges, "answers and hands on: the edge") | dict.fromkeys(
            inside, "registers from inside"
        )
        served = self._serves + self._forwards + self._registers
        outer = [address for address in _often(self._translated) if self._asked_at[address] in edges]
        reasons |= dict.fromkeys(outer, "asked for at the edge and served: its address outside a NAT?")
        yield from _listed("own_networks", reasons, served + self._translated)
        outside = [each for each in users if each not in inside]
        yield from _comments("own_networks", outside, "registers: yours, if it is a fixed address", self._registers)
        named = Counter({name.decode("ascii"): self._domains[name] for name in domains})
        yield from _listed("own_domains", dict.fromkeys(named, "asked for and served"), named)
        why = "handed requests of others on to the edge"
        yield from _listed("known_proxies", dict.fromkeys(handing, why), self._hands_on)
        yield '# home_region = "GB"  # whose dialling rules apply: what is abroad follows from it'
        yield ""
        yield "[guard]"
        yield from _comments(
            "trunks", calling, "calls, or is called, without registering: a carrier?", self._calls + self._called
        )
        yield '# own_numbers = ["+44201234"]'
        most = max((hops for source, hops in self._hops.items() if source not in handing), default=0)
        if most:
            yield f"expected_hops = {most}  # the most that anybody but those proxies came with"

    def _edges(self) -> list[str]:
        """Who hands on; where nobody does, who answers most."""
        return _often(self._forwards) or [address for address, _ in self._serves.most_common(1)]

    def _count(self, transaction: Transaction) -> None:
        first = transaction.first
        answer = transaction.answer_to(first)
        if answer is None or not 200 <= answer.response.status_code < 300:
            return
        request = first.request
        onward = transaction.onward
        _add(self._forwards if onward else self._serves, first.destination)
        if request.uri is not None and not onward:
            address = address_text(request.uri.host)
            if address is None:
                _add(self._domains, request.uri.host.lower())
            elif address != first.destination and not request.to_tag:
                _add(self._translated, address)
                if address in self._translated:
                    self._asked_at[address] = first.destination
        if request.method == b"REGISTER" and request.to_address is not None:
            _add(self._registers, first.source)
            if address_text(request.to_address.uri.host) is None:
                _add(self._domains, request.to_address.uri.host.lower())
        elif request.method == b"INVITE" and not request.to_tag:
            _add(self._calls, first.source)
            for leg in onward:
                _add(self._called, leg.destination)
            if first.via_count > 1:
                _add(self._hands_on, first.source)
        if first.source in self._hops or len(self._hops) < COUNTED_MAX:
            self._hops[first.source] = max(self._hops[first.source], first.via_count)


def _add(counter: Counter[Text], value: Text) -> None:
    if value in counter or len(counter) < COUNTED_MAX:
        counter[value] += 1


def _often(counter: Counter[str]) -> list[str]:
    return [address for address, _ in counter.most_common(LISTED)]


def _listed(key: str, reasons: Mapping[str, str], numbers: Counter[str]) -> Iterator[str]:
    """A setting as a list with a value and what speaks for it on each line."""
    if not reasons:
        yield f"# {key} = []  # nothing in this traffic shows any"
        return
    yield f"{key} = ["
    for value, why in reasons.items():
        yield f'  "{value}",  # {why} ({numbers[value]:,})'
    yield "]"


def _comments(key: str, values: Iterable[str], why: str, numbers: Counter[str]) -> Iterator[str]:
    """Candidates that only the operator can decide on."""
    found = list(values)
    if found:
        yield f"# {key}: which of these are yours?" if key == "own_networks" else f"# {key} = ["
        for value in found:
            yield f'#   "{value}",  # {why} ({numbers[value]:,})'
        if key != "own_networks":
            yield "# ]"
