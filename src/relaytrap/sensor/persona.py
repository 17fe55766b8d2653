"""The device a sensor plays, read from a data file: what it answers, in whose words, with which habits.

A persona file is TOML; docs/reference/personas.md tells every key. Nothing in it is constant across installations: each
list under `[installation]` gives one of its values, chosen by the installation's seed, and the accounts that seem to
exist are chosen the same way. Reading the file is the caller's; no clock, no socket, no chance here.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Annotated, Any, Final, Literal

import msgspec

from relaytrap.errors import ConfigError
from relaytrap.sensor.pattern import FIELD
from relaytrap.sip import ANOMALIES

__all__ = [
    "Accounts",
    "Answer",
    "Cases",
    "Certificate",
    "Challenge",
    "Http",
    "Persona",
    "Ring",
    "Rule",
    "Wire",
    "parse_persona",
]

FORMAT: Final = 1
LONGEST_USER: Final = 64
"""No account has a longer name. What was worked out for a name is kept, and strangers choose the names."""
COPIED: Final = ("Via", "From", "To", "Call-ID", "CSeq", "Record-Route")
UPGRADED: Final = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Accept": "{accept}",
    "Sec-WebSocket-Protocol": "sip",
}
Seconds = tuple[float, float]


class Wire(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[wire]`: how every answer is written.

    trim: what an answer loses, step by step, until it is as short as it must be. short_tag: To tag of the last resort.
    """

    order: list[str]
    every: list[str] = []
    to_tag: str
    dialog_tag: str = ""
    short_tag: str = "{hex:8}"
    received: Literal["always", "differs"] = "differs"
    rport: Literal["always", "asked"] = "asked"
    via_params: Literal["end", "in-place", "first"] = "in-place"
    addresses: Literal["as-written", "reprinted"] = "as-written"
    trim: list[str] = []
    delay_s: Seconds = (0.0, 0.0)
    tcp_keepalive: bool = False
    tcp_strict: bool = False


