"""The classes of one request."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.evidence.features import features_of, sdp_lines
from relaytrap.sip import Request, parse_message
from tests.evidence.samples import invite, request, wire


def test_branch_is_that_of_the_lowest_via() -> None:
    data = invite(branch="z9hG4bK-1").raw.replace(
        b"Via:", b"Via: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bK1.1234567.0\r\nVia:", 1
    )
    features, _, _ = features_of(request(data))
    assert (features.branch, features.relayed) == ("dash-decimal", True)


@pytest.mark.parametrize(
    ("arrived", "vias", "start"), [(20, 1, "20"), (19, 2, "20"), (18, 3, "20"), (70, 1, ""), (20, 2, "")]
)
def test_max_forwards_is_counted_back_to_its_start(arrived: int, vias: int, start: str) -> None:
    path = "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\n" * vias
    text = f"OPTIONS sip:a@192.0.2.1 SIP/2.0\n{path}Max-Forwards: {arrived}"
    assert features_of(request(wire(text)))[0].max_forwards == start


def test_order_does_not_see_what_proxies_and_second_requests_add() -> None:
    order = ("To", "From", "Call-ID", "CSeq", "Contact", "Max-Forwards", "User-Agent", "Content-Length")
    plain = "\n".join(f"{name}: 1" for name in order)
    added = f"Via: SIP/2.0/UDP a\nRoute: <sip:a>\nAuthorization: Digest x\nX-Seen: 1\nP-Charging-Vector: 1\n{plain}"
    for headers in (plain, added):
        assert features_of(request(wire(f"INVITE sip:a@b SIP/2.0\n{headers}")))[0].order == "sipcli"


def test_compact_names_count_as_the_long_ones() -> None:
    names = "t: <sip:a@b>\nf: <sip:a@b>;tag=1\ni: 1\nCSeq: 1 INVITE\nm: <sip:a@b>\nMax-Forwards: 70\nl: 0"
    features, layout, _ = features_of(request(wire(f"INVITE sip:a@b SIP/2.0\n{names}")))
    assert features.order == "sipcli"
    assert layout.written == (b"t", b"f", b"i", b"CSeq", b"m")


def test_layout_leaves_out_what_changes_on_the_way() -> None:
    _, layout, _ = features_of(invite())
    assert layout.written == (b"From", b"To", b"Call-ID", b"CSeq", b"Contact")


def test_a_value_that_somebody_padded_is_read_to_a_limit_and_not_passed_over() -> None:
    def classed(agent: str) -> str:
        return features_of(request(wire(f"OPTIONS sip:a@192.0.2.1 SIP/2.0\nUser-Agent: {agent}")))[0].user_agent

    assert classed("friendly-scanner" + "x" * 300) == classed("friendly-scannerxx") != classed("")


def test_in_dialog_request_is_marked() -> None:
    assert [features_of(invite(to_tag=tag))[0].in_dialog for tag in ("", "abc")] == [False, True]


def test_session_description_is_read_by_line_type() -> None:
    body = "v=0\no=- 16264 18299 IN IP4 192.0.2.1\ns=call\nm=audio 25282 RTP/AVP 0\na=x"
    text = f"INVITE sip:a@b SIP/2.0\nContent-Type: application/sdp\nContent-Length: {len(body) + 6}\n\n{body}"
    assert features_of(request(wire(text)))[0].sdp == ("16264 18299", "audio 25282", "s=call")


def test_huge_body_is_read_to_a_limit() -> None:
    assert len(sdp_lines(b"a=x\r\n" * 100_000)) == 200
    assert sdp_lines(b"x" * 1_000_000) == [b"x" * 16384]


@given(st.binary(max_size=300))
def test_any_request_has_features(data: bytes) -> None:
    message = parse_message(b"INVITE sip:a@b SIP/2.0\r\n" + data)
    if isinstance(message, Request):
        features, layout, _ = features_of(message)
        assert features.method == b"INVITE"
        assert isinstance(layout.written, tuple)


def test_field_without_a_name_is_not_the_same_as_no_field() -> None:
    _, none, _ = features_of(request(b"OPTIONS sip:a@b SIP/2.0\r\n\r\n"))
    _, nameless, _ = features_of(request(b"OPTIONS sip:a@b SIP/2.0\r\n: 1\r\n\r\n"))
    assert (none.written, nameless.written) == ((), (b"",))


@pytest.mark.parametrize(
    ("body", "skeleton"),
    [
        (b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\na=rtpmap:0 PCMU/8000\r\n", b"v o rtpmap"),
        (b"v=0\n\na=:x\nb", b"v  b"),
        (b"<presence/>", b""),
        (b"", b""),
    ],
)
def test_skeleton_is_line_types_and_names_of_attributes(body: bytes, skeleton: bytes) -> None:
    text = f"INVITE sip:a@b SIP/2.0\nContent-Length: {len(body)}"
    assert features_of(request(wire(text) + body))[2] == skeleton


def test_a_folded_name_is_one_name() -> None:
    message = parse_message(invite().raw.replace(b"\r\nTo:", b"\r\nX-A\r\n  b: 1\r\nTo:", 1))
    assert isinstance(message, Request)
    folded = next(name for name in message.headers.names() if b"\n" in name)
    assert folded in features_of(message)[1].written
