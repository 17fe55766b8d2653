"""What the kernel's filter lets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sensor.packet_filter import build_filter, packed
from tests.capture.packets import ethernet, fragments, fragments_6, ipv4, ipv6, request, tcp, udp
from tests.sensor.bpf import run

V4, V6 = 0x0800, 0x86DD
PORTS = (5060, 5080)
COOKED, FRAMED = build_filter(PORTS, framed=False), build_filter(PORTS, framed=True)


def passes(packet: bytes, ethertype: int = V4) -> bool:
    """Whether a packet passes, which must not depend on how it comes."""
    cooked = run(COOKED, packet, ethertype)
    assert run(FRAMED, ethernet(packet, ethertype), 0) == cooked
    return cooked > 0


@pytest.mark.parametrize("port", PORTS)
def test_port_of_either_end_lets_it_through(port: int) -> None:
    assert passes(ipv4(udp(b"x", 40000, port)))
    assert passes(ipv4(udp(b"x", port, 40000)))
    assert passes(ipv6(udp(b"x", 40000, port)), V6)
    assert passes(ipv6(udp(b"x", port, 40000)), V6)


def test_other_ports_and_other_traffic_stay_outside() -> None:
    assert not passes(ipv4(udp(b"x", 40000, 53)))
    assert not passes(ipv6(udp(b"x", 40000, 53)), V6)
    assert not passes(ipv4(b"\x08\x00" + bytes(20), 1))
    assert not passes(bytes(28), 0x0806)


def test_tcp_counts_like_udp() -> None:
    assert passes(ipv4(tcp(b"x", 1), 6))
    assert not passes(ipv4(tcp(b"x", 1, destination_port=80), 6))


def test_header_options_do_not_hide_the_port() -> None:
    assert passes(ipv4(udp(b"x", 40000, 5060), options=bytes(8)))


def test_every_fragment_of_a_message_passes() -> None:
    assert all(passes(each) for each in fragments(ipv4(udp(request(1) * 5)), 512))
    assert all(passes(each, V6) for each in fragments_6(udp(request(1) * 5), 512))


@pytest.mark.parametrize("ethertype", [0x8100, 0x88A8, 0x8864, 0x8847])
def test_what_is_wrapped_passes_for_the_dissector(ethertype: int) -> None:
    assert passes(b"\x00\x64\x08\x00" + ipv4(udp(b"x")), ethertype)


def test_no_ports_mean_no_filter() -> None:
    assert build_filter((), framed=True) == []
    assert packed([]) == b""


def test_program_of_many_ports_is_still_right() -> None:
    many = build_filter(range(5000, 6000), framed=False)
    assert len(many) < 4096
    assert run(many, ipv4(udp(b"x", 40000, 5999)), V4)
    assert run(many, ipv6(udp(b"x", 5000, 40000)), V6)
    assert not run(many, ipv4(udp(b"x", 40000, 6000)), V4)


@given(st.binary(max_size=80), st.sampled_from([V4, V6, 0x8100, 0x0806]))
def test_program_ends_for_any_packet(packet: bytes, ethertype: int) -> None:
    assert passes(packet, ethertype) in (True, False)
