"""One message: bytes to Request, Response or Unparsed, whatever the bytes are.

`parse_message` only tells the first line, the header fields and the body apart. Values inside header fields are parsed
when they are first asked for, and kept; what is odd in them is noted then. `anomalies` asks for all of them. Refusing a
message is not done here: see `validate`.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeAlias, TypeVar

from relaytrap.sip.address import Address, read_address, read_addresses
from relaytrap.sip.anomaly import Anomaly, Defect, anomaly
from relaytrap.sip.checks import inspect, inspect_request
from relaytrap.sip.digest import Credentials, read_credentials
from relaytrap.sip.grammar import CSEQ
from relaytrap.sip.headers import Headers
from relaytrap.sip.lazy import lazy
from relaytrap.sip.multipart import Part, split_multipart
from relaytrap.sip.params import split_list
from relaytrap.sip.sdp import Sdp, read_sdp
from relaytrap.sip.uri import Uri, read_uri
from relaytrap.sip.via import Via, read_vias

__all__ = ["METHODS", "CSeq", "Message", "Request", "Response", "Unparsed"]

T = TypeVar("T")


class CSeq(NamedTuple):
    """Sequence number (below 2**32) and the method it counts."""

    number: int
    method: bytes


class _Parsed:
    """What requests and responses share."""

    def __init__(self, raw: bytes, headers: Headers, body_start: int, noted: list[Anomaly]) -> None:
        self.raw = raw
        self.headers = headers
        self._first = headers.first
        self.body_start = body_start
        self._noted = noted

    @lazy
    def anomalies(self) -> tuple[Anomaly, ...]:
        """Everything odd about the message, in the order of its bytes. Parses all that is not parsed yet."""
        noted = self._noted
        self._inspect(noted)
        return tuple(sorted(noted, key=lambda each: each.offset)[:MAX_ANOMALIES]) if noted else ()

    def _inspect(self, noted: list[Anomaly]) -> None:
        """Adds what is odd to what is noted."""

    @lazy
    def vias(self) -> tuple[Via, ...]:
        """The path, nearest hop first, over all Via lines; hops that cannot be told apart are left out."""
        return self._read_lists(b"via", read_vias)

    @lazy
    def via_count(self) -> int:
        """Number of Via values, also of those that cannot be read; 255 stands for that and more."""
        value = self._first.get(b"via")
        if value is None or (b"," not in value and b"via" not in self.headers.repeated):
            return 0 if value is None else 1
        values = self.headers.get_all(b"via")
        count = len(values)
        for value in values[:MAX_LISTED]:
            if b"," in value:
                count += len(split_list(value)) - 1
        return min(count, MAX_LISTED)

    @lazy
    def from_address(self) -> Address | None:
        """The first From."""
        return self._read_address(b"from")

    @lazy
    def to_address(self) -> Address | None:
        """The first To."""
        return self._read_address(b"to")

    @lazy
    def from_tag(self) -> bytes | None:
        """Tag of From."""
        address = self.from_address
        return address.tag if address else None

    @lazy
    def to_tag(self) -> bytes | None:
        """Tag of To."""
        address = self.to_address
        return address.tag if address else None

    @lazy
    def contacts(self) -> tuple[Address, ...]:
        """Every Contact; () also for `Contact: *` (see `is_wildcard_contact`)."""
        if self._first.get(b"contact") == b"*" and self.is_wildcard_contact:
            return ()
        return self._read_lists(b"contact", read_addresses)

    @property
    def is_wildcard_contact(self) -> bool:
        """Whether Contact is `*`: a REGISTER that removes every binding."""
        return self._first.get(b"contact") == b"*" and b"contact" not in self.headers.repeated

    @lazy
    def route(self) -> tuple[Address, ...]:
        """Every Route, the next one first."""
        return self._read_lists(b"route", read_addresses)

    @lazy
    def record_route(self) -> tuple[Address, ...]:
        """Every Record-Route, the nearest hop's first."""
        return self._read_lists(b"record-route", read_addresses)

    @property
    def call_id(self) -> bytes | None:
        """The first Call-ID, whatever it looks like."""
        return self._first.get(b"call-id")

    @lazy
    def cseq(self) -> CSeq | None:
        """The first CSeq; None when absent, unreadable or 2**32 or more."""
        value = self._first.get(b"cseq")
        if value is None:
            return None
        digits, _, method = value.partition(b" ")
        if digits.isdigit() and len(digits) < 10 and method in METHODS:
            return tuple.__new__(CSeq, (int(digits), method))
        match = CSEQ.fullmatch(value)
        if match is None:
            self._note(b"cseq", 0, [("cseq", 0)])
            return None
        number = _decimal(match[1])
        if number is None or number >= 2**31:
            self._note(b"cseq", 0, [("cseq-range", 0)])
        return CSeq(number, match[2]) if number is not None and number < 2**32 else None

    @lazy
    def max_forwards(self) -> int | None:
        """Max-Forwards; None when absent or no number from 0 to 255."""
        value = self._first.get(b"max-forwards")
        if value is None:
            return None
        number = _OCTETS.get(value)
        if number is None:
            number = _decimal(value)
        if number is not None and number <= 255:
            return number
        self._note(b"max-forwards", 0, [("max-forwards", 0)])
        return None

    @property
    def user_agent(self) -> bytes | None:
        """User-Agent; without one, Server."""
        value = self._first.get(b"user-agent")
        return self._first.get(b"server") if value is None else value

    @property
    def content_type(self) -> bytes | None:
        """Content-Type as written, with its parameters."""
        return self._first.get(b"content-type")

    @lazy
    def content_length(self) -> int | None:
        """The number in Content-Length; None when absent, no number, or several disagree."""
        value = self._first.get(b"content-length")
        if value is None:
            return None
        length = _OCTETS.get(value)
        if b"content-length" in self.headers.repeated:
            lengths = {_decimal(each) for each in self.headers.get_all(b"content-length")}
            if len(lengths) > 1:
                self._note(b"content-length", 1, [("content-length-conflict", 0)])
                return None
        if length is None:
            length = _decimal(value)
        if length is None:
            self._note(b"content-length", 0, [("content-length", 0)])
        return length

    @lazy
    def body(self) -> bytes:
        """What follows the empty line, as far as Content-Length (if it is a number) reaches."""
        length = self.content_length
        return self.raw[self.body_start :] if length is None else self.raw[self.body_start : self.body_start + length]

    @lazy
    def extra(self) -> bytes:
        """Octets behind the end that Content-Length gives: noise to an element, evidence to us."""
        length = self.content_length
        return b"" if length is None else self.raw[self.body_start + length :]

    @lazy
    def sdp(self) -> Sdp | None:
        """The session description: the body, or the first part of a multipart body, that Content-Type says is one."""
        if not self.body:
            return None
        if _is_sdp(self.content_type):
            return read_sdp(self.body)
        return next((read_sdp(part.body) for part in self.parts if _is_sdp(part.headers.get(b"content-type"))), None)

    @lazy
    def parts(self) -> tuple[Part, ...]:
        """The parts of a multipart body; () for any other."""
        kind = self.content_type
        if kind is None or kind[:10].lower() != b"multipart/":
            return ()
        return split_multipart(self.body, kind)

    @lazy
    def credentials(self) -> tuple[Credentials, ...]:
        """Every Authorization and Proxy-Authorization that can be read."""
        return self._read_credentials(b"authorization", b"proxy-authorization")

    @lazy
    def challenges(self) -> tuple[Credentials, ...]:
        """Every WWW-Authenticate and Proxy-Authenticate that can be read."""
        return self._read_credentials(b"www-authenticate", b"proxy-authenticate")

    def _read_credentials(self, *names: bytes) -> tuple[Credentials, ...]:
        found = []
        for name in names:
            for index, value in enumerate(self.headers.get_all(name)):
                defects: list[Defect] = []
                if credentials := read_credentials(value, defects):
                    found.append(credentials)
                if defects:
                    self._note(name, index, defects)
        return tuple(found)

    def _read_address(self, name: bytes) -> Address | None:
        value = self._first.get(name)
        if value is None:
            return None
        defects: list[Defect] = []
        address = read_address(value, 0, defects)
        if defects:
            self._note(name, 0, defects)
        return address

    def _read_lists(self, name: bytes, read: Callable[[bytes, list[Defect]], tuple[T, ...]]) -> tuple[T, ...]:
        value = self._first.get(name)
        if value is None:
            return ()
        defects: list[Defect] = []
        values = self.headers.repeated.get(name)
        if values is None:
            found = read(value, defects)
            if defects:
                self._note(name, 0, defects)
            return found
        found = ()
        for index, value in enumerate(values):
            found += read(value, defects)
            if defects:
                self._note(name, index, defects)
                defects = []
            if len(found) > MAX_LISTED:
                self._note(name, index, [("too-many-values", 0)])
                return found[:MAX_LISTED]
        return found

    def _note(self, name: bytes, index: int, defects: Sequence[Defect]) -> None:
        """Notes what is wrong in the index-th field of a name; offsets are those in its unfolded value."""
        line = self.headers.line(name, index)
        if line is not None:
            offsets = line.raw_offsets([offset for _, offset in defects])
            self._noted += [anomaly(name, offset) for (name, _), offset in zip(defects, offsets, strict=True)]


