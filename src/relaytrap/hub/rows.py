"""One observation to one row of `messages`: parsed again from its bytes, enriched, and judged for itself.

Pure apart from the address tables it was given: the same observation and settings give the same row, whenever. What a
row cannot know (campaigns, origins by association) is the business of the analysis over sets.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import compress
from socket import AF_INET, inet_pton
from typing import Any, Final

from relaytrap.config import Config, NetworkConfig
from relaytrap.enrich import Enricher
from relaytrap.evidence.dialplan import DialledNumber, read_number
from relaytrap.evidence.fingerprint import Tool, identify
from relaytrap.evidence.identifiers import Decoded, decode_identifiers
from relaytrap.evidence.path import Path, PathSetting
from relaytrap.evidence.relay import judge_path
from relaytrap.evidence.track import keys_of
from relaytrap.hub.told import decoded_json, evidence_json, hops_json
from relaytrap.observation import Observation
from relaytrap.sample.networks import SENSOR_PREFIX, with_sample
from relaytrap.sip import Message, Request, Response, Unparsed, parse_message

__all__ = ["RULES_VERSION", "Row", "RowSetting", "bare_row", "make_row", "make_rows", "message_id"]

Row = tuple[Any, ...]

RULES_VERSION: Final = 1
"""Raised when the same bytes would give another row, so that `reanalyse` knows what is old."""

TEXT_MAX: Final = 4096
"""Longer values are cut in their columns, with a mark; `raw` has them whole."""

DIRECTIONS: Final = {"in": 1, "out": 2}
REQUEST, RESPONSE, UNPARSED = 1, 2, 3
NO_ADDRESS: Final = bytes(16)
MAPPED: Final = bytes(10) + b"\xff\xff"
EPOCH_MAX_NS: Final = (2**32 - 1) * 1_000_000_000


@dataclass(frozen=True, slots=True)
class RowSetting:
    """What rows depend on besides their bytes."""

    enricher: Enricher
    paths: PathSetting
    home_region: str
    sample: "RowSetting | None" = None
    """What holds instead for the bundled sample's sensors: documentation addresses with countries and operators."""

    @classmethod
    def of(cls, config: Config) -> "RowSetting":
        """From the settings; opens the address tables."""
        return replace(cls._of(config, config.network), sample=cls._of(config, with_sample(config.network)))

    @classmethod
    def _of(cls, config: Config, network: NetworkConfig) -> "RowSetting":
        enricher = Enricher.open(config.enrich, network, config.data_dir / "tables")
        return cls(enricher, PathSetting.of(network), network.home_region.upper())


def make_row(seen: Observation, setting: RowSetting, ingested_ms: int) -> Row:
    """The row of one observation, in the order of store.schema.COLUMNS.

    ingested_ms: when the hub took it in, milliseconds since the epoch.
    """
    return make_rows((seen,), setting, (ingested_ms,))[0]


def make_rows(seen: Sequence[Observation], setting: RowSetting, ingested_ms: Sequence[int]) -> list[Row]:
    """The rows of some observations, each as make_row gives it.

    One step over all of them, then the next: the caches of a processor hold the code and tables of one step, not of
    all (81 against 145 us a message where this was measured, with some 128 of them at a time).
    """
    settings = [_setting_for(each, setting) for each in seen]
    networks = [where.enricher.network(one.source) for one, where in zip(seen, settings, strict=True)]
    messages = [parse_message(one.raw) for one in seen]
    for name in TAKEN_APART:
        for message in messages:
            getattr(message, name, None)
    headers = list(map(_header_columns, messages))
    judged = _judged(messages, seen, settings)
    anomalies = list(map(_anomalies, messages))
    return [
        (
            *_seen_columns(one, moment),
            *header,
            len(one.raw),
            _word(network.country),
            network.asn,
            _word(network.name),
            *before,
            odd,
            _notes(one),
            *after,
            RULES_VERSION,
            one.raw,
        )
        for one, moment, network, header, (before, after), odd in zip(
            seen, ingested_ms, networks, headers, judged, anomalies, strict=True
        )
    ]


def _setting_for(seen: Observation, setting: RowSetting) -> RowSetting:
    return setting.sample if setting.sample and seen.sensor.startswith(SENSOR_PREFIX) else setting


TAKEN_APART: Final = ("vias", "uri", "from_address", "to_address", "contacts")
"""What nearly every later step asks of a message; worked out when first asked for."""


def bare_row(seen: Observation, ingested_ms: int) -> Row:
    """A row with nothing but what was seen; for bytes on which our own code failed."""
    return (
        *_seen_columns(seen, ingested_ms),
        *NO_HEADERS,
        len(seen.raw),
        *(b"", 0, b""),
        *NOTHING_JUDGED[0],
        *((b"not-analysed",), _notes(seen)),
        *NOTHING_JUDGED[1],
        0,
        seen.raw,
    )


