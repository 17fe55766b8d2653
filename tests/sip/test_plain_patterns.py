"""The patterns for what nearly all values look like take nothing that the grammar's rules would read otherwise."""

from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sip import address, uri, via
from tests.property.strategies import addresses, uris, vias

VIA_LIKE = st.text("SIP/2.0 UDP;,=:.-a1branchrport", max_size=40).map(lambda text: b"SIP/2.0/UDP " + text.encode())
FOLDED_VIA = st.sampled_from(["", " ", "\t", "  ", ";rport ", ";branch=2", ";received=192.0.2.1;received=a"]).map(
    lambda text: f"SIP/2.0/UDP a:5060{text};branch=z9hG4bK1;rport".encode()
)
URI_LIKE = st.text("sip:@;=?.-a1%[]", max_size=40).map(lambda text: b"sip:" + text.encode())
ADDRESS_LIKE = st.text('"a <>;tag=.-\\\\1', max_size=20).map(lambda text: text.encode() + b"<sip:a@h>;tag=1")
FOLDED_ADDRESS = st.tuples(st.text("sip:a@h; \t", max_size=12), st.sampled_from(["", " ", "\t", "  ", " \t"])).map(
    lambda pair: f"<{pair[0]}>{pair[1]};tag=1".encode()
)


@given(vias().map(lambda hop: hop[0]) | VIA_LIKE | FOLDED_VIA)
def test_hop_is_read_alike_by_pattern_and_by_rules(text: bytes) -> None:
    by_pattern: list[tuple[str, int]] = []
    by_rules: list[tuple[str, int]] = []
    if b"," not in text:
        assert via._read_hop(text, 0, by_pattern) == via._read_odd_hop(text, 0, by_rules)
        assert by_pattern == by_rules


@given(uris().map(lambda pair: pair[0]) | URI_LIKE)
def test_uri_is_read_alike_by_pattern_and_by_rules(text: bytes) -> None:
    assert uri._read(text) == uri._read_odd(text)


@given(addresses().map(lambda pair: pair[0]) | ADDRESS_LIKE | FOLDED_ADDRESS)
def test_address_is_read_alike_by_pattern_and_by_rules(text: bytes) -> None:
    by_pattern: list[tuple[str, int]] = []
    by_rules: list[tuple[str, int]] = []
    assert address.read_address(text, 0, by_pattern) == address._read_odd(text, 0, by_rules)
    assert by_pattern == by_rules
