"""Messages and streams. Whatever the octets: parse_message returns, `raw` is the input, every anomaly lies inside it,
every value can be asked for, validate and build_response return (ValueError never), framing gives back every octet
once, and the messages it finds do not depend on how the octets were cut.
"""

from relaytrap.sip import Request, Unparsed, parse_message, validate
from relaytrap.sip.build import build_response
from relaytrap.sip.stream import StreamParser

PIECES = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b"\xff", b'"', b"\\", b"<", b">", b",", b";", b"=", b":", b"@", b"%",
    b"[", b"]", b"?", b"&", b"/", b"SIP/2.0", b"Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n", b"v:", b"l: 0\r\n",
    b"Content-Length: 9", b"999999999999999999999", b"-1", b"\r\n\r\n", b"\r\n ", b"received=", b";rport",
    b"sip:", b"tel:+1", b"Contact: *\r\n",
    b"INVITE sip:a@b SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n", b"Authorization: Digest ", b"[2001:db8::1]", b";;", b",,",
]  # fmt: skip

VALUES = (
    "vias", "via_count", "from_address", "to_address", "from_tag", "to_tag", "contacts", "call_id", "cseq", "route",
    "max_forwards", "user_agent", "content_type", "content_length", "sdp", "record_route", "credentials", "challenges",
    "extra", "body", "parts", "anomalies",
)  # fmt: skip


def seeds() -> list[bytes]:
    """Where changes begin: the corpus folder has them all, and an empty datagram."""
    return [b""]


def check(data: bytes) -> None:
    """Holds one input against the invariant."""
    message = parse_message(data)
    assert message.raw == data
    assert all(0 <= anomaly.offset <= len(data) for anomaly in message.anomalies)
    for header in message.headers:
        assert data.startswith(header.raw_name, header.offset)
    validate(message)
    if not isinstance(message, Unparsed):
        for name in VALUES:
            getattr(message, name)
        for credentials in message.credentials:
            credentials.john_line(b"REGISTER")
    if isinstance(message, Request):
        built = build_response(message, 400, b"x", to_tag=b"t", received=b"192.0.2.1", rport=9)
        answer = parse_message(built)
        assert not isinstance(answer, Unparsed)
        assert (answer.body, answer.extra) == (b"", b"")
    check_stream(data)


def check_stream(data: bytes) -> None:
    """The same octets at once and cut in three."""
    third = len(data) // 3
    whole, cut = StreamParser(), StreamParser()
    at_once = whole.receive(data) + whole.close()
    in_three = [
        frame for part in (data[:third], data[third : 2 * third], data[2 * third :]) for frame in cut.receive(part)
    ]
    in_three += cut.close()
    assert b"".join(frame.raw for frame in at_once) == b"".join(frame.raw for frame in in_three) == data
    messages = [[frame.raw for frame in frames if frame.kind == "message"] for frames in (at_once, in_three)]
    assert messages[0] == messages[1]