def message_id(seen: Observation) -> int:
    """The identifier of a message: the same whenever the same file, or the same segment, is read again."""
    sensor, capture = _word(seen.sensor), _word(seen.capture)
    identity = b"%b\0%b\0%d\0%d\0" % (sensor, capture, seen.frame, _received_ns(seen))
    return int.from_bytes(blake2b(identity + seen.raw, digest_size=8).digest(), "big")


def _received_ns(seen: Observation) -> int:
    return min(max(seen.received_at_ns, 0), EPOCH_MAX_NS)


def _seen_columns(seen: Observation, ingested_ms: int) -> Row:
    """id to local_port."""
    received_ns = _received_ns(seen)
    sensor, capture = _word(seen.sensor), _word(seen.capture)
    return (
        message_id(seen),
        received_ns,
        ingested_ms,
        sensor,
        capture,
        seen.frame,
        DIRECTIONS[seen.direction],
        _word(seen.transport),
        _packed(seen.source),
        seen.source_port,
        _packed(seen.local),
        seen.local_port,
    )


def _header_columns(message: Message) -> Row:
    """kind to max_forwards."""
    if isinstance(message, Unparsed):
        return NO_HEADERS
    # Nearly every message: then no value in it needs a second look.
    text = _same if len(message.raw) <= TEXT_MAX and message.raw.isascii() else _text
    uri = message.uri if isinstance(message, Request) else None
    from_uri = message.from_address.uri if message.from_address else None
    to_uri = message.to_address.uri if message.to_address else None
    cseq, vias, hops = message.cseq, message.vias, message.max_forwards
    return (
        REQUEST if isinstance(message, Request) else RESPONSE,
        text(message.method) if isinstance(message, Request) else b"",
        message.status_code if isinstance(message, Response) else 0,
        text(message.request_uri) if isinstance(message, Request) else b"",
        _text(uri.user_text) if uri else b"",
        text(uri.host) if uri else b"",
        _text(from_uri.user_text) if from_uri else b"",
        text(from_uri.host) if from_uri else b"",
        _text(to_uri.user_text) if to_uri else b"",
        text(message.call_id),
        cseq.number if cseq else 0,
        text(cseq.method) if cseq else b"",
        text(message.from_tag),
        text(message.to_tag),
        text(vias[0].branch) if vias else b"",
        text(message.user_agent),
        min(message.via_count, 255),
        -1 if hops is None else hops,
    )


NO_HEADERS: Final[Row] = (UNPARSED, b"", 0, *(b"",) * 7, 0, *(b"",) * 5, 0, -1)


Judged = tuple[Row, Row]
"""What is judged of a request, tool to credentials and path_verdict to track."""


def _judged(messages: Sequence[Message], seen: Sequence[Observation], settings: Sequence[RowSetting]) -> list[Judged]:
    """What is judged of each message; nothing of what is no request."""
    requests = [message for message in messages if isinstance(message, Request)]
    if len(requests) < len(messages):
        chosen = [isinstance(message, Request) for message in messages]
        judged = iter(_judged_requests(requests, list(compress(seen, chosen)), list(compress(settings, chosen))))
        return [next(judged) if is_request else NOTHING_JUDGED for is_request in chosen]
    return _judged_requests(requests, seen, settings)


def _judged_requests(
    requests: Sequence[Request], seen: Sequence[Observation], settings: Sequence[RowSetting]
) -> list[Judged]:
    identified = list(map(identify, requests))
    decoded = list(map(decode_identifiers, requests, seen))
    paths = [
        judge_path(request, one, where.paths, decoded=found)
        for request, one, where, found in zip(requests, seen, settings, decoded, strict=True)
    ]
    numbers = list(map(_dialled, requests, seen, settings))
    targets = list(map(_target, requests, decoded))
    cores = [(number.core or number.digits).encode() if number else b"" for number in numbers]
    keys = list(map(_keys, requests, seen, paths, targets, cores))
    told = [
        (decoded_json(found), hops_json(path.hops), evidence_json((*tool.signs, *path.evidence)))
        for found, path, (tool, _) in zip(decoded, paths, identified, strict=True)
    ]
    return [
        (
            (
                *_tool_columns(tool, form.key),
                *_number_columns(request, number, core),
                target,
                decoded_text,
                _credentials(request),
            ),
            (*_path_columns(path), hops_text, evidence_text, *key),
        )
        for request, (tool, form), number, core, target, path, key, (decoded_text, hops_text, evidence_text) in zip(
            requests, identified, numbers, cores, targets, paths, keys, told, strict=True
        )
    ]


def _tool_columns(tool: Tool, fingerprint: str) -> Row:
    """tool to fingerprint."""
    return (
        _word(tool.name),
        _word(tool.claimed),
        _word(tool.kind),
        tool.confidence,
        tool.faked,
        fingerprint.encode(),
    )


