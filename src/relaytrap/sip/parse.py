"""Where a message's first line, header fields and body are told apart.

Two ways lead to the same result. Nearly every message has CRLF line ends, no folding and a plain first line: it is
split at its line ends and done. Everything else is read line by line, and what is odd about it is noted.
"""

import re
from typing import Final, TypeAlias

from relaytrap.sip.anomaly import Anomaly, anomaly
from relaytrap.sip.grammar import SIP_VERSION, STATUS_LINE, TEXT, TOKEN
from relaytrap.sip.headers import COMPACT_FORMS, Headers, Line, canonical_name, ends_in_cr, scan_lines
from relaytrap.sip.message import METHODS, Message, Request, Response, Unparsed

__all__ = ["MAX_HEADERS", "MAX_HEADER_BYTES", "parse_message"]

# What is read of a header part; real ones stay below a tenth of either.
MAX_HEADER_BYTES: Final = 65536
MAX_HEADERS: Final = 500

# Names as they are nearly always written, so that one look-up tells the canonical name.
_KNOWN: Final[dict[bytes, bytes]] = {
    written: canonical_name(name)
    for name in (
        b"Accept Accept-Encoding Accept-Language Alert-Info Allow Allow-Events Authorization Call-ID Contact"
        b" Content-Disposition Content-Encoding Content-Length Content-Type CSeq Date Event Expires From Max-Forwards"
        b" Min-Expires Organization P-Asserted-Identity P-Preferred-Identity Privacy Proxy-Authenticate"
        b" Proxy-Authorization Proxy-Require RAck Record-Route Refer-To Referred-By Remote-Party-ID Require Retry-After"
        b" Route RSeq Server Session-Expires Subject Subscription-State Supported Timestamp To Unsupported User-Agent"
        b" Via Warning WWW-Authenticate"
    ).split()
    + list(COMPACT_FORMS)
    for written in (name, name.lower(), name.upper())
}


def parse_message(data: bytes) -> Message:
    """The message in data, which is a whole datagram or one message of a stream. Never raises; `raw` is data itself."""
    end = data.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES)
    if end < 0:
        return _parse_odd(data)
    head = data[:end]
    lines = head.split(b"\r\n")
    count = len(lines) - 1
    # Nearly always nothing but the line ends is left: one pass tells of stray ones, controls and what is no ASCII.
    left = head.translate(None, TEXT)
    is_plain = left == b"\r\n" * count
    if count > MAX_HEADERS or not (is_plain or left.count(b"\n") == left.count(b"\r") == count):
        return _parse_odd(data)

    method, _, rest = lines[0].partition(b" ")
    request_uri, _, version = rest.partition(b" ")
    is_request = version == b"SIP/2.0" and request_uri and (method in METHODS or TOKEN.fullmatch(method))
    if not is_request and not (method == b"SIP/2.0" and _is_status_code(request_uri) and len(rest) > 3):
        return _parse_odd(data)

    del lines[0]
    table = _tabulate(lines) or _tabulate(_joined(lines))
    if table is None:
        return _parse_odd(data)
    raw_names, first, more = table
    headers = Headers(data, len(method) + len(rest) + 3, end + 4, raw_names, first, more)
    noted: list[Anomaly] = []
    if not is_plain:
        _note_octets(head, noted)
    if is_request:
        return Request(data, headers, end + 4, noted, method, request_uri, version)
    return Response(data, headers, end + 4, noted, int(request_uri), version, method)


Table: TypeAlias = tuple[list[bytes], dict[bytes, bytes], dict[bytes, list[bytes]]]


def _tabulate(lines: list[bytes]) -> Table | None:
    """Names as written; the first value of each canonical name; all values of those that repeat.

    None when a line is no header: folded, or broken.
    """
    first: dict[bytes, bytes] = {}
    more: dict[bytes, list[bytes]] = {}
    raw_names = []
    for line in lines:
        raw_name, colon, value = line.partition(b":")
        name = _KNOWN.get(raw_name) or canonical_name(raw_name)
        if not name or not colon:
            return None
        raw_names.append(raw_name)
        if name not in first:
            first[name] = value.strip()
        elif name in more:
            more[name].append(value.strip())
        else:
            more[name] = [first[name], value.strip()]
    return raw_names, first, more


