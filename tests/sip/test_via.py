"""Via values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sip import SipSyntaxError, parse_via
from relaytrap.sip.via import read_vias
from tests.property.strategies import via_chains


def test_every_part_is_told_apart() -> None:
    (via,) = parse_via(b"SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK87;received=198.51.100.7;rport=1024;maddr=224.2.0.1")
    assert (via.protocol, via.transport, via.sent_by_host, via.sent_by_port) == (b"SIP/2.0", b"UDP", b"192.0.2.1", 5062)
    assert (via.branch, via.received, via.rport, via.param(b"maddr")) == (
        b"z9hG4bK87",
        b"198.51.100.7",
        1024,
        b"224.2.0.1",
    )


def test_bare_rport_is_true_and_a_missing_one_none() -> None:
    asks, silent = parse_via(b"SIP/2.0/UDP a;rport;branch=z9hG4bK1, SIP/2.0/UDP b;branch=z9hG4bK2")
    assert asks.rport is True
    assert silent.rport is None


def test_rport_out_of_range_is_none() -> None:
    assert parse_via(b"SIP/2.0/UDP a;rport=99999")[0].rport is None


def test_blanks_around_slashes_colon_and_equals_do_not_matter() -> None:
    (via,) = parse_via(b"SIP  / 2.0  / TCP     spindle.example.com : 5062  ; branch  =   z9hG4bK9ikj8")
    assert (via.protocol, via.transport, via.sent_by_host, via.sent_by_port, via.branch) == (
        b"SIP/2.0",
        b"TCP",
        b"spindle.example.com",
        5062,
        b"z9hG4bK9ikj8",
    )


def test_hops_of_one_line_stand_in_order() -> None:
    assert [via.sent_by_host for via in parse_via(b"SIP/2.0/UDP a , SIP/2.0/TCP b,SIP/2.0/TLS c")] == [b"a", b"b", b"c"]


def test_quoted_parameters_may_hold_commas_and_semicolons() -> None:
    first, second = parse_via(b'SIP/2.0/UDP a;x="1,2;\\"3";branch=z9hG4bK1, SIP/2.0/UDP b')
    assert (first.param(b"x"), first.branch) == (b'"1,2;\\"3"', b"z9hG4bK1")
    assert second.sent_by_host == b"b"


def test_ipv6_sent_by_and_received_lose_their_brackets() -> None:
    (via,) = parse_via(b"SIP/2.0/UDP [2001:db8::9:1]:6050;received=[2001:db8::9:255]")
    assert (via.sent_by_host, via.sent_by_port, via.received) == (b"2001:db8::9:1", 6050, b"2001:db8::9:255")


def test_ipv6_received_needs_no_brackets() -> None:
    assert parse_via(b"SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255")[0].received == b"2001:db8::9:255"


def test_parameter_names_are_found_in_any_case() -> None:
    assert parse_via(b"SIP/2.0/UDP a;Branch=z9hG4bK1;RECEIVED=1.2.3.4")[0].received == b"1.2.3.4"


@pytest.mark.parametrize(
    ("text", "name", "offset"),
    [
        (b"nonsense", "via", 0),
        (b"SIP/2.0/UDP ;branch=z9hG4bK1", "via-sent-by", 12),
        (b"SIP/2.0/UDP a;;x", "param-gap", 13),
        (b"SIP/2.0/UDP a,,SIP/2.0/UDP b", "list-gap", 14),
        (b"SIP/2.0/UDP a;x=@", "param", 13),
        (b"SIP/2.0/UDP a;branch=1;branch=2", "param-repeated", 13),
        (b"HTTP/1.1/TCP a", "via-version", 0),
        (b"SIP/2.0/UDP a:70000", "port", 14),
        (b"SIP/2.0/UDP 2001:db8::1", "ipv6-bare", 12),
    ],
)
def test_what_breaks_the_grammar_is_named_with_its_offset(text: bytes, name: str, offset: int) -> None:
    with pytest.raises(SipSyntaxError) as caught:
        parse_via(text)
    assert (caught.value.name, caught.value.offset) == (name, offset)


def test_hop_without_a_host_is_kept() -> None:
    (via,) = read_vias(b"SIP/2.0/UDP ;branch=z9hG4bK1", [])
    assert (via.sent_by_host, via.branch) == (b"", b"z9hG4bK1")


def test_first_of_repeated_parameters_counts() -> None:
    (via,) = read_vias(b"SIP/2.0/UDP a;received=1.1.1.1;received=2.2.2.2", [])
    assert via.received == b"1.1.1.1"


@given(via_chains())
def test_chain_on_one_line_gives_back_its_hops(chain: list[tuple[bytes, dict[str, object]]]) -> None:
    vias = parse_via(b" , ".join(text for text, _ in chain))
    assert [{name: getattr(via, name) for name in parts} for via, (_, parts) in zip(vias, chain, strict=True)] == [
        parts for _, parts in chain
    ]
    assert [via.raw for via in vias] == [text for text, _ in chain]


@given(st.binary(max_size=80) | st.text('SIP/2.0 UDP;,="\\[]:a1', max_size=60).map(str.encode))
def test_any_octets_are_read(text: bytes) -> None:
    defects: list[tuple[str, int]] = []
    vias = read_vias(text, defects)
    assert vias or defects
    assert all(0 <= offset <= len(text) for _, offset in defects)
