"""A persona's answers as bytes: templates made once at start, filled for each request.

What an answer copies from its request (Via, From, To, Call-ID, CSeq; RFC 3261 8.2.6) is copied as it was written, in
the persona's order and manner. An answer that may not be longer than so many octets (the sensor's law) is made in its
fullest form that fits: the persona's `trim` list says what goes first. What never goes: the copied headers and the
challenge.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from relaytrap.sensor.flow import Flow
from relaytrap.sensor.pattern import FIELD
from relaytrap.sensor.persona import COPIED, Answer, Persona, Wire
from relaytrap.sip import Request

__all__ = ["Form", "Slots", "compile_form", "date_text", "in_uri", "stamp_via", "user_of_address"]

MANDATORY: Final = frozenset({b"via", b"from", b"to", b"call-id", b"cseq"})
COPIED_SLOTS: Final = MANDATORY | {b"to_bare"}
SLOT: Final = re.compile(rb"%\(([^)]*)\)b")
PLAIN_VIA: Final = re.compile(rb"SIP/2\.0/[A-Z]{2,4} [^;,\"\s]+;branch=[^;,\"\s]*;rport")
"""What nearly everybody writes: one hop, its branch, and the bare rport last."""
FIRST_HOP: Final = re.compile(rb'(?:[^,"]|"(?:[^"\\]|\\.)*+")*+')
NAME_ADDR: Final = re.compile(rb'\s*+(?:"((?:[^"\\]|\\.)*+)"\s*+|([^<"]*+))<([^<>]*+)>\s*+(.*)', re.S)
PLAIN_USER: Final = rb"sips?:([A-Za-z0-9.+*#_-]+)@[A-Za-z0-9.-]+(?::[0-9]+)?(?:;[A-Za-z0-9=._-]+)*"
PLAIN_URI: Final = re.compile(PLAIN_USER)
PLAIN_ADDRESS: Final = re.compile(rb'(?:"[^"\\]*" ?)?<' + PLAIN_USER + rb">(?:;[A-Za-z0-9=._-]+)*")
"""What nearly everybody writes: the user is seen without taking the rest apart, which takes three times as long."""
UNSAFE: Final = re.compile(rb"[\x00-\x1f\x7f<>\"]")


class Form:
    """One answer of a persona, ready to fill. templates: fullest first."""

    __slots__ = ("_copies", "_level", "_sizes", "answer", "status_code", "templates")

    def __init__(self, answer: Answer, templates: tuple[bytes, ...]) -> None:
        self.answer = answer
        self.templates = templates
        self.status_code = int(answer.status[:3])
        # For each template: octets of its own, and the slots that add theirs to those of the five copied headers.
        self._copies = b"%(via)b" in templates[0]
        self._level = 0  # where the last answer fitted: the next one, of the same scan, likely will too
        self._sizes = [
            (len(SLOT.sub(b"", each) % ()), [name for name in SLOT.findall(each) if name not in COPIED_SLOTS])
            for each in templates
        ]

    def fill(self, slots: "Slots", most: int) -> bytes | None:
        """The fullest form of at most that many octets; None when not even the shortest is."""
        level = self._level
        while level and self._size(level - 1, slots) <= most:
            level -= 1
        while self._size(level, slots) > most:
            level += 1
            if level == len(self.templates):
                return None
        self._level = level
        return self.templates[level] % slots

    def shortest(self, slots: "Slots") -> int:
        """Octets of the shortest form."""
        return self._size(-1, slots)

    def rehearse(self, slots: "Slots") -> None:
        """Fill every template once. Raises KeyError for a slot that nothing fills."""
        for template in self.templates:
            _ = template % slots

    def _size(self, level: int, slots: "Slots") -> int:
        size, names = self._sizes[level]
        if self._copies:
            size += slots.copied_octets
        for name in names:
            size += len(slots[name])
        return size


class Slots(dict[bytes, bytes]):
    """What a template may ask of one request: the five copied headers, and the rest made when it is first asked for.

    tag: the To tag of this answer (used only when the request has none); set by `use_tag`. copied_octets: of those
    five. Raises ValueError for a request that cannot be copied: a header is missing, or a line break hides in one.
    """

    __slots__ = ("_others", "_to", "copied_octets", "flow", "has_tag", "now_ns", "persona", "request", "tag")

    def __init__(self, request: Request, flow: Flow, persona: Persona, now_ns: int) -> None:
        headers = request.headers
        first = headers.first
        try:
            sender, to, call_id, cseq = first[b"from"], first[b"to"], first[b"call-id"], first[b"cseq"]
            via = stamp_via(first[b"via"], flow.source, flow.source_port, persona.wire)
        except KeyError as error:
            raise ValueError(f"no {error}") from None
        if b"via" in headers.repeated:
            via = b"\r\nVia: ".join((via, *headers.get_all(b"via")[1:]))
        if headers.may_hold_line_ends and has_line_end(b"".join((*headers.get_all(b"via"), sender, to, call_id, cseq))):
            raise ValueError("line end inside a header")
        is_reprinted = persona.wire.addresses == "reprinted"
        if is_reprinted:
            sender = reprint(sender)
        self.request = request
        self.flow = flow
        self.persona = persona
        self.now_ns = now_ns
        self.tag = b""
        self.has_tag = b"tag" in to.lower() and bool(request.to_tag)
        self._to = to
        self._others = len(via) + len(sender) + len(call_id) + len(cseq)
        self[b"via"], self[b"from"], self[b"to"], self[b"call-id"], self[b"cseq"] = via, sender, to, call_id, cseq
        self.copied_octets = self._others + len(to)
        if is_reprinted:
            self.use_tag(b"")

    def __missing__(self, key: bytes) -> bytes:
        value = self[key] = MAKERS[key](self)
        return value

    def use_tag(self, tag: bytes) -> None:
        """Give the next answers this To tag, if the request has none of its own."""
        self.tag = tag
        to = self._to
        if self.persona.wire.addresses == "reprinted":
            to = reprint(to, b"" if self.has_tag else tag)
        elif tag and not self.has_tag:
            to = to + b";tag=" + tag
        self[b"to"] = to
        self.copied_octets = self._others + len(to)
        self.pop(b"copied", None)


def compile_form(answer: Answer, persona: Persona, *, challenge_header: str = "") -> Form:
    """Templates of one answer, one for each step of the persona's `trim`.

    challenge_header: WWW-Authenticate or Proxy-Authenticate when the answer is a challenge.
    """
    wire, whole = persona.wire, answer
    wanted = [*answer.headers, *wire.every, *([challenge_header] if challenge_header else [])]
    values = {name: answer.values.get(name) or persona.headers.get(name, "") for name in wanted}
    if challenge_header:
        values[challenge_header] = "{challenge}"
    length = b"Content-Length: " + _places(persona.headers.get("Content-Length", "{length}")) + b"\r\n"
    templates = [_template(answer, wire, values, length)]
    for step in wire.trim:
        name, equals, shorter = step.partition("=")
        if step == "@body" and answer.body and answer.tag != "dialog":
            answer = msgspec.structs.replace(answer, body="")
            values.pop("Content-Type", None)
        elif step == "@length":
            length = b""
        elif name not in values:
            continue
        elif equals:
            values[name] = shorter
        else:
            del values[name]
        templates.append(_template(answer, wire, values, length))
    return Form(whole, tuple(templates))


def _template(answer: Answer, wire: Wire, values: dict[str, str], length: bytes) -> bytes:
    bare = answer.tag == "none"
    lines = [f"SIP/2.0 {answer.status}\r\n".encode()]
    for name in wire.order:
        if name == "@copied":
            lines.append(b"%(copied_bare)b" if bare else b"%(copied)b")
        elif name == "Record-Route":
            # Only into what makes a dialog (RFC 3261 12.1.1).
            lines.append(b"%(record_route)b" if answer.tag == "dialog" else b"")
        elif name in COPIED:
            slot = "to_bare" if bare and name == "To" else name.lower()
            lines.append(f"{name}: %({slot})b\r\n".encode())
        elif name == "Content-Length":
            lines.append(length)
        elif name in values:
            lines.append(name.encode() + b": " + _places(values[name]) + b"\r\n")
    lines.append(b"\r\n%(body)b" if answer.body else b"\r\n")
    whole = b"".join(lines)
    return whole if answer.body else whole.replace(b"%(length)b", b"0")


def _places(text: str) -> bytes:
    return FIELD.sub(lambda match: f"%({match[1]})b", text.replace("%", "%%")).encode()


def stamp_via(value: bytes, source: str, port: int, wire: Wire) -> bytes:
    """The topmost Via value as an answer carries it: with where the request really came from.

    `received` when sent-by is a name or another address (RFC 3261 18.2.1), and always beside an `rport` that was asked
    for (RFC 3581 section 4); a `received` that the sender wrote himself does not survive. value may hold several hops.
    """
    if wire.via_params != "first" and PLAIN_VIA.fullmatch(value):
        both = b";received=%b;rport=%d" if wire.via_params == "end" else b";rport=%d;received=%b"
        given = (source.encode(), port)
        return value[:-6] + both % (given if wire.via_params == "end" else given[::-1])
    rest = b""
    if b"," in value:
        first = FIRST_HOP.match(value)
        end = first.end() if first else len(value)
        value, rest = value[:end].rstrip(), value[end:]
    head, *params = value.split(b";")
    asked = False
    kept: list[bytes] = []
    for param in params:
        name = param.partition(b"=")[0].strip().lower()
        if name == b"rport":
            asked = True
            if wire.via_params == "in-place":
                kept.append(b"rport=%d" % port)
        elif name != b"received":
            kept.append(param)
    filled = asked or wire.rport == "always"
    added = [b"rport=%d" % port] if filled and not (asked and wire.via_params == "in-place") else []
    if wire.received == "always" or asked or _sent_by_host(head) != source.encode():
        received = b"received=" + source.encode()
        added = [received, *added] if wire.via_params == "end" else [*added, received]
    ordered = [*added, *kept] if wire.via_params == "first" else [*kept, *added]
    return b";".join([head.rstrip(), *ordered]) + rest


def has_line_end(value: bytes) -> bool:
    """Whether a value would not stay one line."""
    return b"\n" in value or b"\r" in value


def _sent_by_host(head: bytes) -> bytes:
    """The host of `SIP/2.0/UDP host:port`, without brackets."""
    sent_by = head.split()[-1] if head.split() else b""
    if sent_by.startswith(b"["):
        return sent_by[1:].partition(b"]")[0].lower()
    return sent_by.partition(b":")[0].lower()


def reprint(value: bytes, tag: bytes = b"") -> bytes:
    """An address header as a stack prints it that parsed it: quotes, brackets, no white space, tag first."""
    match = NAME_ADDR.fullmatch(value)
    if match:
        name = match[1] if match[1] is not None else match[2].rstrip()
        shown = b'"' + name + b'" ' if name else b""
        uri, params = match[3], match[4]
    else:
        shown = b""
        uri, _, params = value.partition(b";")
    listed = [param.strip() for param in params.split(b";") if param.strip()]
    if tag:
        listed.insert(0, b"tag=" + tag)
    return b";".join([shown + b"<" + uri.strip() + b">", *listed])


def in_uri(address: str) -> bytes:
    """An address as a URI's host: IPv6 in brackets."""
    return f"[{address}]".encode() if ":" in address else address.encode()