def _path_columns(path: Path) -> Row:
    """path_verdict to start."""
    return (
        _word(path.verdict),
        _packed(path.relay) if path.relay else NO_ADDRESS,
        _packed(path.origin) if path.origin else NO_ADDRESS,
        path.origin_port,
        path.confidence,
        tuple(map(_word, path.chain)),
        _packed(path.claim) if path.claim else NO_ADDRESS,
        _word(path.kind),
        path.mask,
        path.start,
    )


def _keys(message: Request, seen: Observation, path: Path, target: bytes, core: bytes) -> Row:
    """opener to track."""
    keys = keys_of(message, seen, path, target=target, dialled_core=core)
    return (keys.opener, _word(keys.goal), keys.target_key, keys.shape, keys.stack, keys.track)


NOTHING_JUDGED: Final[Judged] = (
    # tool to fingerprint; number; target, decoded, credentials
    (*(b"", b"", b"", 0, False, b""), *(b"",) * 6, *(b"", b"", b"")),
    # path; hops, evidence; keys
    (*(b"", NO_ADDRESS, NO_ADDRESS, 0, 0, (), NO_ADDRESS, b"", b"", -1), *(b"", b""), *(False, b"", 0, 0, 0, 0)),
)


def _anomalies(message: Message) -> tuple[bytes, ...]:
    found = message.anomalies
    return tuple(dict.fromkeys(_word(each.name) for each in found)) if found else ()


def _notes(seen: Observation) -> tuple[bytes, ...]:
    return tuple(map(_word, seen.notes)) if seen.notes else ()


def _number_columns(message: Request, number: DialledNumber | None, core: bytes) -> Row:
    """dialled to dialled_core."""
    if number is None:
        return NO_NUMBER
    return (
        (number.e164 or number.digits).encode(),
        _text(message.uri.user_text) if message.uri else b"",
        number.prefix.encode(),
        number.country.encode(),
        number.kind.encode(),
        core,
    )


NO_NUMBER: Final[Row] = (b"",) * 6


def _dialled(message: Request, seen: Observation, setting: RowSetting) -> DialledNumber | None:
    """What a request that would start a call or a text asks the telephone network for."""
    if message.method not in DIALLING or message.uri is None:
        return None
    user = message.uri.user
    if not user:
        return None
    return read_number(user, setting.home_region or setting.enricher.network(seen.local).country)


DIALLING: Final = frozenset(
    {b"INVITE", b"ACK", b"CANCEL", b"BYE", b"MESSAGE", b"REFER", b"OPTIONS", b"PRACK", b"UPDATE"}
)


def _target(message: Request, decoded: tuple[Decoded, ...]) -> bytes:
    """The extension or user that was tried: as the tool wrote it down, else whose registration, or whom to ring."""
    for each in decoded:
        if each.kind == "target":
            return _word(each.value)
    address = message.to_address if message.method == b"REGISTER" else None
    uri = address.uri if address else message.uri
    return _text(uri.user_text) if uri else b""


def _credentials(message: Request) -> bytes:
    """The first digest response in John the Ripper's form."""
    for each in message.credentials:
        if line := each.john_line(message.method):
            return _text(line)
    return b""


def _same(value: bytes | None) -> bytes:
    return value or b""


def _text(value: bytes | None) -> bytes:
    """A header's value as UTF-8: undecodable bytes as \\xNN, and cut with a mark when it is very long."""
    if not value:
        return b""
    if len(value) > TEXT_MAX:
        return _cut(value)
    return value if value.isascii() else value.decode("utf-8", "backslashreplace").encode()


def _cut(value: bytes) -> bytes:
    kept = value[:TEXT_MAX].decode("utf-8", "backslashreplace")
    return f"{kept}… ({len(value)} bytes)".encode()


class _Words(dict[str, bytes]):
    """Text of ours, or a value that few messages differ in → the same as UTF-8; a dozen look-ups a message.

    Forgets everything when it is full: an LRU takes three times as long.
    """

    def __missing__(self, value: str) -> bytes:
        if len(self) >= WORDS_MAX:
            self.clear()
        self[value] = made = _text(value.encode("utf-8", "backslashreplace"))
        return made


WORDS_MAX: Final = 1 << 12
_word: Final = _Words().__getitem__


def _packed(address: str) -> bytes:
    """16 bytes of an address; IPv4 as ::ffff:a.b.c.d; `::` for what is none (a sensor's segment may say anything)."""
    try:
        if ":" in address:
            return ipaddress.IPv6Address(address.partition("%")[0]).packed
        return MAPPED + inet_pton(AF_INET, address)
    except (ValueError, OSError):
        return NO_ADDRESS
