"""What narrows a question: one frozen value, parsed once from options or a query string, shared by every query.

Each field is one condition with bound parameters; nothing that a user types becomes SQL. `fields_of` gives the list
from which the command line makes its options and the API its parameters; `FIELDS` is that of messages.
"""

import dataclasses
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

from relaytrap.clock import NS_PER_S, now_ns, parse_rfc3339
from relaytrap.errors import InputError
from relaytrap.kept import Kept
from relaytrap.observation import TRANSPORTS
from relaytrap.store.queries.believed import CAMPAIGN_CONDITION
from relaytrap.store.schema import ATTACK

__all__ = [
    "FIELDS",
    "Conditions",
    "Filter",
    "Place",
    "Seen",
    "Where",
    "fields_of",
    "parse_conditions",
    "parse_filter",
    "parse_moment",
    "storage_address",
]

UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def condition(sql: str, kind: str, doc: str) -> Any:
    """A filter field: its condition over `{name:Type}`, the parameter's type, and its help line."""
    return field(default=None, metadata={"sql": sql, "type": kind, "doc": doc})


@dataclass(frozen=True, slots=True)
class Conditions:
    """Fields made by `condition`, joined by AND; None leaves one out."""

    @property
    def narrowed(self) -> frozenset[str]:
        """Names of the fields that are set."""
        return frozenset(s.name for s in dataclasses.fields(self) if getattr(self, s.name) is not None)

    def conditions(self, params: dict[str, Any], **columns: str) -> list[str]:
        """The conditions of the fields that are set; their parameters are put into params.

        columns: of addresses, by the field that chooses among them, where it has another name.
        """
        values = ((spec, getattr(self, spec.name)) for spec in dataclasses.fields(self))
        return [_condition(spec, value, params, columns) for spec, value in values if value is not None]


@dataclass(frozen=True, slots=True)
class Filter(Conditions):
    """Which messages. Times are nanoseconds; `until` is exclusive."""

    since: int | None = condition(
        "received_at >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')",
        "Int64",
        "From this time on: 2026-01-31 18:30 (UTC), RFC 3339, or 90m, 24h, 7d ago",
    )
    until: int | None = condition(
        "received_at < fromUnixTimestamp64Nano({until:Int64}, 'UTC')",
        "Int64",
        "Before this time: 2026-01-31 18:30 (UTC), RFC 3339, or 90m, 24h, 7d ago",
    )
    id: str | None = condition(
        "id = reinterpretAsUInt64(reverse(unhex({id:String})))", "String", "Identifier, 16 hex digits"
    )
    source: str | None = condition("source = {source:IPv6}", "IPv6", "Source address or network")
    country: str | None = condition("country = {country:String}", "String", "Country of the source (ISO code)")
    asn: int | None = condition("asn = {asn:UInt32}", "UInt32", "Autonomous system of the source, such as AS64500")
    sensor: str | None = condition("sensor = {sensor:String}", "String", "Sensor")
    transport: str | None = condition("transport = {transport:String}", "String", "udp, tcp, tls, ws, wss or sctp")
    direction: str | None = condition("direction = {direction:String}", "String", "in or out")
    kind: str | None = condition("kind = {kind:String}", "String", "request, response or unparsed")
    method: str | None = condition("method = {method:String}", "String", "Method of the request, such as INVITE")
    status: int | None = condition("status_code = {status:UInt16}", "UInt16", "Status code of the response")
    tool: str | None = condition("tool = {tool:String}", "String", "Tool that made it")
    faked: bool | None = condition(
        "tool_faked = {faked:Bool}", "Bool", "yes or no: User-Agent contradicts the tool's marks"
    )
    fingerprint: str | None = condition(
        "fingerprint = {fingerprint:String}", "String", "Key of the message's structure"
    )
    user_agent: str | None = condition("user_agent = {user_agent:String}", "String", "User-Agent, whole")
    call_id: str | None = condition("call_id = {call_id:String}", "String", "Call-ID")
    from_user: str | None = condition("from_user = {from_user:String}", "String", "User part of From")
    to_user: str | None = condition("to_user = {to_user:String}", "String", "User part of To")
    target: str | None = condition("target = {target:String}", "String", "Extension or user that was tried")
    dialled: str | None = condition(
        "(startsWith(dialled, {dialled:String}) OR startsWith(dialled_digits, {dialled:String}))",
        "String",
        "Number dialled, or its beginning",
    )
    dialled_core: str | None = condition(
        "dialled_core = {dialled_core:String}", "String", "The number under its prefixes"
    )
    dialled_country: str | None = condition(
        "dialled_country = {dialled_country:String}", "String", "Country that the number leads to"
    )
    verdict: str | None = condition(
        "path_verdict = {verdict:String}", "String", "direct, relayed, hidden, forged, unknown"
    )
    relay: str | None = condition("relay = {relay:IPv6}", "IPv6", "Relay that handed it to us")
    origin: str | None = condition("origin = {origin:IPv6}", "IPv6", "Address it is inferred to start at")
    track: int | None = condition(
        "track = {track:UInt64}", "UInt64", "Key that joins messages into campaigns, 16 hex digits"
    )
    campaign: str | None = condition(CAMPAIGN_CONDITION, "String", "Identifier of a campaign")
    capture: str | None = condition("capture = {capture:String}", "String", "File name of an import")
    anomaly: str | None = condition("has(anomalies, {anomaly:String})", "String", "Name of an anomaly")
    note: str | None = condition(
        "has(notes, {note:String})", "String", "Reader's note, such as the JA3 or JA4 of a TLS client"
    )
    text: str | None = condition(
        "(positionCaseInsensitiveUTF8(concat(request_uri, '\\n', from_user, '\\n', to_user, '\\n', call_id, '\\n', "
        "toString(user_agent), '\\n', target, '\\n', decoded), {text:String}) > 0)",
        "String",
        "Text in Request-URI, From, To, Call-ID, User-Agent or decoded identifiers",
    )
    raw: str | None = condition("position(raw, {raw:String}) > 0", "String", "Text anywhere in the bytes (slow)")

    def where(self, *, attack: bool = False, extra: str = "") -> "Where":
        """The WHERE clause (with its keyword) and its bound parameters.

        attack: only what came in and asks for something, unless direction or kind is asked for.
        extra: one more condition, SQL of ours.
        """
        conditions = [extra] if extra else []
        params: dict[str, Any] = {}
        if attack and self.direction is None and self.kind is None:
            conditions.append(ATTACK)
        conditions += self.conditions(params)
        return Where("WHERE " + " AND ".join(conditions) if conditions else "", params)


