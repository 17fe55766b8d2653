"""Values to bytes, strictly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sip import Request, Response, parse_message
from relaytrap.sip.build import build_message, build_response
from tests.property.strategies import WireMessage, any_message, mutated, requests
from tests.sip.torture import INVITE, OPTIONS, message


def request(data: bytes) -> Request:
    parsed = parse_message(data)
    assert isinstance(parsed, Request)
    return parsed


def response(data: bytes) -> Response:
    parsed = parse_message(data)
    assert isinstance(parsed, Response)
    return parsed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"Subject", b"a\r\nVia: evil"),
        (b"Subject", b"a\nb"),
        (b"Subject", b"a\x00"),
        (b"Sub ject", b"a"),
        (b"", b"a"),
        (b"A:", b"a"),
        (b"Content-Length", b"5"),
    ],
)
def test_fields_that_would_break_the_message_are_refused(name: bytes, value: bytes) -> None:
    with pytest.raises(ValueError):
        build_message(b"SIP/2.0 200 OK", [(name, value)])


def test_response_copies_what_the_request_carries() -> None:
    asked = request(
        message(INVITE, b"Via: SIP/2.0/UDP a;branch=z9hG4bK1;rport", b"v: SIP/2.0/TCP b ; branch = 2, SIP/2.0/TCP c")
    )
    answer = response(build_response(asked, 180, b"Ringing", to_tag=b"t1"))
    assert [via.sent_by_host for via in answer.vias] == [b"a", b"b", b"c"]
    assert answer.headers.get_all(b"via") == asked.headers.get_all(b"via")
    assert (answer.from_tag, answer.to_tag, answer.call_id, answer.cseq) == (
        asked.from_tag,
        b"t1",
        asked.call_id,
        asked.cseq,
    )


def test_to_tag_of_the_request_stays() -> None:
    asked = request(message(INVITE, b"To: <sip:bob@h>;tag=there"))
    assert response(build_response(asked, 200, b"OK", to_tag=b"mine")).to_tag == b"there"


def test_tag_follows_an_address_without_brackets() -> None:
    asked = request(message(INVITE, b"To: sip:bob@h"))
    assert response(build_response(asked, 200, b"OK", to_tag=b"mine")).to_tag == b"mine"


def test_received_and_rport_go_to_the_topmost_hop() -> None:
    asked = request(message(OPTIONS, b"Via: SIP/2.0/UDP a;rport;branch=z9hG4bK1, SIP/2.0/UDP b;rport;branch=z9hG4bK2"))
    top, below = response(build_response(asked, 200, b"OK", received=b"192.0.2.9", rport=1024)).vias
    assert (top.received, top.rport) == (b"192.0.2.9", 1024)
    assert (below.received, below.rport) == (None, True)


def test_rport_is_only_filled_in_where_it_was_asked_for() -> None:
    asked = request(message(OPTIONS, b"Via: SIP/2.0/UDP a;branch=z9hG4bK1"))
    (via,) = response(build_response(asked, 200, b"OK", received=b"2001:db8::1", rport=1024)).vias
    assert (via.received, via.rport) == (b"2001:db8::1", None)


def test_received_that_the_sender_wrote_is_overwritten() -> None:
    asked = request(
        message(OPTIONS, b"Via: SIP/2.0/UDP a;received=6.6.6.6;rport=7;branch=z9hG4bK1;Received=6.6.6.6;rport")
    )
    answer = build_response(asked, 200, b"OK", received=b"192.0.2.9", rport=1024)
    (via,) = response(answer).vias
    assert (via.received, via.rport) == (b"192.0.2.9", 1024)
    assert b"6.6.6.6" not in answer


@pytest.mark.parametrize(
    ("via", "stamped"),
    [
        (b'a;branch=z9hG4bK1;received="6.6.6.6";rport', b"a;branch=z9hG4bK1;received=192.0.2.9;rport=1024"),
        (b'a;x=";received=1.1.1.1;";rport', b'a;x=";received=1.1.1.1;";rport=1024;received=192.0.2.9'),
        (b'a;x="open;received=6.6.6.6;rport', b'a;x="open;received=192.0.2.9;rport=1024'),
        (b"a;received=6.6.6.6 6.6.6.6 ; RPORT = 5", b"a;received=192.0.2.9;RPORT=1024"),
        (b"a;received=6.6.6.6" + b";y" * 70 + b";received=6.6.6.6", b"a;received=192.0.2.9" + b";y" * 70),
        (b"a", b"a;received=192.0.2.9"),
    ],
)
def test_received_and_rport_are_overwritten_where_they_are_parameters(via: bytes, stamped: bytes) -> None:
    asked = request(message(OPTIONS, b"Via: SIP/2.0/UDP " + via))
    answer = response(build_response(asked, 200, b"OK", received=b"192.0.2.9", rport=1024))
    assert answer.headers.get(b"via") == b"SIP/2.0/UDP " + stamped
    assert answer.vias[0].received == b"192.0.2.9"


@pytest.mark.parametrize("before", [b"Via: , ", b"Via: ,\r\nVia: ", b"Via: nonsense\r\nVia: "])
def test_received_goes_to_the_first_hop_that_can_be_read(before: bytes) -> None:
    asked = request(message(OPTIONS, before + b"SIP/2.0/UDP a;rport, SIP/2.0/UDP b;rport"))
    top, below = response(build_response(asked, 200, b"OK", received=b"192.0.2.9", rport=1024)).vias
    assert (top.received, top.rport, below.received, below.rport) == (b"192.0.2.9", 1024, None, True)


@given(st.lists(st.sampled_from([b";", b"=", b'"', b" ", b"received", b"rport", b"6.6.6.6", b"a", b"@"])).map(b"".join))
def test_no_other_source_than_ours_is_read_from_an_answer(params: bytes) -> None:
    asked = request(message(OPTIONS, b"Via: SIP/2.0/UDP a;" + params))
    (via,) = response(build_response(asked, 200, b"OK", received=b"192.0.2.9", rport=1024)).vias
    told = [(name.lower(), value) for name, value in via.params if name.lower() in (b"received", b"rport")]
    assert told.count((b"received", b"192.0.2.9")) == 1
    assert set(told) <= {(b"received", b"192.0.2.9"), (b"rport", b"1024")}


def test_record_route_goes_back_in_answers_that_make_a_dialog() -> None:
    asked = request(message(INVITE, b"Record-Route: <sip:p;lr>"))
    assert b"Record-Route" in build_response(asked, 200, b"OK")
    assert b"Record-Route" not in build_response(asked, 486, b"Busy Here")
    assert b"Record-Route" not in build_response(asked, 100, b"Trying")


def test_fields_stand_in_the_order_of_the_persona() -> None:
    answer = build_response(
        request(message(OPTIONS)),
        200,
        b"OK",
        headers=[(b"Allow", b"INVITE"), (b"Server", b"x")],
        order=(b"Server", b"CSeq", b"Via", b"From", b"To", b"content-length"),
    )
    assert response(answer).headers.names() == (
        b"Server",
        b"CSeq",
        b"Via",
        b"From",
        b"To",
        b"Content-Length",
        b"Call-ID",
        b"Allow",
    )


def test_control_characters_of_the_sender_do_not_come_back() -> None:
    asked = request(message(OPTIONS, b"Call-ID: a\rb\x00c", b"From: <sip:a@h>;tag=1\r\n ;x"))
    answer = response(build_response(asked, 200, b"OK", headers=[(b"Server", b"x")]))
    assert answer.call_id == b"a b c"
    assert answer.headers.get(b"from") == b"<sip:a@h>;tag=1 ;x"


@pytest.mark.parametrize(
    "change",
    [{"to_tag": b"a b"}, {"received": b"x;y"}, {"headers": [(b"Server", b"a\r\nb")]}, {"headers": [(b"l", b"9")]}],
)
def test_arguments_that_break_the_grammar_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        build_response(request(message(OPTIONS)), 200, b"OK", **change)  # type: ignore[arg-type]  # on purpose


@pytest.mark.parametrize("status", [99, 700])
def test_statuses_outside_sip_are_refused(status: int) -> None:
    with pytest.raises(ValueError):
        build_response(request(message(OPTIONS)), status, b"x")


@given(requests())
def test_answer_to_a_good_request_is_a_good_response(wire: WireMessage) -> None:
    asked = request(wire.data)
    answer = response(build_response(asked, 200, b"OK", to_tag=b"t", received=b"192.0.2.1", rport=9))
    assert len(answer.vias) == len(asked.vias)
    assert answer.vias[1:] == asked.vias[1:]
    assert answer.vias[0].branch == asked.vias[0].branch
    assert answer.vias[0].received == b"192.0.2.1"
    assert (answer.call_id, answer.cseq, answer.from_tag) == (asked.call_id, asked.cseq, asked.from_tag)


@given(mutated() | any_message())
def test_answer_to_any_request_is_one_message(data: bytes) -> None:
    asked = parse_message(data)
    if not isinstance(asked, Request):
        return
    built = build_response(asked, 400, b"Bad Request", to_tag=b"t", received=b"192.0.2.1", rport=9)
    answer = response(built)
    assert (answer.status_code, answer.body, answer.extra) == (400, b"", b"")
    wanted = 5 + len(asked.headers.get_all(b"via"))
    assert len(answer.headers) <= wanted
