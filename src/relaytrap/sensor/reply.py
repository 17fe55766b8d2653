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
from itertools import groupby
from typing import Final

import msgspec

from relaytrap.sensor.flow import Flow
from relaytrap.sensor.persona import COPIED, PLACE, Answer, Persona, Wire
from relaytrap.sip import Request

__all__ = ["Form", "Slots", "compile_form", "stamp_via"]

MANDATORY: Final = frozenset({b"via", b"from", b"to", b"call-id", b"cseq"})
AT: Final = ord("@")
PLAIN_VIA: Final = re.compile(rb'[,"]|received|rport.*rport', re.IGNORECASE)
SLOT: Final = re.compile(rb"%\(([^)]*)\)b")
FIRST_HOP: Final = re.compile(rb'(?:[^,"]|"(?:[^"\\]|\\.)*")*')
NAME_ADDR: Final = re.compile(rb'\s*(?:"((?:[^"\\]|\\.)*)"|([^<"]*?))\s*<([^<>]*)>\s*(.*)', re.S)
UNSAFE: Final = re.compile(rb"[\x00-\x1f\x7f<>\"]")


class Form:
    """One answer of a persona, ready to fill. templates: fullest first."""

    __slots__ = ("_lengths", "answer", "status_code", "templates")

    def __init__(self, answer: Answer, templates: tuple[bytes, ...]) -> None:
        self.answer = answer
        self.templates = templates
        self.status_code = int(answer.status[:3])
        # For each template: octets of its own, and the slots whose octets are added.
        self._lengths = [(len(SLOT.sub(b"", each) % ()), SLOT.findall(each)) for each in templates]

    def fill(self, slots: "Slots", most: int) -> bytes | None:
        """The fullest form of at most that many octets; None when not even the shortest is."""
        for template, (own, names) in zip(self.templates, self._lengths, strict=True):
            if own + sum([len(slots[name]) for name in names]) <= most:
                return template % slots
        return None

    def shortest(self, slots: "Slots") -> int:
        """Octets of the shortest form."""
        own, names = self._lengths[-1]
        return own + sum([len(slots[name]) for name in names])


class Slots(dict[bytes, bytes]):
    """What a template may ask of one request; each value is made when it is first asked for.

    tag: the To tag of this answer (used only when the request has none). Raises ValueError, at the time of asking, for
    a request whose own words cannot be copied (a mandatory header is missing, or a line break hides in one).
    """

    def __init__(self, request: Request, flow: Flow, persona: Persona, now_ns: int) -> None:
        super().__init__()
        self.request = request
        self.flow = flow
        self.persona = persona
        self.now_ns = now_ns
        self.tag = b""

    def __missing__(self, key: bytes) -> bytes:
        value = self[key] = _copied(self, key) if key[0] == AT else MAKERS[key](self)
        return value

    def use_tag(self, tag: bytes) -> None:
        """Give the next answers another To tag."""
        if tag != self.tag:
            self.tag = tag
            for key in [key for key in self if key.startswith(b"@")]:
                del self[key]


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
    lines = [f"SIP/2.0 {answer.status}\r\n".encode()]
    for is_copied, names in groupby(wire.order, key=lambda name: name in COPIED or name == "@copied"):
        if is_copied:
            lines.append(_copied_slot(list(names), answer))
            continue
        for name in names:
            if name == "Content-Length":
                lines.append(length)
            elif name in values:
                lines.append(name.encode() + b": " + _places(values[name]) + b"\r\n")
    lines.append(b"\r\n%(body)b" if answer.body else b"\r\n")
    whole = b"".join(lines)
    return whole if answer.body else whole.replace(b"%(length)b", b"0")


def _copied_slot(names: list[str], answer: Answer) -> bytes:
    """One slot for a run of copied headers: `%(@To|via|from|to)b`, with `@to` in place of `@To` for a To without tag.

    Record-Route goes only into answers that make a dialog (RFC 3261 12.1.1).
    """
    if answer.tag != "dialog":
        names = [name for name in names if name != "Record-Route"]
    return b"%(" + b"|".join([b"@to" if answer.tag == "none" else b"@To", *(n.encode() for n in names)]) + b")b"


def _places(text: str) -> bytes:
    return PLACE.sub(lambda match: f"%({match[1]})b", text.replace("%", "%%")).encode()