@dataclass(frozen=True, slots=True)
class Seen(Conditions):
    """Which findings, by when they were seen; what is told of them is of all time."""

    since: int | None = condition(
        "last_ >= fromUnixTimestamp64Nano({since:Int64}, 'UTC')",
        "Int64",
        "Seen at this time or later: 2026-01-31 18:30 (UTC), RFC 3339, or 90m, 24h, 7d ago",
    )

    def seen(self, params: dict[str, Any]) -> str:
        """The condition on the column `last_` (" AND ..."), or ""; its parameter is put into params."""
        return "".join(f" AND {each}" for each in Seen(self.since).conditions(params))


@dataclass(frozen=True, slots=True)
class Place(Seen):
    """Which relays or origins, by where they are as well."""

    country: str | None = condition("country = {country:String}", "String", "Country it is in (ISO code)")
    asn: int | None = condition("asn = {asn:UInt32}", "UInt32", "Autonomous system it is in, such as AS64500")
    network: str | None = condition("network = {network:IPv6}", "IPv6", "Its address, or a network that it is in")

    @classmethod
    def of_address(cls, address: str) -> Self:
        """One address; InputError for a network, and for anything else."""
        try:
            storage_address(address.strip("[]"))
        except ValueError:
            raise InputError(f"address: {address!r} is no address; write 192.0.2.7 or 2001:db8::1") from None
        return cls(network=address)

    def narrowed_on(self, column: str) -> tuple[str, str, dict[str, Any]]:
        """A WHERE clause on a column of addresses, further conditions on `country` and `asn` (" AND ..."), and the
        parameters of both: an address is known before anything is summed, the rest afterwards."""
        params: dict[str, Any] = {}
        network = Place(network=self.network).conditions(params, network=column)
        place = dataclasses.replace(self, network=None, since=None).conditions(params)
        return "".join(f"WHERE {each}" for each in network), "".join(f" AND {each}" for each in place), params


@dataclass(frozen=True, slots=True)
class Where:
    """A WHERE clause, or "" for none, and its parameters."""

    sql: str
    params: dict[str, Any]


def fields_of(kind: type[Conditions]) -> dict[str, Mapping[str, Any]]:
    """Each field by name: its sql, type and doc."""
    return {spec.name: spec.metadata for spec in dataclasses.fields(kind)}


FIELDS: Final = fields_of(Filter)
C = TypeVar("C", bound=Conditions)


def _condition(spec: "dataclasses.Field[Any]", value: Any, params: dict[str, Any], columns: Mapping[str, str]) -> str:
    if spec.metadata["type"] != "IPv6":
        params[spec.name] = value
        return str(spec.metadata["sql"])
    network, column = _network(spec.name, value), columns.get(spec.name, spec.name)
    if network.num_addresses == 1:
        params[spec.name] = str(network.network_address)
        return f"{column} = {{{spec.name}:IPv6}}"
    params[f"{spec.name}_low"] = str(network.network_address)
    params[f"{spec.name}_high"] = str(network.broadcast_address)
    return f"({column} >= {{{spec.name}_low:IPv6}} AND {column} <= {{{spec.name}_high:IPv6}})"


