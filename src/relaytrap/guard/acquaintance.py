"""Whom a guard came to know in the traffic itself: who showed a password, which dialogs there are, what was challenged.

None of it reaches back before the traffic began, nor further than memory: who asks must mind `reaches_back`.
"""

from typing import Final

from relaytrap.evidence.dialplan import CORE_MIN
from relaytrap.guard.memory import Recent, key_of
from relaytrap.guard.transaction import Leg
from relaytrap.sip import Request, Response

__all__ = ["SOON_NS", "Acquaintance", "ends_alike"]

LONG_ENOUGH_NS: Final = 3_600_000_000_000
"""Nearly every call is shorter than an hour, nearly every registration and nonce is renewed within one."""
USER_NS: Final = 24 * LONG_ENOUGH_NS
CALLS_KEPT: Final = 1 << 10
SOON_NS: Final = 10_000_000_000
"""A server that calls on for somebody does so within seconds."""
BEGIN_DIALOGS: Final = frozenset({b"INVITE", b"SUBSCRIBE", b"REFER"})
TAGS_MAX: Final = 16


class Acquaintance:
    """What was learned, each bounded by itself.

    challenges_calls: whether our edge was ever seen asking a caller for a password.
    """

    def __init__(self) -> None:
        self.began_ns = 0
        self.challenges_calls = False
        # Whether the password was one that we had asked for. An address is somebody else's sooner or later.
        self._users: Recent[bool] = Recent(keep_ns=USER_NS)
        self._nonces: Recent[None] = Recent()
        self._dialogs: Recent[tuple[int, ...]] = Recent()
        # What left our edge, by the number that it calls and by whom it asks for.
        self._calls: Recent[Leg] = Recent(CALLS_KEPT)
        self._asked: Recent[Leg] = Recent(CALLS_KEPT)

    # ---- learning ------------------------------------------------------------------------------------------------

    def note_user(self, address: str, now_ns: int, *, was_asked: bool) -> None:
        """Somebody at this address showed a password that was taken. was_asked: and that our own edge had asked for."""
        self._users.put(address, was_asked or self.is_user(address), now_ns)

    def note_challenge(self, response: Response, now_ns: int) -> None:
        """Our own edge asked for a password."""
        for challenge in response.challenges:
            if nonce := challenge.get(b"nonce"):
                self._nonces.put(key_of(nonce), None, now_ns)
                self.challenges_calls |= response.cseq is not None and response.cseq.method == b"INVITE"

    def note_dialog(self, response: Response, now_ns: int) -> None:
        """An answer that opens a dialog, or keeps one."""
        call_id, cseq = response.call_id, response.cseq
        if call_id is None or cseq is None or cseq.method not in BEGIN_DIALOGS:
            return
        if 100 < response.status_code < 300 and response.to_tag and response.from_tag:
            key = key_of(call_id)
            known = self._dialogs.get(key) or ()
            fresh = {key_of(response.to_tag), key_of(response.from_tag)} - set(known)
            self._dialogs.put(key, (tuple(fresh) + known)[:TAGS_MAX], now_ns)

    def note_asked(self, leg: Leg) -> None:
        """Our own edge asks somebody outside, and nobody was seen asking it to."""
        uri, moment = leg.request.uri, leg.observation.received_at_ns
        if uri is None:
            return
        self._asked.put(_target_key(leg), leg, moment)
        if leg.request.method == b"INVITE" and (core := _core(uri.user_text)):
            self._calls.put(core, leg, moment)

    # ---- asking --------------------------------------------------------------------------------------------------

    def is_user(self, address: str) -> bool:
        """Whether somebody there showed a password that we had asked for."""
        return self._users.get(address) is True

    def may_be_user(self, address: str) -> bool:
        """Whether somebody there showed a password, perhaps for a challenge that came before the traffic."""
        return address in self._users

    def is_known_dialog(self, request: Request, now_ns: int) -> bool:
        """Whether a request belongs to a dialog whose beginning was seen; keeps that in mind."""
        if request.call_id is None or not request.to_tag:
            return False
        key = key_of(request.call_id)
        tags = self._dialogs.get(key)
        if tags is None or key_of(request.to_tag) not in tags or key_of(request.from_tag) not in tags:
            return False
        self._dialogs.put(key, tags, now_ns)
        return True

    def has_answered_challenge(self, request: Request) -> bool:
        """Whether its credentials are for a challenge of ours."""
        return any(
            (nonce := each.get(b"nonce")) is not None and key_of(nonce) in self._nonces for each in request.credentials
        )

    def call_for(self, leg: Leg) -> Leg | None:
        """The call that left our edge for the same number within seconds, under whatever Call-ID."""
        uri = leg.request.uri
        return _soon_after(leg, self._calls.get(_core(uri.user_text))) if uri is not None else None

    def asked_for(self, leg: Leg) -> Leg | None:
        """The request of our edge's own for the same user at the same host within seconds."""
        return _soon_after(leg, self._asked.get(_target_key(leg)))

    def remembers_dialogs(self, now_ns: int) -> bool:
        """Whether a dialog that is not known was most likely never begun."""
        return self._reaches_back(self._dialogs.since_ns, now_ns)

    def remembers_challenges(self, now_ns: int) -> bool:
        """The same of a challenge."""
        return self._reaches_back(self._nonces.since_ns, now_ns)

    def remembers_users(self, now_ns: int) -> bool:
        """The same of a registration."""
        return self._reaches_back(self._users.since_ns, now_ns)

    def _reaches_back(self, since_ns: int, now_ns: int) -> bool:
        return now_ns - max(since_ns, self.began_ns) >= LONG_ENOUGH_NS


def ends_alike(one: bytes | None, other: bytes | None) -> bool:
    """Whether two user parts can dial the same number under different prefixes."""
    first, second = _digits(one), _digits(other)
    length = min(len(first), len(second), CORE_MIN)
    return length > 0 and first[-length:] == second[-length:]


def _soon_after(leg: Leg, onward: Leg | None) -> Leg | None:
    if onward is None or onward.source != leg.destination:
        return None
    after_ns = onward.observation.received_at_ns - leg.observation.received_at_ns
    return onward if 0 <= after_ns <= SOON_NS else None


def _target_key(leg: Leg) -> int:
    uri = leg.request.uri
    return key_of(leg.request.method, uri.user_text, uri.host.lower()) if uri is not None else 0


def _core(user: bytes | None) -> bytes:
    """The digits at the end of a dialled number, which no prefix reaches into; empty for fewer."""
    digits = _digits(user)
    return digits[-CORE_MIN:] if len(digits) >= CORE_MIN else b""


def _digits(user: bytes | None) -> bytes:
    return bytes(octet for octet in user or b"" if 0x30 <= octet <= 0x39)
