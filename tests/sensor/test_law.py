"""The law against whatever comes: to an unproven UDP source never more than came from it, and nothing to another."""

import re
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relaytrap.sensor.engine import TRANSACTIONS_MAX, _is_usual
from relaytrap.sensor.outlet import Answer
from relaytrap.sensor.personas import persona_names
from relaytrap.sip import Request, parse_message, validate
from tests.sensor.talk import Talk, invite, request, response
from tests.sensor.test_engine import existing_user

UDP_AND_IPV4_HEADERS = 28

methods = st.sampled_from(
    ["OPTIONS", "REGISTER", "INVITE", "ACK", "CANCEL", "BYE", "SUBSCRIBE", "MESSAGE", "INFO", "PRACK", "X"]
)
vias = st.sampled_from(
    [
        "SIP/2.0/UDP 198.51.100.7:5060;branch={};rport",
        "SIP/2.0/UDP nm;branch={}",
        "SIP/2.0/UDP a;branch={};maddr=192.0.2.1;received=192.0.2.2;rport=53",
        "SIP/2.0/UDP [2001:db8::1]:5060;branch={}, SIP/2.0/UDP b;branch=z9hG4bKx",
    ]
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Requests of all lengths, some of them of one transaction, some with credentials or tags somebody made up."""
    branch = draw(st.sampled_from(["z9hG4bK-1", "z9hG4bK-2", "foo", "z9hG4bK" + "y" * 40]))
    extra = [draw(st.sampled_from(["Subject: " + "x" * 300, "Require: nothing", "Max-Forwards: 0", "P: q"]))]
    if draw(st.booleans()):
        nonce = draw(st.text("0123456789abcdef", min_size=8, max_size=8))
        extra.append(f'Authorization: Digest username="100",realm="asterisk",nonce="{nonce}",uri="sip:a",response="0"')
    data = request(
        draw(methods),
        branch=branch,
        via=draw(vias).format(branch),
        uri=draw(st.sampled_from(["sip:900442012345678@203.0.113.9", "sip:203.0.113.9", "tel:+1", "x"])),
        user=draw(st.sampled_from(["100", "1000", "nobody"])),
        to_tag=draw(st.sampled_from(["", "", "as00000000"])),
        cseq=draw(st.integers(1, 3)),
        extra=tuple(extra),
    )
    return data[: draw(st.one_of(st.none(), st.integers(0, len(data))))]


datagrams = st.one_of(requests(), requests(), requests(), st.binary(max_size=60), st.just(invite()))
steps = st.lists(st.one_of(datagrams, st.floats(0.01, 40.0)), max_size=25)


class Scale:
    """What one source sent and was sent, as payload and on the wire."""

    def __init__(self) -> None:
        self.payload = self.wire = 0

    def take(self, data: bytes) -> None:
        self.payload += len(data)
        self.wire += len(data) + UDP_AND_IPV4_HEADERS

    def give(self, answers: list[Answer]) -> None:
        for answer in answers:
            self.payload -= len(answer.data)
            self.wire -= len(answer.data) + UDP_AND_IPV4_HEADERS
        assert self.payload >= 0
        assert self.wire >= 0


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(persona_names()), steps)
def test_unproven_source_never_gets_more_bytes_than_it_sent(persona: str, happenings: list[bytes | float]) -> None:
    talk, scale = Talk(persona), Scale()
    for each in happenings:
        if isinstance(each, float):
            scale.give(talk.wait(each))
        else:
            scale.take(each)
            scale.give(talk.receive(each))
    scale.give(talk.wait(100))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(persona_names()), steps, st.sampled_from(["udp", "tcp"]))
def test_answers_go_only_to_a_source_that_asked_by_the_way_it_asked(
    persona: str, happenings: list[bytes | float], transport: str
) -> None:
    talk, asked = Talk(persona), set()
    for number, each in enumerate(happenings):
        if isinstance(each, float):
            answers = talk.wait(each)
        else:
            source = (f"198.51.100.{number % 3 + 1}", 40_000 + number % 2)
            asked.add((transport, *source))
            answers = talk.receive(each, source=source[0], port=source[1], transport=transport)
            assert all((answer.flow.source, answer.flow.source_port) == source for answer in answers)
        assert {answer.flow[:3] for answer in answers} <= asked


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(persona_names()), st.lists(requests(), max_size=8))
def test_every_answer_is_a_well_formed_response_to_its_request(persona: str, asked: list[bytes]) -> None:
    talk = Talk(persona)
    for data in asked:
        for answer in talk.receive(data, transport="tcp") + talk.wait(0.05):
            message = response(answer)
            assert message.content_length in (len(message.body), None)
            assert message.extra == b""
            assert message.cseq or b"cseq" in message.headers
            assert message.vias
            assert message.status_code == 100 or message.to_tag
            assert not re.search(rb"[^\r]\n|\r[^\n]", message.raw)


def test_line_breaks_in_a_request_never_become_header_lines_of_an_answer() -> None:
    for payload in (b"\nX-Injected: 1", b"\rX-Injected: 1", b"\r\n X-Folded: 1", b"\x00X"):
        for field in (b"Call-ID: 6", b'"100" <sip:100', b";rport", b"z9hG4bK-1"):
            data = request(extra=("Subject: " + "x" * 300,)).replace(field, field + payload, 1)
            for name in persona_names():
                for answer in Talk(name).receive(data, transport="tcp"):
                    assert b"\nX-Injected" not in answer.data
                    assert b"\rX-Injected" not in answer.data


def test_timers_repeat_nothing_to_an_unproven_source() -> None:
    talk = Talk("asterisk")
    assert len(talk.receive(invite())) == 1
    assert talk.wait(40) == []


def test_budget_of_one_source_holds_even_when_it_is_connected() -> None:
    talk = Talk("asterisk", source_bytes_per_s=100)
    sent = [talk.receive(request(branch=f"z9hG4bK-{number}"), transport="tcp") for number in range(100)]
    assert sum(len(answer.data) for answers in sent for answer in answers) <= 3_000
    talk.now += 60
    assert talk.receive(request(branch="z9hG4bK-later"), transport="tcp")


def test_budget_of_all_sources_together_holds() -> None:
    talk = Talk("asterisk", total_bytes_per_s=1000)
    sent = [talk.receive(request(), source=f"198.51.{number // 256}.{number % 256}") for number in range(300)]
    assert sum(len(answer.data) for answers in sent for answer in answers) <= 10_000


def test_flood_of_forged_sources_leaves_memory_bounded() -> None:
    talk = Talk("asterisk")
    for number in range(21_000):
        talk.receive(
            request(branch=f"z9hG4bK-{number}"), source=f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        )
    engine = talk.engine
    assert len(engine._ledger) <= 20_000
    assert len(engine._transactions) <= TRANSACTIONS_MAX


@pytest.mark.parametrize("name", persona_names())
def test_svmap_gets_its_answer_within_what_it_sent(name: str) -> None:
    data = request(via="SIP/2.0/UDP 127.0.1.1:5060;branch=z9hG4bK-1453809699;rport", extra=("Accept: application/sdp",))
    talk = Talk(name)
    (answer,) = talk.receive(data) + talk.wait(1)
    assert len(answer.data) <= len(data)
    assert b"Server: " in answer.data


@given(requests())
def test_usual_request_has_at_most_malformation_to_refuse(data: bytes) -> None:
    """What lets the engine skip judging a request for a product that does not mind malformation."""
    message = parse_message(data)
    if isinstance(message, Request) and _is_usual(message):
        rejection = validate(message)
        assert rejection is None or rejection.status == 400


@pytest.mark.parametrize("name", persona_names())
def test_unproven_sources_leave_no_transactions_behind(name: str) -> None:
    talk = Talk(name)
    for method in ("OPTIONS", "REGISTER", "BYE", "CANCEL", "ACK", "SUBSCRIBE", "X"):
        talk.receive(request(method, extra=("Subject: " + "x" * 200,)))
    assert len(talk.engine._transactions) == 0


def test_nobody_proves_an_address_whose_text_ends_like_his_own() -> None:
    talk, extra = Talk("asterisk"), ("Subject: " + "x" * 300,)
    data = request("REGISTER", user=existing_user(talk), uri="sip:203.0.113.9", extra=extra)
    seen = response(talk.receive(data + b"1", source="1.2.3.4")[0]).challenges[0].get(b"nonce").decode()
    talk.receive(data, source="11.2.3.4")
    header = f'Authorization: Digest username="100",realm="asterisk",nonce="{seen}",uri="sip:a",response="0"'
    talk.receive(request("REGISTER", branch="z9hG4bK-2", extra=(header,)), source="11.2.3.4")
    assert not talk.engine._ledger.is_proven(talk.engine._ledger.source("11.2.3.4", talk.now), talk.now)


@pytest.mark.parametrize("name", persona_names())
def test_large_requests_of_many_sources_leave_memory_bounded(name: str) -> None:
    """Calls that ring, answers put off, accounts looked up: each may hold on to a request of 60,000 octets."""
    talk, long = Talk(name), "x" * 40_000
    tracemalloc.start()
    try:
        for number in range(400):
            flow = {"source": f"10.0.{number >> 8}.{number & 255}"}
            extra = ("Content-Type: application/sdp", f"Subject: {number}" + long)
            talk.receive(invite(branch=f"z9hG4bK-{number}", call_id=f"c{number}", extra=extra), **flow)
            talk.receive(request("REGISTER", user=str(number) + long[:20_000], uri="sip:203.0.113.9"), **flow)
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held < 24 << 20, held


@pytest.mark.parametrize("name", persona_names())
def test_largest_requests_are_answered_without_going_over_them_again_and_again(name: str) -> None:
    """Sixty thousand blanks in From took a sensor that prints addresses anew twenty seconds."""
    whole = request("REGISTER", extra=('Authorization: Digest username="100"', "Require: a"))
    for field in (b"Via: ", b"From: ", b"To: ", b"Contact: ", b"Authorization: ", b"Require: "):
        before, _, behind = whole.partition(field)
        for unit in (b" ", b"\t", b'"', b'\\"', b"<", b";", b",", b"=", b"a ", b"@", b'"" '):
            value = b"a" + unit * (60_000 // len(unit)) + b"b"
            Talk(name).receive(before + field + value + behind[behind.index(b"\r") :], transport="tcp")