# Values of one header over all its lines.
MAX_LISTED: Final = 255
# What is worth keeping of a message that is nothing but oddities.
MAX_ANOMALIES: Final = 256

# What is met again and again, so that one look-up replaces a match.
METHODS: Final = frozenset(
    b"ACK BYE CANCEL INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE".split()
)
_OCTETS: Final = {b"%d" % number: number for number in range(256)}


def _is_sdp(content_type: bytes | None) -> bool:
    return content_type is not None and content_type.partition(b";")[0].strip().lower() == b"application/sdp"


def _decimal(value: bytes) -> int | None:
    """A run of digits as a number, kept below 10**15 so that no length is ever too large to add."""
    if not value.isdigit():
        return None
    return int(value) if len(value) <= 15 else min(int(value.lstrip(b"0")[:16] or b"0"), 10**15)


class Request(_Parsed):
    """A request. method: as written. request_uri: as written, see `uri`. version: b"SIP/2.0" or what stood there."""

    def __init__(
        self,
        raw: bytes,
        headers: Headers,
        body_start: int,
        noted: list[Anomaly],
        method: bytes,
        request_uri: bytes,
        version: bytes,
    ) -> None:
        super().__init__(raw, headers, body_start, noted)
        self.method = method
        self.request_uri = request_uri
        self.version = version

    @lazy
    def uri(self) -> Uri | None:
        """The Request-URI taken apart, without angle brackets that do not belong there; None when it is none."""
        text = self.request_uri
        uri, defects = read_uri(text.strip(b"<>") if text[:1] == b"<" else text)
        if defects or text[:1] == b"<":
            start = max(self.raw.find(text), 0)
            if text[:1] == b"<":
                self._noted.append(anomaly("request-uri-brackets", start))
            self._noted += [anomaly(name, start + offset) for name, offset in defects]
        return uri

    _inspect = inspect_request

    def __repr__(self) -> str:
        return f"<Request {self.method!r} {self.request_uri!r}, {len(self.raw)} octets>"


