"""One observation to one row of `messages`: parsed again from its bytes, enriched, and judged for itself.

Pure apart from the address tables it was given: the same observation and settings give the same row, whenever. What a
row cannot know (campaigns, origins by association) is the business of the analysis over sets.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from typing import Final

from relaytrap.config import Config, NetworkConfig
from relaytrap.enrich import Enricher
from relaytrap.evidence.dialplan import DialledNumber, read_number
from relaytrap.evidence.fingerprint import identify
from relaytrap.evidence.identifiers import decode_identifiers
from relaytrap.evidence.path import PathSetting
from relaytrap.evidence.relay import judge_path
from relaytrap.evidence.track import keys_of
from relaytrap.hub.columns import (
    NO_ADDRESS,
    NO_HEADERS,
    NO_NUMBER,
    Row,
    anomalies_of,
    credentials_of,
    header_columns,
    key_columns,
    notes_of,
    number_columns,
    path_columns,
    seen_columns,
    target_of,
    tool_columns,
    word,
)
from relaytrap.hub.told import decoded_json, evidence_json, hops_json
from relaytrap.observation import Observation
from relaytrap.sample.networks import SENSOR_PREFIX, with_sample
from relaytrap.sip import Message, Request, parse_message

__all__ = ["RULES_VERSION", "Row", "RowSetting", "bare_row", "make_row", "make_rows"]

RULES_VERSION: Final = 4
"""Raised when the same bytes would give another row, so that `reanalyse` knows what is old."""


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
    all (110 us a message instead of 145 where this was measured; see batch.STEP_ROWS for how many at a time).
    """
    settings = [_setting_for(each, setting) for each in seen]
    networks = [where.enricher.network(one.source) for one, where in zip(seen, settings, strict=True)]
    messages = [parse_message(one.raw) for one in seen]
    for name in TAKEN_APART:
        for message in messages:
            getattr(message, name, None)
    headers = list(map(header_columns, messages))
    judged = _judged(messages, seen, settings)
    anomalies = list(map(anomalies_of, messages))
    return [
        (
            *seen_columns(one, moment),
            *header,
            len(one.raw),
            word(network.country),
            network.asn,
            word(network.name),
            *before,
            odd,
            notes_of(one),
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
        *seen_columns(seen, ingested_ms),
        *NO_HEADERS,
        len(seen.raw),
        *(b"", 0, b""),
        *NOTHING_JUDGED[0],
        *((b"not-analysed",), notes_of(seen)),
        *NOTHING_JUDGED[1],
        0,
        seen.raw,
    )


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
    targets = list(map(target_of, requests, decoded))
    cores = [(number.core or number.digits).encode() if number else b"" for number in numbers]
    keys = [
        keys_of(request, one, path, target=target, dialled_core=core)
        for request, one, path, target, core in zip(requests, seen, paths, targets, cores, strict=True)
    ]
    told = [
        (decoded_json(found), hops_json(path.hops), evidence_json((*tool.signs, *path.evidence)))
        for found, path, (tool, _) in zip(decoded, paths, identified, strict=True)
    ]
    return [
        (
            (
                *tool_columns(tool, form.key),
                *number_columns(request, number, core),
                target,
                decoded_text,
                credentials_of(request),
            ),
            (*path_columns(path), hops_text, evidence_text, *key_columns(key)),
        )
        for request, (tool, form), number, core, target, path, key, (decoded_text, hops_text, evidence_text) in zip(
            requests, identified, numbers, cores, targets, paths, keys, told, strict=True
        )
    ]


NOTHING_JUDGED: Final[Judged] = (
    # tool to fingerprint; number; target, decoded, credentials
    (*(b"", b"", b"", 0, False, b""), *NO_NUMBER, *(b"", b"", b"")),
    # path; hops, evidence; keys
    (*(b"", NO_ADDRESS, NO_ADDRESS, 0, 0, (), NO_ADDRESS, b"", b"", -1), *(b"", b""), *(False, b"", 0, 0, 0, 0)),
)


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