def _joined(lines: list[bytes]) -> list[bytes]:
    """Lines with their continuation lines behind one SP (section 7.3.1)."""
    joined: list[list[bytes]] = []
    for line in lines:
        if line[:1] not in (b" ", b"\t") or not joined:
            joined.append([line])
        elif piece := line.strip():
            joined[-1].append(piece)
    return [b" ".join([pieces[0].rstrip(), *pieces[1:]]) if len(pieces) > 1 else pieces[0] for pieces in joined]


def _is_status_code(text: bytes) -> bool:
    return len(text) == 3 and text.isdigit() and 100 <= int(text) <= 699


def _note_octets(head: bytes, noted: list[Anomaly]) -> None:
    """Notes control characters and what is no UTF-8 in the header part (quoted-pairs may hold controls: not noted)."""
    if match := _CONTROL.search(head):
        noted.append(anomaly("header-control", match.start(1)))
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        noted.append(anomaly("header-not-utf8", error.start))


# A control character that no backslash precedes.
_CONTROL: Final = re.compile(rb"(?<!\\)([\x00-\x08\x0b\x0c\x0e-\x1f\x7f])")

# Keep-alives seen from phones: line ends (RFC 5626 section 4.4.1), NULs, and "jaK" of some Cisco and Linksys devices.
_KEEPALIVE: Final = re.compile(rb"[\r\n\x00]++|jaK\x00?")
_LEADING: Final = re.compile(rb"[\r\n \t\x00]*+")


def _parse_odd(data: bytes) -> Message:
    """Reads line by line what the quick way does not take."""
    if not data or _KEEPALIVE.fullmatch(data):
        reason = "keepalive" if data else "empty"
        return Unparsed(data, Headers(data, 0, 0, [], {}, {}), [anomaly(reason, 0)], reason)
    noted: list[Anomaly] = []
    start = _skip_leading(data, noted)
    line_end, following = _first_line(data, start)
    line = data[start:line_end]

    limit = min(len(data), following + MAX_HEADER_BYTES)
    lines, body = scan_lines(data, following, limit, MAX_HEADERS)
    header_end = body if body >= 0 else limit
    message = _read_first_line(data, start, line, noted)
    if message is None:
        return _unparsed(data, start, line, following, header_end, lines)
    _note_lines(data, start, header_end, lines, body, noted)
    headers = Headers.from_lines(data, following, header_end, lines[:MAX_HEADERS])
    kind, values = message
    body_start = body if body >= 0 else len(data)
    if kind is Request:
        return Request(data, headers, body_start, noted, values[0], values[1], values[2])
    return Response(data, headers, body_start, noted, int(values[0]), values[1], values[2])


def _skip_leading(data: bytes, noted: list[Anomaly]) -> int:
    """Offset of the first line. Section 7.5: leading line ends are ignored; blanks and NULs we step over as well."""
    match = _LEADING.match(data)
    start = match.end() if match else 0
    if start:
        only_line_ends = not data[:start].strip(b"\r\n")
        noted.append(anomaly("leading-line-ends" if only_line_ends else "leading-octets", 0))
    return start


def _first_line(data: bytes, start: int) -> tuple[int, int]:
    """End of the first line and start of the second."""
    line_end = data.find(b"\n", start)
    if line_end >= 0 and not ends_in_cr(data, start, line_end):
        return line_end - (line_end > start and data[line_end - 1] == 0x0D), line_end + 1
    line_end = data.find(b"\r", start)
    return (line_end, line_end + 1) if line_end >= 0 else (len(data), len(data))


def _read_first_line(
    data: bytes, start: int, line: bytes, noted: list[Anomaly]
) -> tuple[type[Request] | type[Response], tuple[bytes, bytes, bytes]] | None:
    """(Request, (method, request_uri, version)) or (Response, (digits, reason, version)); None when it is neither."""
    if len(line) > MAX_HEADER_BYTES:
        return None
    if match := STATUS_LINE.fullmatch(line):
        return Response, _read_status_line(match, start, noted)
    return _read_request_line(line, start, noted)