def _storage_address(text: str) -> str:
    address = ipaddress.ip_address(text)
    return f"::ffff:{address}" if address.version == 4 else str(address)


storage_address: Final = Kept(_storage_address, most=1 << 14).__getitem__
"""An address as the store's IPv6 columns write it: IPv4 as ::ffff:a.b.c.d."""


def _network(name: str, text: str) -> ipaddress.IPv6Network:
    try:
        if "%" in text:  # a zone means something on one machine only, and no column of ours holds it
            raise ValueError(text)
        network = ipaddress.ip_network(text.strip().strip("[]"), strict=False)
    except ValueError:
        raise InputError(
            f"{name}: {text!r} is no address or network; write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32"
        ) from None
    if isinstance(network, ipaddress.IPv6Network):
        return network
    return ipaddress.IPv6Network(f"::ffff:{network.network_address}/{96 + network.prefixlen}")


def parse_moment(text: str, now: int) -> int:
    """Nanoseconds since the epoch of `2026-01-02T03:04:05Z`, `2026-01-02`, `now`, or an age: `90m`, `24h`, `7d`.

    Without a zone it is UTC, as tables and pages write it. Raises ValueError for anything else.
    """
    text = text.strip()
    if text == "now":
        return now
    if age := re.fullmatch(r"(\d{1,9})([smhdw])", text):
        return now - int(age[1]) * UNITS[age[2]] * NS_PER_S
    if local := re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d(?:\.\d+)?)?)?", text):
        text = f"{local[1]}T{local[2] or '00:00'}{local[3] or ':00'}Z"
    return parse_rfc3339(text)


def parse_filter(given: Mapping[str, Any], now: int | None = None) -> Filter:
    """A Filter from options or query parameters, as `parse_conditions` reads them."""
    return parse_conditions(Filter, given, now)


def parse_conditions(kind: type[C], given: Mapping[str, Any], now: int | None = None) -> C:
    """Conditions from options or query parameters (text or values); empty text counts as not given.

    Raises InputError that names the field, for an unknown one as well.
    """
    known = fields_of(kind)
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise InputError(f"no filter {name!r}; " + (f"there are {', '.join(known)}" if known else "none is taken"))
        if value is not None and value != "":
            values[name] = _parsed(name, known[name], value, now_ns() if now is None else now)
    if "since" in values and "until" in values and values["since"] >= values["until"]:
        raise InputError("until: is not later than since, so that nothing lies between them; change one of them")
    return kind(**values)


def _parsed(name: str, spec: Mapping[str, Any], value: Any, now: int) -> Any:
    kind = spec["type"]
    if kind == "IPv6":
        _network(name, str(value))
        return str(value).strip().strip("[]")
    if not isinstance(value, str):
        return value
    if kind == "String":
        return _parsed_text(name, value)
    try:
        if name in ("since", "until"):
            return parse_moment(value, now)
        if kind == "Bool":
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}[value.lower()]
        if name == "track":
            return _parsed_key(value)
        digits = value.upper().removeprefix("AS") if name == "asn" else value
        return _parsed_number(digits, int(kind.removeprefix("UInt")))
    except (ValueError, KeyError, OverflowError):
        raise InputError(f"{name}: {value!r} is not understood ({spec['doc']})") from None


CHOICES: Final = {
    "direction": ("in", "out"),
    "kind": ("request", "response", "unparsed"),
    "transport": TRANSPORTS,
    "verdict": ("direct", "relayed", "hidden", "forged", "unknown"),
}


def _parsed_text(name: str, value: str) -> str:
    if name in CHOICES and value not in CHOICES[name]:
        raise InputError(f"{name}: {value!r} is none of {', '.join(CHOICES[name])}")
    if name == "id" and not re.fullmatch(r"[0-9a-fA-F]{16}", value):
        raise InputError(f"id: {value!r} is no identifier; one has 16 hex digits")
    if name not in ("country", "dialled_country"):
        return value
    if name == "country" and not re.fullmatch(r"[A-Za-z]{2}", value):
        raise InputError(f"country: {value!r} is no ISO code of a country; write two letters, such as US")
    return value.upper()


def _parsed_key(value: str) -> int:
    """A key as rows give it."""
    if not re.fullmatch(r"[0-9a-fA-F]{16}", value):
        raise ValueError(value)
    return int(value, 16)


def _parsed_number(value: str, bits: int) -> int:
    number = int(value)
    if not 0 <= number < 1 << bits:
        raise ValueError(value)
    return number