def _to_bare(slots: Slots) -> bytes:
    value = slots.request.headers.first[b"to"]
    return reprint(value) if slots.persona.wire.addresses == "reprinted" else value


def _copied(slots: Slots, *, bare: bool = False) -> bytes:
    """The request's own lines in the request's own order and spelling, as Kamailio copies them."""
    headers = slots.request.headers
    vias = iter(slots[b"via"].split(b"\r\nVia: "))
    tag = b"" if bare or slots.has_tag or not slots.tag else b";tag=" + slots.tag
    lines = []
    seen = set()
    for raw_name, name in zip(headers.names(), headers.canonical_names(), strict=True):
        if name not in MANDATORY or (name in seen and name != b"via"):
            continue
        seen.add(name)
        if name == b"via":
            value = (b" " if raw_name + b": " in slots.request.raw else b"") + next(vias)
        else:
            value = _as_it_stands(slots.request, raw_name, name) + (tag if name == b"to" else b"")
        lines.append(b"%b:%b\r\n" % (raw_name, value))
    return b"".join(lines)


def _as_it_stands(request: Request, raw_name: bytes, name: bytes) -> bytes:
    """What follows the first header's colon, blanks and folds included."""
    plain = b" " + request.headers.first[name]
    if b"%b:%b\r\n" % (raw_name, plain) in request.raw:  # nearly always: saves looking for the line
        return plain
    line = request.headers.line(name, 0)
    return line.raw_value if line is not None else plain