class Response(_Parsed):
    """A response. status_code: 0 when what stands there is not three digits. reason_phrase: as written."""

    def __init__(
        self,
        raw: bytes,
        headers: Headers,
        body_start: int,
        noted: list[Anomaly],
        status_code: int,
        reason_phrase: bytes,
        version: bytes,
    ) -> None:
        super().__init__(raw, headers, body_start, noted)
        self.status_code = status_code
        self.reason_phrase = reason_phrase
        self.version = version

    _inspect = inspect

    def __repr__(self) -> str:
        return f"<Response {self.status_code} {self.reason_phrase!r}, {len(self.raw)} octets>"


class Unparsed:
    """Bytes that are no SIP message.

    reason: name of the anomaly that says why: "empty", "keepalive", "not-sip" or "start-line".
    headers: header lines, when what follows the first line looks like some ("start-line" only).
    """

    def __init__(self, raw: bytes, headers: Headers, noted: list[Anomaly], reason: str) -> None:
        self.raw = raw
        self.headers = headers
        self.anomalies: tuple[Anomaly, ...] = tuple(noted)
        self.reason = reason
        self.body = b""

    def __repr__(self) -> str:
        return f"<Unparsed {self.reason}, {len(self.raw)} octets>"


Message: TypeAlias = Request | Response | Unparsed
