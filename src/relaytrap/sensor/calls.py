"""Calls that ring or seem to stand: what an in-dialog request or a CANCEL is about (RFC 3261 section 12). Bounded."""

import re
from collections import OrderedDict
from functools import lru_cache
from typing import Final, TypeAlias

from relaytrap.sensor.flow import Flow
from relaytrap.sip import Request
from relaytrap.sip.transaction import Transaction

__all__ = ["Call", "Calls", "is_number"]

CALLS_MAX: Final = 4096
CALLS_MAX_BYTES: Final = 4 << 20
Key: TypeAlias = tuple[str, bytes | None, bytes | None, bytes | None]


class Call:
    """One INVITE that rang. local_tag: ours, in To. is_over: cancelled or hung up."""

    __slots__ = ("is_over", "key", "local_tag", "transaction")

    def __init__(self, key: Key, local_tag: bytes, transaction: Transaction) -> None:
        self.key = key
        self.local_tag = local_tag
        self.transaction = transaction
        self.is_over = False


class Calls:
    """The calls of one sensor; the oldest is forgotten when one more would exceed either limit.

    max_bytes: of the INVITEs held. A call outlives its transaction, and so what that table may hold.
    """

    def __init__(self, calls_max: int = CALLS_MAX, max_bytes: int = CALLS_MAX_BYTES) -> None:
        self._max = calls_max
        self._max_bytes = max_bytes
        self._bytes = 0
        self._by_dialog: OrderedDict[Key, Call] = OrderedDict()
        self._by_transaction: dict[Transaction, Call] = {}

    def __len__(self) -> int:
        return len(self._by_dialog)

    def open(self, transaction: Transaction, flow: Flow, local_tag: bytes) -> Call:
        """A call that begins to ring."""
        request = transaction.request
        call = Call((flow.source, request.call_id, request.from_tag, local_tag), local_tag, transaction)
        if (same := self._by_dialog.get(call.key)) is not None:
            self._forget(same)
        size = len(request.raw)
        while self._by_dialog and (len(self._by_dialog) >= self._max or self._bytes + size > self._max_bytes):
            self._forget(next(iter(self._by_dialog.values())))
        self._by_dialog[call.key] = self._by_transaction[transaction] = call
        self._bytes += size
        return call

    def of(self, transaction: Transaction) -> Call | None:
        """The call that an INVITE transaction opened."""
        return self._by_transaction.get(transaction)

    def find(self, request: Request, flow: Flow) -> Call | None:
        """The call that an in-dialog request is about: begun from the same address, and not refused."""
        call = self._by_dialog.get((flow.source, request.call_id, request.from_tag, request.to_tag))
        return call if call is not None and call.transaction.last_status < 300 else None

    def end(self, call: Call) -> None:
        """Hung up, cancelled or refused."""
        call.is_over = True
        self._forget(call)

    def _forget(self, call: Call) -> None:
        if self._by_transaction.pop(call.transaction, None) is not None:
            del self._by_dialog[call.key]
            self._bytes -= len(call.transaction.request.raw)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def is_number(pattern: str, user: bytes) -> bool:
    """Whether a user part is a number that the persona rings for."""
    return len(user) <= 64 and _compiled(pattern).fullmatch(user.decode("ascii", "replace")) is not None
