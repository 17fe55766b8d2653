"""Generators of SIP shared by the property tests of every room: URIs, Via chains, addresses, messages, streams.

Well-formed ones come with their parts, so that a test can say what must be read back. `any_message` gives bytes that
look like SIP and are wrong in places; `mutated` breaks a good message somewhere.
"""

from dataclasses import dataclass

from hypothesis import strategies as st

__all__ = [
    "WireMessage",
    "addresses",
    "any_message",
    "bodies",
    "cuts",
    "hosts",
    "messages",
    "mutated",
    "quoted",
    "requests",
    "tokens",
    "uris",
    "via_chains",
    "vias",
]

TOKEN = "ABCXYZabcxyz0189-.!%*_+`'~"
USER = "ABCabc0189-_.!~*'()&=+$,;?/"


def _bytes(alphabet: str, min_size: int = 1, max_size: int = 12) -> st.SearchStrategy[bytes]:
    return st.text(alphabet=alphabet, min_size=min_size, max_size=max_size).map(str.encode)


def tokens() -> st.SearchStrategy[bytes]:
    """token of RFC 3261 section 25.1."""
    return _bytes(TOKEN)


def quoted() -> st.SearchStrategy[bytes]:
    """quoted-string, with escapes and UTF-8, quotes included."""
    pieces = st.one_of(
        _bytes("abc XYZ;,<>@=/", 1, 5), st.sampled_from([b'\\"', b"\\\\", b"\\\x00", "Ж".encode()]), st.just(b"")
    )
    return st.lists(pieces, max_size=4).map(lambda parts: b'"' + b"".join(parts) + b'"')


HOSTS = [
    *(
        (name, name)
        for name in (b"a", b"pbx.example.com", b"x-1.y--z.example", b"EXAMPLE.org.", b"1st.example", b"3com.com")
    ),
    *((b"[" + text + b"]", text) for text in (b"::1", b"2001:db8::9:1", b"::ffff:192.0.2.1", b"fe80::a:b:c:d")),
]


def _ipv4(number: int) -> tuple[bytes, bytes]:
    text = b"%d.%d.%d.%d" % tuple(number.to_bytes(4, "big"))
    return text, text


def hosts() -> st.SearchStrategy[tuple[bytes, bytes]]:
    """(as written in a URI or Via, as read): names, IPv4, IPv6 in brackets."""
    return st.sampled_from(HOSTS) | st.integers(0, 2**32 - 1).map(_ipv4)


ports = st.none() | st.integers(1, 65535)


def _host_port(host: bytes, port: int | None) -> bytes:
    return host if port is None else b"%s:%d" % (host, port)


@st.composite
def uris(draw: st.DrawFn) -> tuple[bytes, dict[str, object]]:
    """A SIP URI and its parts."""
    scheme = draw(st.sampled_from([b"sip", b"sips"]))
    user = draw(st.none() | _bytes(USER) | st.just(b"a%40b"))
    password = draw(st.none() | _bytes("abc019$&")) if user is not None else None
    written, host = draw(hosts())
    port = draw(ports)
    params = draw(
        st.lists(
            st.tuples(_bytes("abcxyz-"), st.none() | _bytes("abc019.:[]")), max_size=3, unique_by=lambda item: item[0]
        )
    )
    text = scheme + b":"
    if user is not None:
        text += user + (b"" if password is None else b":" + password) + b"@"
    text += _host_port(written, port)
    text += b"".join(b";" + name + (b"" if value is None else b"=" + value) for name, value in params)
    parts = {
        "scheme": scheme,
        "user": user,
        "password": password,
        "host": host,
        "port": port,
        "params": tuple(params),
    }
    return text, parts


@st.composite
def vias(draw: st.DrawFn) -> tuple[bytes, dict[str, object]]:
    """One Via value and its parts; blanks now and then where the grammar allows them."""
    transport = draw(st.sampled_from([b"UDP", b"TCP", b"TLS", b"WS", b"UNKNOWN"]))
    written, host = draw(hosts())
    port = draw(ports)
    branch = b"z9hG4bK" + draw(tokens())
    extra = draw(
        st.lists(st.tuples(_bytes("abcxyz"), st.none() | tokens() | quoted()), max_size=2, unique_by=lambda i: i[0])
    )
    params: list[tuple[bytes, bytes | None]] = [(b"branch", branch), *extra]
    if draw(st.booleans()):
        params.append((b"rport", None))
    blank = draw(st.sampled_from([b"", b"", b"", b" ", b"\t"]))
    text = blank.join([b"SIP", b"/", b"2.0", b"/", transport]) + b" " + _host_port(written, port)
    for name, value in params:
        text += blank + b";" + blank + name + (b"" if value is None else blank + b"=" + blank + value)
    parts = {"transport": transport, "sent_by_host": host, "sent_by_port": port, "params": tuple(params)}
    return text, parts


def via_chains() -> st.SearchStrategy[list[tuple[bytes, dict[str, object]]]]:
    """Up to four hops, topmost first."""
    return st.lists(vias(), min_size=1, max_size=4)


