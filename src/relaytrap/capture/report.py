"""What was found in a capture, what was not, and why."""

from array import array
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final

from relaytrap.capture.recognition import begins_cut_request
from relaytrap.sip import Message, Request, Response

__all__ = ["CaptureReport", "DistinctDigests"]


MAX_NAMES: Final = 1024
"""Methods, or status codes, that are counted each by itself: anyone can write a new one in every message."""
MAX_NAME: Final = 128
OTHERS: Final = "(others)"
BUCKETS: Final = 256
MIN_LIMIT: Final = 64


class DistinctDigests:
    """How many 64-bit digests differ, at 8 to 16 octets each: a set takes a hundred, and captures have millions."""

    __slots__ = ("_buckets", "_limits")

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(BUCKETS)]
        self._limits = [MIN_LIMIT] * BUCKETS

    def add(self, digest: int) -> None:
        place = digest % BUCKETS
        self._buckets[place].append(digest)
        if len(self._buckets[place]) > self._limits[place]:
            self._settle(place)

    def __len__(self) -> int:
        for place in range(BUCKETS):
            self._settle(place)
        return sum(map(len, self._buckets))

    def _settle(self, place: int) -> None:
        """Leave each digest of a bucket once."""
        self._buckets[place] = distinct = array("Q", set(self._buckets[place]))
        self._limits[place] = max(MIN_LIMIT, 2 * len(distinct))


@dataclass(slots=True)
class CaptureReport:
    """Counts of one capture, or of several merged.

    packets: packets (or HEP packets) in the container, whatever they carry.
    observations: what the reader handed on: messages, incomplete ones and, from a sensor's segments, everything.
    messages: SIP messages, whole or cut by the capture's snap length.
    incomplete: messages handed on with octets missing that the network or the capture lost.
    unread: reason -> count; packets, unless the reason names something else.
    methods, status, call_ids, anomalies: filled by `inspect` only; of `messages`, not of incomplete ones. Names beyond
        MAX_NAMES count together, under OTHERS.
    """

    packets: int = 0
    observations: int = 0
    messages: int = 0
    incomplete: int = 0
    methods: Counter[str] = field(default_factory=Counter)
    status: Counter[str] = field(default_factory=Counter)
    anomalies: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    call_ids: DistinctDigests = field(default_factory=DistinctDigests)
    """Of Call-IDs: enough to count them without keeping them."""

    def inspect(self, message: Message, *, cut: bool = False) -> None:
        """Count what a parsed message says. Whoever parses anyway calls this; the reader itself never parses.

        cut: its end is missing (`is_cut`), so that neither anomalies nor a Call-ID on its last line count.
        """
        if isinstance(message, Request):
            _count(self.methods, message.method)
        elif isinstance(message, Response):
            _count(self.status, b"%d" % message.status_code)
        elif cut and begins_cut_request(message.raw):
            _count(self.methods, message.raw.split(maxsplit=1)[0])
        self._count_call_id(message, cut)
        if not cut:
            for anomaly in message.anomalies:
                self.anomalies[anomaly.name] += 1

    def _count_call_id(self, message: Message, cut: bool) -> None:
        call_id = message.headers.get(b"call-id")
        if not call_id:
            return
        if cut:
            *_, last = message.headers
            if last.name == b"call-id":
                return
        self.call_ids.add(int.from_bytes(blake2b(call_id, digest_size=8).digest(), "big"))

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; Counters most frequent first, `call_ids` as their number."""
        return {
            "packets": self.packets,
            "messages": self.messages,
            "incomplete": self.incomplete,
            "observations": self.observations,
            "methods": dict(self.methods.most_common()),
            "status": dict(self.status.most_common()),
            "call_ids": len(self.call_ids),
            "anomalies": dict(self.anomalies.most_common()),
            "unread": dict(self.unread.most_common()),
        }


def _count(names: Counter[str], octets: bytes) -> None:
    name = octets[:MAX_NAME].decode("ascii", "backslashreplace")
    names[name if name in names or len(names) < MAX_NAMES else OTHERS] += 1
