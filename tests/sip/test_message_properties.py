"""What holds for any octets, and for any message that we can write."""

from hypothesis import given, settings
from hypothesis import strategies as st

from relaytrap.sip import Request, Response, Unparsed, Via, parse_message, validate
from relaytrap.sip.headers import Headers, scan_lines
from relaytrap.sip.message import Message
from tests.property.strategies import WireMessage, any_message, messages, mutated

VALUES = (
    "vias", "via_count", "from_address", "to_address", "from_tag", "to_tag", "contacts", "call_id", "cseq",
    "max_forwards", "user_agent", "content_type", "content_length", "sdp", "route", "record_route", "credentials",
    "challenges", "extra", "body", "parts",
)  # fmt: skip


def read_everything(message: Message) -> None:
    """Asks a message for all it knows."""
    assert message.raw is not None
    assert all(0 <= anomaly.offset <= len(message.raw) for anomaly in message.anomalies)
    if isinstance(message, Unparsed):
        return
    for name in VALUES:
        getattr(message, name)
    for via in message.vias:
        assert isinstance(via, Via)
        _ = via.branch, via.received, via.rport
    for header in message.headers:
        assert message.raw[header.offset : header.offset + len(header.raw_name)] == header.raw_name
    if message.sdp:
        _ = message.sdp.media, message.sdp.origin, message.sdp.connection


# fuzz/sip.py holds millions of messages against the same.
@settings(max_examples=40)
@given(st.binary(max_size=300) | any_message() | mutated())
def test_any_octets_are_read_without_an_exception_and_kept(data: bytes) -> None:
    message = parse_message(data)
    assert message.raw == data
    read_everything(message)
    validate(message)


@given(any_message() | mutated())
def test_header_lines_of_odd_messages_stand_in_the_input_as_given(data: bytes) -> None:
    message = parse_message(data)
    for line in message.headers.lines:
        written = line.raw_name + (b":" if line.has_colon else b"") + line.raw_value
        assert data[line.offset : line.offset + len(written)] == written


@given(any_message() | mutated() | messages().map(lambda message: message.data))
def test_both_ways_of_splitting_give_the_same_headers(data: bytes) -> None:
    message = parse_message(data)
    end = data.find(b"\r\n\r\n")
    if isinstance(message, Unparsed) or end < 0 or message.body_start != end + 4:
        return
    start = data.find(b"\n", len(data) - len(data.lstrip(b"\r\n \t\x00"))) + 1
    lines, body = scan_lines(data, start, len(data), 500)
    slow = Headers.from_lines(data, start, body, lines)
    assert message.headers.first == slow.first
    assert message.headers.repeated == slow.repeated
    assert message.headers.names() == slow.names()


@given(messages())
def test_fields_of_a_well_formed_message_are_read_back(wire: WireMessage) -> None:
    message = parse_message(wire.data)
    if wire.status:
        assert isinstance(message, Response)
        assert message.status_code == wire.status
    else:
        assert isinstance(message, Request)
        assert (message.method, message.request_uri) == (wire.method, wire.request_uri)
    assert message.from_tag == wire.from_tag
    assert message.call_id == wire.call_id
    assert message.cseq is not None
    assert message.cseq.number == wire.cseq
    assert message.body == wire.body
    hops = [{name: getattr(via, name) for name in hop} for via, hop in zip(message.vias, wire.hops, strict=True)]
    assert hops == list(wire.hops)
    assert message.via_count == len(wire.hops)


@given(messages())
def test_well_formed_messages_are_owed_nothing(wire: WireMessage) -> None:
    message = parse_message(wire.data)
    assert validate(message) is None
    assert not isinstance(message, Unparsed)


@given(messages(), st.binary(min_size=1, max_size=20))
def test_octets_behind_the_end_are_kept_apart(wire: WireMessage, extra: bytes) -> None:
    message = parse_message(wire.data + extra)
    assert not isinstance(message, Unparsed)
    assert (message.body, message.extra) == (wire.body, extra)