def _record_route(slots: Slots) -> bytes:
    values = slots.request.headers.get_all(b"record-route")
    return b"".join(b"Record-Route: " + value + b"\r\n" for value in values if not has_line_end(value))


def user_of_address(value: bytes | None) -> bytes | None:
    """The user in an address header that is written as nearly all are; None: take it apart."""
    plain = PLAIN_ADDRESS.fullmatch(value) if value is not None else None
    return plain[1] if plain else None


def _user(slots: Slots) -> bytes:
    if plain := PLAIN_URI.fullmatch(slots.request.request_uri):
        return plain[1]
    uri = slots.request.uri
    user = uri.user if uri is not None else None
    return b"" if user is None or UNSAFE.search(user) else user


def _aor(slots: Slots) -> bytes:
    user = slots[b"user"]
    return user + b"@" if user else b""


def _contact(slots: Slots) -> bytes:
    contacts = slots.request.contacts
    uri = contacts[0].uri.raw if contacts else b""
    if not uri or UNSAFE.search(uri):
        return b"sip:%b%b:%b" % (slots[b"aor"], slots[b"local"], slots[b"local_port"])
    return uri


def _expires(slots: Slots) -> bytes:
    asked = slots.request.headers.get(b"expires") or b"3600"
    return b"%d" % min(int(asked), 3600) if asked.isdigit() and len(asked) < 10 else b"3600"