def stamp_via(value: bytes, source: str, port: int, wire: Wire) -> bytes:
    """The topmost Via value as an answer carries it: with where the request really came from.

    `received` when sent-by is a name or another address (RFC 3261 18.2.1), and always beside a filled `rport` (RFC
    3581 section 4); a `received` that the sender wrote himself does not survive. value may hold several hops.
    """
    if value.endswith(b";rport") and wire.via_params != "first" and not PLAIN_VIA.search(value):
        # What nearly everybody writes: a branch, and the bare rport last.
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
    if wire.received == "always" or filled or _sent_by_host(head) != source.encode():
        received = b"received=" + source.encode()
        added = [received, *added] if wire.via_params == "end" else [*added, received]
    ordered = [*added, *kept] if wire.via_params == "first" else [*kept, *added]
    return b";".join([head.rstrip(), *ordered]) + rest


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
        name = match[1] if match[1] is not None else match[2]
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


@lru_cache(maxsize=64)
def _run(key: bytes) -> tuple[bool, tuple[tuple[bytes, bytes], ...]]:
    """What a copied slot's name says: whether To gets a tag, and (line start, canonical name) of each header."""
    flag, *names = key.split(b"|")
    return flag == b"@To", tuple((name + b": ", name.lower()) for name in names)


def _copied(slots: Slots, key: bytes) -> bytes:
    """A run of header lines as they go back. Raises ValueError when one is missing or would not stay one line."""
    is_tagged, run = _run(key)
    first = slots.request.headers.first
    reprinted = slots.persona.wire.addresses == "reprinted"
    lines: list[bytes] = []
    for start, name in run:
        if name == b"@copied":
            _add_in_request_order(slots, lines, is_tagged)
        elif name == b"via":
            lines += [start + value for value in _stamped(slots)]
        elif name == b"record-route":
            lines += [start + value for value in slots.request.headers.get_all(name)]
        elif name not in first:
            raise ValueError(name.decode())
        elif name == b"to":
            lines.append(start + _to(slots, is_tagged))
        else:
            lines.append(start + (reprint(first[name]) if reprinted and name == b"from" else first[name]))
    block = b"\r\n".join(lines) + b"\r\n" if lines else b""
    if block.count(b"\n") != len(lines) or block.count(b"\r") != len(lines):
        raise ValueError("line end inside a header")
    return block


def _add_in_request_order(slots: Slots, lines: list[bytes], is_tagged: bool) -> None:
    """The request's own lines in the request's own order and spelling, as Kamailio copies them."""
    headers = slots.request.headers
    if not all(name in headers for name in MANDATORY):
        raise ValueError("a mandatory header is missing")
    vias = iter(_stamped(slots))
    seen = set()
    for raw_name, name in zip(headers.names(), headers.canonical_names(), strict=True):
        if name not in MANDATORY or (name in seen and name != b"via"):
            continue
        seen.add(name)
        value = next(vias) if name == b"via" else _to(slots, is_tagged) if name == b"to" else headers.first[name]
        lines.append(raw_name.rstrip() + b": " + value)


def _stamped(slots: Slots) -> list[bytes]:
    values = slots.request.headers.get_all(b"via")
    if not values:
        raise ValueError("via")
    flow = slots.flow
    return [stamp_via(values[0], flow.source, flow.source_port, slots.persona.wire), *values[1:]]


def _to(slots: Slots, is_tagged: bool) -> bytes:
    value = slots.request.headers.first[b"to"]
    tag = slots.tag if is_tagged and (b"tag" not in value.lower() or slots.request.to_tag is None) else b""
    if slots.persona.wire.addresses == "reprinted":
        return reprint(value, tag)
    return value + b";tag=" + tag if tag else value


def _user(slots: Slots) -> bytes:
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


def _unsupported(slots: Slots) -> bytes:
    wanted = [*slots.request.headers.get_all(b"require"), *slots.request.headers.get_all(b"proxy-require")]
    return b", ".join(value for value in wanted if not UNSAFE.search(value)) or b"unknown"


@lru_cache(maxsize=8)
def _date_text(second: int) -> bytes:
    """RFC 3261 20.17: RFC 1123 form, always GMT, English whatever the locale."""
    moment = datetime.fromtimestamp(second, UTC)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[moment.weekday()]
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{day}, {moment:%d} {months[moment.month - 1]} {moment:%Y %H:%M:%S} GMT".encode()


MAKERS: Final[dict[bytes, Callable[[Slots], bytes]]] = {
    b"user": _user,
    b"aor": _aor,
    b"contact": _contact,
    b"expires": _expires,
    b"unsupported": _unsupported,
    b"local": lambda slots: in_uri(slots.flow.local),
    b"local_port": lambda slots: b"%d" % slots.flow.local_port,
    b"source": lambda slots: in_uri(slots.flow.source),
    b"source_port": lambda slots: b"%d" % slots.flow.source_port,
    b"transport": lambda slots: slots.flow.transport.encode(),
    b"date": lambda slots: _date_text(slots.now_ns // 1_000_000_000),
    b"length": lambda slots: b"%d" % len(slots[b"body"]),
    b"cause": lambda _slots: b"16",
}