def _read_status_line(match: re.Match[bytes], start: int, noted: list[Anomaly]) -> tuple[bytes, bytes, bytes]:
    version, blanks, code, space, reason = match.group(1, 2, 3, 4, 5)
    _note_version(version, start, noted)
    if blanks != b" ":
        noted.append(anomaly("start-line-blanks", start + match.start(2)))
    if space is None:
        noted.append(anomaly("no-reason-space", start + match.end()))
    if not _is_status_code(code):
        noted.append(anomaly("status-code", start + match.start(3)))
    return code if len(code) == 3 else b"0", reason or b"", version


def _note_version(version: bytes, offset: int, noted: list[Anomaly]) -> None:
    if version.upper() != b"SIP/2.0":
        noted.append(anomaly("version", offset))
    elif version != b"SIP/2.0":
        noted.append(anomaly("version-case", offset))


def _read_request_line(
    line: bytes, start: int, noted: list[Anomaly]
) -> tuple[type[Request], tuple[bytes, bytes, bytes]] | None:
    fields = line.split()
    versions = [index for index, field in enumerate(fields) if SIP_VERSION.fullmatch(field)]
    if len(fields) < 3 or not versions or versions[-1] != len(fields) - 1:
        return None
    method, version = fields[0], fields[-1]
    method_end = line.index(method) + len(method)  # VT and FF may stand before it
    uri_start = line.index(fields[1], method_end)
    version_start = line.rindex(version)
    request_uri = line[uri_start:version_start].rstrip()
    if not TOKEN.fullmatch(method):
        noted.append(anomaly("method", start))
    _note_version(version, start + version_start, noted)
    if len(fields) > 3:
        noted.append(anomaly("request-uri-blanks", start + uri_start))
    if line != b" ".join((method, request_uri, version)):
        noted.append(anomaly("start-line-blanks", start + method_end))
    return Request, (method, request_uri, version)


def _note_lines(data: bytes, start: int, header_end: int, lines: list[Line], body: int, noted: list[Anomaly]) -> None:
    """Notes line ends, header lines that are none, and what the limits cut off."""
    head = data[start:header_end]
    if body < 0:
        _note_no_end(data, header_end, noted)
    if (bare := _BARE_LF.search(head)) is not None:
        noted.append(anomaly("bare-lf", start + bare.start()))
    if (bare := _BARE_CR.search(head)) is not None:
        noted.append(anomaly("bare-cr", start + bare.start()))
    for line in lines[:MAX_HEADERS]:
        if line.raw_name[:1] in (b" ", b"\t"):
            noted.append(anomaly("header-fold-first", line.offset))
        elif not line.has_colon:
            noted.append(anomaly("header-no-colon", line.offset))
        elif not canonical_name(line.raw_name):
            noted.append(anomaly("header-name", line.offset))
    if len(lines) > MAX_HEADERS:
        noted.append(anomaly("too-many-headers", lines[MAX_HEADERS].offset))
    octets: list[Anomaly] = []
    _note_octets(head, octets)
    noted += [anomaly(name, start + offset) for name, offset, _ in octets]


def _note_no_end(data: bytes, header_end: int, noted: list[Anomaly]) -> None:
    if header_end < len(data):
        noted.append(anomaly("too-much-header", header_end))
        return
    noted.append(anomaly("no-empty-line", len(data)))
    if data[-1:] not in (b"\n", b"\r"):
        noted.append(anomaly("cut-in-header", len(data)))


_BARE_LF: Final = re.compile(rb"(?<!\r)\n")
_BARE_CR: Final = re.compile(rb"\r(?!\n)")


def _unparsed(data: bytes, start: int, line: bytes, following: int, header_end: int, lines: list[Line]) -> Unparsed:
    """Not SIP; or SIP with a first line beyond repair, whose header lines are kept."""
    upper = line.upper()
    has_via = any(canonical_name(each.raw_name) == b"via" for each in lines[:8])
    # HTTP has a Via header, too.
    looks_like_sip = b"SIP/" in upper or (has_via and b"HTTP/" not in upper)
    reason = "start-line" if looks_like_sip else "not-sip"
    kept = lines[:MAX_HEADERS] if looks_like_sip else []
    headers = Headers.from_lines(data, following, header_end, kept)
    return Unparsed(data, headers, [anomaly(reason, start)], reason)