@st.composite
def addresses(draw: st.DrawFn, *, tag: bool | None = None) -> tuple[bytes, dict[str, object]]:
    """A name-addr and its parts. tag: whether it must have one; None leaves it open."""
    uri, parts = draw(uris())
    name = draw(st.none() | tokens() | quoted())
    has_tag = draw(st.booleans()) if tag is None else tag
    text = (b"" if name is None else name + draw(st.sampled_from([b" ", b"", b"  "]))) + b"<" + uri + b">"
    value = draw(tokens()) if has_tag else None
    if value is not None:
        text += b";tag=" + value
    return text, {"uri": parts, "tag": value, "name": name}


def bodies() -> st.SearchStrategy[bytes]:
    """Any octets, also some that look like headers or another message."""
    return st.binary(max_size=60) | st.sampled_from(
        [b"", b"v=0\r\ns=-\r\n", b"Via: body\r\n\r\n", b"INVITE sip:a SIP/2.0\r\n\r\n"]
    )


@dataclass(frozen=True)
class WireMessage:
    """A well-formed message and what must be read from it."""

    data: bytes
    method: bytes
    request_uri: bytes
    status: int
    hops: tuple[dict[str, object], ...]
    from_tag: bytes
    call_id: bytes
    cseq: int
    body: bytes


LONG_NAMES = {b"v": b"Via", b"f": b"From", b"t": b"To", b"i": b"Call-ID", b"m": b"Contact", b"l": b"Content-Length"}


def _name(draw: st.DrawFn, compact: bytes) -> bytes:
    name = LONG_NAMES[compact]
    written = draw(st.sampled_from([name, name, name, name.lower(), name.upper(), compact]))
    return written + draw(st.sampled_from([b": ", b": ", b":", b" : ", b":\r\n ", b":\t"]))


@st.composite
def messages(draw: st.DrawFn, *, response: bool | None = None) -> WireMessage:
    """A well-formed request or response: compact names, folds, odd case, Vias joined or apart."""
    chain = draw(via_chains())
    method = draw(st.sampled_from([b"OPTIONS", b"INVITE", b"REGISTER", b"BYE", b"ACK"]) | tokens())
    request_uri, _ = draw(uris())
    status = draw(st.integers(100, 699))
    sender, sender_parts = draw(addresses(tag=True))
    recipient, _ = draw(addresses())
    call_id, cseq, body = draw(tokens()), draw(st.integers(0, 2**31 - 1)), draw(bodies())
    is_response = draw(st.booleans()) if response is None else response
    lines = []
    if draw(st.booleans()):
        lines.append(_name(draw, b"v") + b", ".join(text for text, _ in chain))
    else:
        lines += [_name(draw, b"v") + text for text, _ in chain]
    others = [
        _name(draw, b"f") + sender,
        _name(draw, b"t") + recipient,
        _name(draw, b"i") + call_id,
        b"CSeq: %d %s" % (cseq, method),
        b"Max-Forwards: 70",
        _name(draw, b"m") + b"<sip:a@192.0.2.1>",
        _name(draw, b"l") + b"%d" % len(body),
        b"Content-Type: application/octet-stream",
    ]
    lines += draw(st.permutations(others))
    first = b"SIP/2.0 %d Reason" % status if is_response else method + b" " + request_uri + b" SIP/2.0"
    return WireMessage(
        data=b"\r\n".join([first, *lines]) + b"\r\n\r\n" + body,
        method=b"" if is_response else method,
        request_uri=b"" if is_response else request_uri,
        status=status if is_response else 0,
        hops=tuple(parts for _, parts in chain),
        from_tag=sender_parts["tag"],  # type: ignore[arg-type]  # a tag was asked for
        call_id=call_id,
        cseq=cseq,
        body=body,
    )


def requests() -> st.SearchStrategy[WireMessage]:
    """Well-formed requests."""
    return messages(response=False)


PIECES = [
    b"INVITE sip:a@b SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n", b"Via: ", b"v:", b"From: ", b"To:", b"CSeq: 1 INVITE\r\n",
    b"Content-Length: ", b"l: -1", b"99999999999999999999", b"\r\n", b"\n", b"\r", b" ", b"\t", b";", b",", b"=", b'"',
    b"\\", b"<", b">", b"[", b"]", b":", b"@", b"%", b"?", b"sip:", b"SIP/2.0/UDP ", b"branch=z9hG4bK", b"\x00",
    b"multipart/mixed;boundary=x", b"\r\n--x\r\n", b"Contact: *", b"h.example", b"tag=",
    b'Authorization: Digest a="b"', b"\xff",
]  # fmt: skip


def any_message() -> st.SearchStrategy[bytes]:
    """Octets with SIP's marks in them, in any order."""
    return st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=40).map(b"".join)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A well-formed message with a few octets deleted, replaced or inserted."""
    data = bytearray(draw(messages()).data)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        gone = draw(st.integers(0, 3))
        data[at : at + gone] = draw(st.binary(max_size=3) | st.sampled_from(PIECES))
    return bytes(data)


@st.composite
def cuts(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Data in pieces, as segments of a stream."""
    places = sorted(draw(st.sets(st.integers(0, len(data)), max_size=20)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]
