"""What sensors ship to this hub, on its way to the stream: put together in parcels, each sent until it is there.

Whether a parcel reached the stream is not known when the answer fails to come: it is in doubt. What is in doubt stays
as it is and is sent again under the same name, which the stream recognises; never does one of its segments go into
another parcel meanwhile, for that one would be stored beside it. It is sent again when one of its segments comes again.

A hub that dies forgets what was in doubt; the ledger remembers that it was begun. Such a segment goes in a parcel that
is marked: whoever stores that waits until all that this hub's earlier life may have sent is stored, and leaves out what
the store has.
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from relaytrap.errors import StoreError
from relaytrap.hub.grouping import Grouping
from relaytrap.hub.ledger import Ledger
from relaytrap.hub.parcel import PARCEL_BYTES, Packed, Parcel, Segment, pack
from relaytrap.hub.turns import HubBusy

__all__ = ["NotTaken", "Outbox", "Send"]

Send = Callable[[Parcel, bool], None]

APART_S: Final = 0.2
"""Parcels leave at this distance, unless they are full. An insert costs 30 to 60 ms of CPU, so a hub with any number of
sensors costs a quarter of a core by its inserts. A message is to be seen after 10 s, and a sensor alone waits for
nothing: its segments are 2 s apart."""

IN_DOUBT_MAX: Final = 32
"""Parcels of at most a mebibyte each that are kept for sensors that may never come again."""


class NotTaken(StoreError):
    """The stream has not taken what was sent just now, for certain."""


class Outbox:
    """Takes segments of many threads and returns when the stream has them. Thread-safe."""

    def __init__(self, send: Send, ledger: Ledger, message_bytes: int, *, apart_s: float = APART_S) -> None:
        """send: puts a parcel into the stream, marked or not; returns when it is there, raises NotTaken when it is
        not, StoreError when that is not known. message_bytes: no message may be larger."""
        self._send = send
        self._ledger = ledger
        self._message_bytes = message_bytes
        self._sending: dict[str, _Sending] = {}
        self._parcels: dict[_Sending, None] = {}
        self._mutex = threading.Lock()
        most = min(PARCEL_BYTES, message_bytes)
        self._new, self._marked = (
            Grouping[Packed](partial(self._send_group, marked=marked), most, apart_s=apart_s)
            for marked in (False, True)
        )

    def put(self, segment: Segment, again: bool) -> bool:
        """Returns when the stream has the segment and the ledger knows. False: too large, store it yourself.

        again: it, or a part of it, may be stored already, or be in the stream. Raises StoreError when the stream does
        not answer, HubBusy while another thread asks it for the same parcel; the sensor keeps its segment then. One
        segment is put by one thread at a time.
        """
        with self._mutex:
            in_doubt = self._sending.get(segment.token)
        if in_doubt is not None:
            self._send_again(in_doubt)
            return True
        # The ledger is asked after that: what was in doubt until a moment ago was noted before it was let go. What
        # the caller found there may be older.
        seen = self._ledger.look_up(*segment.key)
        if seen == "again":
            return True
        packed = pack(segment)
        if packed is None or packed.size > self._message_bytes:
            return False
        self._make_room()
        (self._marked if again or seen == "begun" else self._new).add(packed, packed.weight)
        return True

    def _make_room(self) -> None:
        """Where much is in doubt, none of which may ever come again, the oldest is sent again first."""
        with self._mutex:
            oldest = next(iter(self._parcels)) if len(self._parcels) >= IN_DOUBT_MAX else None
        if oldest is not None:
            self._send_again(oldest)

    def _send_group(self, group: Sequence[Packed], *, marked: bool) -> None:
        self._ledger.begin(each.key for each in group)
        sending = _Sending(Parcel(tuple(group)))
        with self._mutex:
            self._parcels[sending] = None
            self._sending |= dict.fromkeys(sending.tokens, sending)
        with sending.turn:
            try:
                self._finish(sending, marked=marked)
            except NotTaken:  # and it was never sent before
                self._let_go(sending)
                raise

    def _send_again(self, sending: "_Sending") -> None:
        if not sending.turn.acquire(blocking=False):
            raise HubBusy
        try:
            if not sending.is_over:
                # It may be there, taken out and forgotten by a stream that was killed, so it may be stored.
                self._finish(sending, marked=True)
        finally:
            sending.turn.release()

    def _finish(self, sending: "_Sending", *, marked: bool) -> None:
        self._send(sending.parcel, marked)
        self._ledger.record_passed(each.key for each in sending.parcel.contents)
        self._let_go(sending)

    def _let_go(self, sending: "_Sending") -> None:
        sending.is_over = True
        with self._mutex:
            del self._parcels[sending]
            for token in sending.tokens:
                del self._sending[token]


class _Sending:
    """A parcel of which it is not known that the stream has it. Whoever has its turn sends it."""

    def __init__(self, parcel: Parcel) -> None:
        self.parcel = parcel
        self.tokens = [each.token for each in parcel.contents]
        self.turn = threading.Lock()
        self.is_over = False
