"""What one message fills its columns with, group by group, as schema.COLUMNS orders and types them.

Text is UTF-8 bytes, addresses are 16 bytes; see store/native.py.
"""

import ipaddress
from hashlib import blake2b
from socket import AF_INET, inet_pton
from typing import Any, Final

from relaytrap.evidence.dialplan import DialledNumber
from relaytrap.evidence.fingerprint import Tool
from relaytrap.evidence.identifiers import Decoded
from relaytrap.evidence.path import Path
from relaytrap.evidence.track import Keys
from relaytrap.hub.arrival import given_ns, own_ns, storable, stored_note
from relaytrap.kept import Kept
from relaytrap.observation import Observation
from relaytrap.sip import Message, Request, Unparsed

__all__ = [
    "NO_ADDRESS",
    "NO_HEADERS",
    "NO_NUMBER",
    "TEXT_MAX",
    "Row",
    "anomalies_of",
    "credentials_of",
    "header_columns",
    "key_columns",
    "message_id",
    "notes_of",
    "number_columns",
    "path_columns",
    "seen_columns",
    "target_of",
    "tool_columns",
    "word",
]

Row = tuple[Any, ...]

TEXT_MAX: Final = 4096
"""Longer values are cut in their columns, with a mark; `raw` has them whole."""

DIRECTIONS: Final = {"in": 1, "out": 2}
REQUEST, RESPONSE, UNPARSED = 1, 2, 3
NO_ADDRESS: Final = bytes(16)
MAPPED: Final = bytes(10) + b"\xff\xff"


def message_id(seen: Observation) -> int:
    """The identifier of a message: the same whenever the same file, or the same segment, is read again."""
    sensor, capture = word(seen.sensor), word(seen.capture)
    identity = b"%b\0%b\0%d\0%d\0" % (sensor, capture, seen.frame, given_ns(seen))
    return int.from_bytes(blake2b(identity + seen.raw, digest_size=8).digest(), "big")


def seen_columns(seen: Observation, ingested_ms: int) -> Row:
    """id to local_port."""
    sensor, capture = word(seen.sensor), word(seen.capture)
    return (
        message_id(seen),
        storable(seen.received_at_ns),
        own_ns(seen),
        ingested_ms,
        sensor,
        capture,
        seen.frame,
        DIRECTIONS[seen.direction],
        word(seen.transport),
        _packed(seen.source),
        seen.source_port,
        _packed(seen.local),
        seen.local_port,
    )


def header_columns(message: Message) -> Row:
    """kind to max_forwards."""
    if isinstance(message, Unparsed):
        return NO_HEADERS
    if isinstance(message, Request):
        first: Row = (REQUEST, message.method, 0, message.request_uri)
        uri = message.uri
        asked = (uri.user_text or b"", uri.host) if uri else NOBODY
    else:
        first, asked = (RESPONSE, b"", message.status_code, b""), NOBODY
    sender, receiver = message.from_address, message.to_address
    cseq, vias, hops = message.cseq, message.vias, message.max_forwards
    row = (
        *first,
        *asked,
        *((sender.uri.user_text or b"", sender.uri.host) if sender else NOBODY),
        (receiver.uri.user_text or b"") if receiver else b"",
        message.call_id or b"",
        *(cseq or NO_CSEQ),
        message.from_tag or b"",
        message.to_tag or b"",
        (vias[0].branch or b"") if vias else b"",
        message.user_agent or b"",
        min(message.via_count, 255),
        -1 if hops is None else hops,
    )
    # Nearly every message: then no value in it needs a second look. An escape in a user part may stand for any octet.
    if len(message.raw) <= TEXT_MAX and message.raw.isascii() and b"%" not in message.raw:
        return row
    return tuple([_text(value) if isinstance(value, bytes) else value for value in row])


NOBODY: Final = (b"", b"")
NO_CSEQ: Final = (0, b"")


NO_HEADERS: Final[Row] = (UNPARSED, b"", 0, *(b"",) * 7, 0, *(b"",) * 5, 0, -1)


def tool_columns(tool: Tool, fingerprint: str) -> Row:
    """tool to fingerprint."""
    return (
        word(tool.name),
        word(tool.claimed),
        word(tool.kind),
        tool.confidence,
        tool.faked,
        fingerprint.encode(),
    )


def path_columns(path: Path) -> Row:
    """path_verdict to start."""
    return (
        word(path.verdict),
        _packed(path.relay) if path.relay else NO_ADDRESS,
        _packed(path.origin) if path.origin else NO_ADDRESS,
        path.origin_port,
        path.confidence,
        tuple(map(word, path.chain)),
        _packed(path.claim) if path.claim else NO_ADDRESS,
        word(path.kind),
        path.mask,
        path.start,
    )


def key_columns(keys: Keys) -> Row:
    """opener to track."""
    return (keys.opener, word(keys.goal), keys.target_key, keys.shape, keys.stack, keys.track)


def anomalies_of(message: Message) -> tuple[bytes, ...]:
    found = message.anomalies
    return tuple(dict.fromkeys(word(each.name) for each in found)) if found else ()


def notes_of(seen: Observation) -> tuple[bytes, ...]:
    return tuple(word(stored_note(note)) for note in seen.notes) if seen.notes else ()


def number_columns(message: Request, number: DialledNumber | None, core: bytes) -> Row:
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


def target_of(message: Request, decoded: tuple[Decoded, ...]) -> bytes:
    """The extension or user that was tried: as the tool wrote it down, else whose registration, or whom to ring."""
    for each in decoded:
        if each.kind == "target":
            return word(each.value)
    address = message.to_address if message.method == b"REGISTER" else None
    uri = address.uri if address else message.uri
    return _text(uri.user_text) if uri else b""


def credentials_of(message: Request) -> bytes:
    """The first digest response in John the Ripper's form."""
    first = message.headers.first
    if b"authorization" not in first and b"proxy-authorization" not in first:
        return b""
    for each in message.credentials:
        if line := each.john_line(message.method):
            return _text(line)
    return b""


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


def _word(value: str) -> bytes:
    return _text(value.encode("utf-8", "backslashreplace"))


word: Final = Kept(_word, most=1 << 12, longest=256).__getitem__
"""Text of ours, or a value that few messages differ in, as UTF-8; a dozen look-ups a message."""


def _packed(address: str) -> bytes:
    """16 bytes of an address; IPv4 as ::ffff:a.b.c.d; `::` for what is none (a sensor's segment may say anything)."""
    try:
        if ":" in address:
            return ipaddress.IPv6Address(address.partition("%")[0]).packed
        return MAPPED + inet_pton(AF_INET, address)
    except (ValueError, OSError):
        return NO_ADDRESS
