"""What is odd about a message as a whole: fields that are missing, repeated, out of range or contradict each other.

Called once a message, when its anomalies are asked for. Asking each parsed value makes the leaf parsers note theirs.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from relaytrap.sip.anomaly import Anomaly, anomaly
from relaytrap.sip.grammar import CALL_ID, DATE, DELTA_SECONDS, MEDIA_TYPE, TOKEN_LIST, WARNING
from relaytrap.sip.params import split_list
from relaytrap.sip.sdp import find_odd_line
from relaytrap.sip.via import COOKIE, Via

if TYPE_CHECKING:  # message.py calls in here
    from relaytrap.sip.message import Request, Response

__all__ = ["inspect", "inspect_request"]

# Fields that may stand once (RFC 3261 section 7.3.1: only those whose value is a list may be repeated).
_ONCE: Final = frozenset(
    b"call-id content-disposition content-length content-type cseq date event expires from max-forwards min-expires"
    b" mime-version organization priority rack referred-by refer-to reply-to retry-after rseq server session-expires"
    b" subject subscription-state timestamp to user-agent".split()
)

_CORE: Final = frozenset((b"to", b"from", b"call-id", b"cseq", b"max-forwards"))


def inspect(message: "Request | Response", noted: list[Anomaly]) -> None:
    """Adds to `noted` everything odd about a message that splitting it did not note already.

    Called for every message that is stored: what nearly all of them pass is asked here, in one go; the words for the
    others are found below.
    """
    first, repeated = message.headers.first, message.headers.repeated
    for via in message.vias:
        branch = via.branch
        if branch is None or branch[:7] != COOKIE or len(branch) == 7 or via.sent_by_host == b"255.255.255.255":
            _inspect_hop(message, via, branch, noted)
    if not (b"via" in first and b"from" in first and b"to" in first and b"call-id" in first and b"cseq" in first):
        noted += [anomaly(defect, len(message.raw)) for name, defect in _REQUIRED if name not in first]
    if message.from_tag is None and message.from_address is not None:
        _note_line(message, b"from", 0, "no-from-tag", noted)
    _ = message.to_address, message.contacts, message.max_forwards
    call_id = first.get(b"call-id")
    if call_id is not None and CALL_ID.fullmatch(call_id) is None:
        _note_line(message, b"call-id", 0, "call-id", noted)
    _ = message.cseq
    if message.content_length or len(message.raw) > message.body_start:
        _inspect_body(message, first, noted)
    if repeated:
        for name in _ONCE.intersection(repeated):
            _note_line(message, name, 1, "required-repeated" if name in _CORE else "header-repeated", noted)
    if not _LESS_COMMON.isdisjoint(first):
        _inspect_less_common(message, first, noted)


def _inspect_less_common(message: "Request | Response", first: dict[bytes, bytes], noted: list[Anomaly]) -> None:
    for name in _LESS_COMMON.intersection(first):
        if name in _CHECKS:
            _check_field(message, name, _CHECKS[name], noted)
        else:
            getattr(message, _PARSED[name])


def _note_line(message: "Request | Response", name: bytes, index: int, defect: str, noted: list[Anomaly]) -> None:
    line = message.headers.line(name, index)
    if line is not None:
        noted.append(anomaly(defect, line.offset))


_REQUIRED: Final = (
    (b"via", "no-via"),
    (b"from", "no-from"),
    (b"to", "no-to"),
    (b"call-id", "no-call-id"),
    (b"cseq", "no-cseq"),
)


def _inspect_hop(message: "Request | Response", via: Via, branch: bytes | None, noted: list[Anomaly]) -> None:
    offset = message.raw.find(via.raw)
    if offset < 0:  # folded: the line must do
        values = message.headers.get_all(b"via")
        index = next((at for at, value in enumerate(values) if via.raw in value), 0)
        line = message.headers.line(b"via", index)
        offset = line.offset if line else 0
    if branch is None:
        noted.append(anomaly("no-branch", offset))
    elif branch[:7].lower() != COOKIE.lower():
        noted.append(anomaly("branch-cookie", offset))
    elif len(branch) == 7:
        noted.append(anomaly("branch-empty", offset))
    if via.sent_by_host == b"255.255.255.255":
        noted.append(anomaly("via-broadcast", offset))


def inspect_request(message: "Request", noted: list[Anomaly]) -> None:
    """Adds to `noted` everything odd about a request, as `inspect` does, and what only a request can have wrong."""
    inspect(message, noted)
    first = message.headers.first
    method, cseq = message.method, message.cseq
    if cseq is not None and cseq.method != method:
        _note_line(message, b"cseq", 0, "cseq-method", noted)
    if b"max-forwards" not in first:
        noted.append(anomaly("no-max-forwards", len(message.raw)))
    if method == b"INVITE":
        if b"contact" not in first:
            noted.append(anomaly("no-contact", len(message.raw)))
    elif method == b"REGISTER":
        expiries = [contact.param(b"expires") for contact in message.contacts if contact.params]
        if any(expiry is not None and not _is_delta_seconds(expiry) for expiry in expiries):
            _note_line(message, b"contact", 0, "expires", noted)
    uri = message.uri
    if uri is not None and uri.headers and uri.scheme in (b"sip", b"sips"):
        noted.append(anomaly("request-uri-headers", max(message.raw.find(message.request_uri), 0)))
    if first.get(b"contact") == b"*" or b"contact" in message.headers.repeated:
        _inspect_contact_star(message, noted)


def _inspect_contact_star(message: "Request", noted: list[Anomaly]) -> None:
    values = message.headers.get_all(b"contact")
    if b"*" not in values:
        return
    expires = message.headers.get(b"expires")
    if len(values) > 1 or message.method != b"REGISTER" or expires is None or expires.strip(b"0"):
        _note_line(message, b"contact", values.index(b"*"), "contact-star", noted)


def _inspect_body(message: "Request | Response", first: dict[bytes, bytes], noted: list[Anomaly]) -> None:
    length, there = message.content_length, len(message.raw) - message.body_start
    if length is None:
        length = there
    elif length > there:
        has_bare_ends = any(each.name in ("bare-lf", "bare-cr") for each in noted)
        noted.append(anomaly(_name_shortage(message, length - there, has_bare_ends), len(message.raw)))
    elif length < there:
        noted.append(anomaly(_name_extra(message.extra), message.body_start + length))
    if not length or not there:
        return
    kind = first.get(b"content-type")
    if kind is None:
        noted.append(anomaly("no-content-type", message.body_start))
    elif kind[:15].lower() == b"application/sdp":
        line = find_odd_line(message.body)
        if line >= 0:
            noted.append(anomaly("sdp", message.body_start + line))
    elif kind[:10].lower() == b"multipart/" and not message.parts:
        noted.append(anomaly("multipart", message.body_start))


def _name_shortage(message: "Request | Response", missing: int, has_bare_ends: bool) -> str:
    """Whether a body was cut or its sender cannot count, as RFC 5118's own example of 268 octets that are 251.

    A body whose line ends were converted with those of its header part lost at most an octet for each.
    """
    kind, body = message.content_type or b"", message.body
    if has_bare_ends and missing <= body.count(b"\r") + body.count(b"\n") - 2 * body.count(b"\r\n"):
        return "body-miscounted"
    is_whole = kind[:15].lower() == b"application/sdp" and missing < len(body) and find_odd_line(body) < 0
    return "body-miscounted" if is_whole else "body-short"


def _name_extra(extra: bytes) -> str:
    if not extra.strip(b"\r\n\x00"):
        return "padding"
    line = extra.lstrip(b"\r\n\x00 \t").partition(b"\n")[0].rstrip(b"\r")
    return "second-message" if line[:4] == b"SIP/" or line[-8:] == b" SIP/2.0" else "extra-octets"


def _check_field(
    message: "Request | Response", name: bytes, check: Callable[[bytes], str], noted: list[Anomaly]
) -> None:
    for index, value in enumerate(message.headers.get_all(name)):
        if defect := check(value):
            _note_line(message, name, index, defect, noted)


def _check_date(value: bytes) -> str:
    return "" if DATE.fullmatch(value) else "date"


def _check_expires(value: bytes) -> str:
    return "" if _is_delta_seconds(value) else "expires"


def _is_delta_seconds(value: bytes) -> bool:
    digits = value.lstrip(b"0")
    return DELTA_SECONDS.fullmatch(value) is not None and len(digits) <= 10 and int(digits or b"0") < 2**32


def _check_retry_after(value: bytes) -> str:
    digits = re.match(rb"[0-9]*", value)
    return "" if digits and _is_delta_seconds(digits[0]) else "retry-after"


def _check_warning(value: bytes) -> str:
    return "" if all(WARNING.fullmatch(element) for _, element in split_list(value)) else "warning"


def _check_content_type(value: bytes) -> str:
    return "" if MEDIA_TYPE.match(value) else "content-type"


def _check_option_tags(value: bytes) -> str:
    return "" if TOKEN_LIST.fullmatch(value) else "option-tag"


_CHECKS: Final[dict[bytes, Callable[[bytes], str]]] = {
    b"content-type": _check_content_type,
    b"date": _check_date,
    b"expires": _check_expires,
    b"min-expires": _check_expires,
    b"proxy-require": _check_option_tags,
    b"require": _check_option_tags,
    b"retry-after": _check_retry_after,
    b"warning": _check_warning,
}

# Fields whose values note their own defects when the message is asked for them.
_PARSED: Final[dict[bytes, str]] = {
    b"authorization": "credentials",
    b"proxy-authenticate": "challenges",
    b"proxy-authorization": "credentials",
    b"record-route": "record_route",
    b"route": "route",
    b"www-authenticate": "challenges",
}

_LESS_COMMON: Final = frozenset(_CHECKS) | frozenset(_PARSED)