def _transport_param(slots: Slots, *, upper: bool = False) -> bytes:
    """What a product's own URI ends in where it is not reached over UDP."""
    transport = slots.flow.transport
    return b"" if transport == "udp" else b";transport=" + (transport.upper() if upper else transport).encode()


@lru_cache(maxsize=8)
def date_text(second: int) -> bytes:
    """RFC 3261 20.17: RFC 1123 form, always GMT, English whatever the locale."""
    moment = datetime.fromtimestamp(second, UTC)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.weekday()]
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{day}, {moment:%d} {months[moment.month - 1]} {moment:%Y %H:%M:%S} GMT".encode()


MAKERS: Final[dict[bytes, Callable[[Slots], bytes]]] = {
    b"to_bare": _to_bare,
    b"copied": _copied,
    b"copied_bare": lambda slots: _copied(slots, bare=True),
    b"record_route": _record_route,
    b"user": _user,
    b"aor": _aor,
    b"contact": _contact,
    b"expires": _expires,
    b"unsupported": lambda _slots: b"",  # the engine fills it where an extension is refused
    b"local": lambda slots: in_uri(slots.flow.local),
    b"local_port": lambda slots: b"%d" % slots.flow.local_port,
    b"source": lambda slots: in_uri(slots.flow.source),
    b"source_port": lambda slots: b"%d" % slots.flow.source_port,
    b"transport": lambda slots: slots.flow.transport.encode(),
    b"transport_param": _transport_param,
    b"TRANSPORT_PARAM": lambda slots: _transport_param(slots, upper=True),
    b"date": lambda slots: date_text(slots.now_ns // 1_000_000_000),
    b"length": lambda slots: b"%d" % len(slots[b"body"]),
    b"cause": lambda _slots: b"16",
}