class Challenge(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[challenges.NAME]`: how credentials are asked for. short_value, short_nonce: of the last resort."""

    status: str
    header: str
    value: str
    nonce: str
    stale: str = ""
    short_value: str = 'Digest realm="{realm}",nonce="{nonce}"'
    short_nonce: str = "{hex:8}"
    headers: list[str] = []


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[answers.NAME]`: one answer in the product's words. values: in place of those in `[headers]`."""

    status: Annotated[str, msgspec.Meta(pattern="^[1-6][0-9][0-9] [^\\x00-\\x1f]*$")]
    headers: list[str] = []
    values: dict[str, str] = {}
    tag: Literal["plain", "dialog", "none"] = "plain"
    body: Literal["", "sdp"] = ""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[methods.NAME]`: what a request outside a dialog gets. `*` stands for the methods not named.

    Without `challenge`, `answer` at once. With it: `unknown_user` when the account does not exist ("challenge": as for
    one that does), `refused` for a wrong password, `answer` for the right one. trying: goes out before any of them.
    """

    answer: str
    trying: str = ""
    challenge: str = ""
    unknown_user: str = "challenge"
    refused: str = "challenge"


class Ring(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[ring]`: a call that rings and is answered, without media."""

    trying: str
    ringing: str
    answered: str
    unproven: str
    cancelled: str
    ringing_after_s: Seconds = (0.1, 0.5)
    answered_after_s: Seconds = (2.0, 8.0)
    number: str = ".*"
    no_such_number: str
    sdp: list[str]


class Cases(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[cases]`: what belongs to no method. An empty text means silence.

    no_dialog: a To tag that is not ours. no_transaction, cancel: a CANCEL that matches no INVITE, or one. in_dialog: a
    request inside a call. hops_spent: Max-Forwards 0; None: not looked at. options_without_user: an OPTIONS for the
    machine itself. rejections: by the name of an anomaly, also of one that `sip.validate` lets pass (the first in the
    file decides), or else by the status that is owed; "accept" goes on as if nothing were wrong.
    """

    no_dialog: str = ""
    no_transaction: str = ""
    cancel: str = ""
    in_dialog: str = ""
    hops_spent: str | None = None
    options_without_user: str = ""
    rejections: dict[str, str] = {}


class Accounts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[accounts]`: which users seem to exist, and how many of them have a password that can be guessed."""

    users: list[str] = []
    share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    weak_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.1
    passwords: tuple[str, ...] = ("{user}",)


class Http(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[http]`: what it says to who speaks HTTP.

    websocket: whether SIP is spoken inside (RFC 7118). path: where; empty: anywhere. upgraded: headers of the answer
    that opens it.
    """

    status: Annotated[str, msgspec.Meta(pattern="^[2-5][0-9][0-9] [^\\x00-\\x1f]*$")] = "404 Not Found"
    headers: dict[str, str] = {}
    body: str = ""
    websocket: bool = True
    path: str = ""
    upgraded: dict[str, str] = msgspec.field(default_factory=UPGRADED.copy)


class Certificate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`[certificate]`: what it shows to who speaks TLS. issuer: empty: the subject itself. days: how long it holds."""

    subject: str
    issuer: str = ""
    key: Literal["rsa", "ec"] = "rsa"
    days: Annotated[int, msgspec.Meta(ge=30, le=10_000)] = 3650


class PersonaFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A whole file."""

    format: int
    title: str
    installation: dict[str, list[str]] = {}
    wire: Wire
    headers: dict[str, str]
    challenges: dict[str, Challenge] = {}
    accounts: Accounts = Accounts()
    answers: dict[str, Answer]
    methods: dict[str, Rule]
    ring: Ring | None = None
    cases: Cases = Cases()
    http: Http = Http()
    certificate: Certificate = Certificate(subject="CN=localhost")


@dataclass(frozen=True, slots=True)
class Persona:
    """A persona as one installation plays it.

    facts: the value that this installation took from each list. `accounts` answers which users exist here.
    """

    name: str
    title: str
    facts: dict[str, str]
    wire: Wire
    headers: dict[str, str]
    challenges: dict[str, Challenge]
    answers: dict[str, Answer]
    methods: dict[bytes, Rule]
    ring: Ring | None
    cases: Cases
    http: Http
    certificate: Certificate
    _accounts: Accounts
    _seed: bytes = field(repr=False)
    started_ms: int = 0

    def rule(self, method: bytes) -> Rule | None:
        """What this method gets; None: it is to be passed over in silence."""
        return self.methods.get(method) or self.methods.get(b"*")

    def password(self, user: bytes) -> str | None:
        """The password of an account that exists here; "" when nobody will guess it; None: no such account."""
        return _password(self._accounts, self._seed, user) if len(user) <= LONGEST_USER else None


@lru_cache(maxsize=4096)
def _password_cached(
    key: tuple[float, float, tuple[str, ...], tuple[str, ...]], seed: bytes, user: bytes
) -> str | None:
    share, weak_share, users, passwords = key
    text = user.decode("utf-8", "replace")
    if not any(_within(text, each) for each in users) or _fraction(seed, b"exists", user) >= share:
        return None
    if _fraction(seed, b"weak", user) >= weak_share:
        return ""
    return passwords[_number(seed, b"password", user) % len(passwords)].replace("{user}", text)


def _password(accounts: Accounts, seed: bytes, user: bytes) -> str | None:
    key = (accounts.share, accounts.weak_share, tuple(accounts.users), accounts.passwords)
    return _password_cached(key, seed, user)


def _within(user: str, span: str) -> bool:
    """Whether a user lies in `100-199` (same number of digits) or is the name itself."""
    low, dash, high = span.partition("-")
    if dash and low.isdecimal() and high.isdecimal():
        return user.isascii() and user.isdecimal() and len(user) == len(low) and int(low) <= int(user) <= int(high)
    return user == span


def _number(seed: bytes, *parts: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(b"/".join(parts), key=seed[:64], digest_size=8).digest(), "big")


def _fraction(seed: bytes, *parts: bytes) -> float:
    return _number(seed, *parts) / 2**64


def parse_persona(text: str, *, name: str, seed: str, where: str = "") -> Persona:
    """The persona that a file describes, as the installation with this seed plays it.

    where: what to call the file in an error. Raises ConfigError with the key that is wrong.
    """
    where = where or f"persona {name}"
    try:
        document = msgspec.convert(tomllib.loads(text), PersonaFile)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not valid TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{where}: not valid TOML: nested too deep") from None
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {str(error)[0].lower()}{str(error)[1:]}") from None
    if document.format != FORMAT:
        raise ConfigError(f"{where}: format {document.format} is not known here; this Relaytrap reads format {FORMAT}")
    _check(document, where)
    key = hashlib.blake2b(seed.encode(), person=b"relaytrap").digest()
    facts = _facts(document.installation, key)
    return Persona(
        name=name,
        title=document.title,
        facts=facts,
        wire=_settle(document.wire, facts),
        headers=_settle(document.headers, facts),
        challenges=_settle(document.challenges, facts),
        answers=document.answers,
        methods={method.encode(): rule for method, rule in document.methods.items()},
        ring=_settle(document.ring, facts),
        cases=document.cases,
        http=_settle(document.http, facts),
        certificate=_settle(document.certificate, facts),
        _accounts=document.accounts,
        _seed=key,
        # Between one day and four months before 2024: an uptime counter of 32 bits has wrapped or not, as it may.
        started_ms=1_704_067_200_000 - 86_400_000 - _number(key, b"started") % 10_000_000_000,
    )


def _facts(lists: dict[str, list[str]], seed: bytes) -> dict[str, str]:
    """One value of each list; a value may name facts above it.

    `{hex:N}` and `{dec:N}` stand for digits of this installation.
    """
    facts: dict[str, str] = {}
    for name, values in lists.items():
        value = values[_number(seed, b"fact", name.encode()) % len(values)]
        digest = hashlib.blake2b(b"digits/" + name.encode(), key=seed, digest_size=64).digest()
        digits = {"hex": digest.hex(), "dec": str(int.from_bytes(digest, "big"))}
        facts[name] = _fill(FIELD.sub(partial(_digits, digits), value), facts)
    return facts


def _digits(digits: Mapping[str, str], place: re.Match[str]) -> str:
    """What stands for `{hex:N}` or `{dec:N}`; any other place is left as it is."""
    kind, count = place[1], place[2]
    return digits[kind][: int(count)] if kind in digits and count else place[0]


def _fill(text: str, facts: dict[str, str]) -> str:
    return FIELD.sub(lambda match: facts.get(match[1], match[0]) if not match[2] else match[0], text)


def _settle(value: Any, facts: dict[str, str]) -> Any:
    """The same structure with every fact's name replaced by its value."""
    if isinstance(value, str):
        return _fill(value, facts)
    if isinstance(value, list):
        return [_settle(each, facts) for each in value]
    if isinstance(value, dict):
        return {key: _settle(each, facts) for key, each in value.items()}
    if isinstance(value, msgspec.Struct):
        changed = {name: _settle(getattr(value, name), facts) for name in value.__struct_fields__}
        return type(value)(**changed)
    return value


def _check(document: PersonaFile, where: str) -> None:
    """Every name used is defined; every header has a place and a value."""
    for label, name in _answers_named(document):
        if name not in document.answers:
            known = ", ".join(sorted(document.answers))
            raise ConfigError(f"{where}: {label} names the answer {name!r}, which [answers] lacks; it has {known}")
    for method, rule in document.methods.items():
        if rule.challenge and rule.challenge not in document.challenges:
            raise ConfigError(f"{where}: methods.{method}.challenge names {rule.challenge!r}, which [challenges] lacks")
        if rule.answer == "ring" and document.ring is None:
            raise ConfigError(f"{where}: methods.{method} rings, but there is no [ring]")
    if document.ring is not None:
        _check_ring(document.ring, where)
    for cause in document.cases.rejections:
        if not cause.isdecimal() and cause not in ANOMALIES:
            raise ConfigError(f"{where}: cases.rejections names {cause!r}, which is no status and no anomaly")
    order = document.wire.order
    challenge_headers = {each.header for each in document.challenges.values()}
    for name, answer in document.answers.items():
        for header in (*answer.headers, *document.wire.every):
            if header not in order:
                raise ConfigError(f"{where}: answers.{name} has the header {header}, which wire.order lacks")
            if header not in {*document.headers, *answer.values, *challenge_headers}:
                raise ConfigError(f"{where}: answers.{name} has the header {header}, which [headers] gives no value")
    for name, values in document.installation.items():
        if not values:
            raise ConfigError(f"{where}: installation.{name} is an empty list; give it at least one value")


def _check_ring(ring: Ring, where: str) -> None:
    try:
        re.compile(ring.number)
    except re.error as error:
        raise ConfigError(f"{where}: ring.number is no regular expression ({error})") from None
    for key in ("ringing_after_s", "answered_after_s"):
        low, high = getattr(ring, key)
        if not 0 <= low <= high:
            raise ConfigError(f"{where}: ring.{key} is no span of seconds; write [least, most]")


def _answers_named(document: PersonaFile) -> list[tuple[str, str]]:
    named: list[tuple[str, str]] = []
    for method, rule in document.methods.items():
        named += _fields(f"methods.{method}", rule, "answer", "trying", "unknown_user", "refused")
    if document.ring:
        answers = ("trying", "ringing", "answered", "unproven", "cancelled", "no_such_number")
        named += _fields("ring", document.ring, *answers)
    cases = ("no_dialog", "no_transaction", "cancel", "in_dialog", "hops_spent", "options_without_user")
    named += _fields("cases", document.cases, *cases)
    named += [(f"cases.rejections.{status}", name) for status, name in document.cases.rejections.items()]
    return [(label, name) for label, name in named if name not in ("", "challenge", "ring", "accept")]


def _fields(label: str, struct: msgspec.Struct, *names: str) -> list[tuple[str, str]]:
    return [(f"{label}.{name}", getattr(struct, name) or "") for name in names]
