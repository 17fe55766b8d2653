"""IP: headers, fragments in any order, tunnels inside one another."""

import struct
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relaytrap.capture import ReadOptions
from relaytrap.capture.content import UNFINISHED
from relaytrap.capture.network import FRAGMENTS_CONFLICT, FRAGMENTS_MISSING, Network
from tests.capture.packets import (
    CLIENT,
    CLIENT_6,
    SYN,
    datagram,
    ethernet,
    fragments,
    fragments_6,
    ipv4,
    ipv6,
    open_capture,
    pcap,
    read,
    read_frames,
    request,
    tcp,
    udp,
)

LONG = request(1, body=b"v=0\r\n" * 300)


def read_ip(*packets: bytes, link_type: int = 101):
    return read_frames(packets, link_type)


def test_ip_options_are_passed_over():
    (message,), _ = read_ip(ipv4(udp(LONG), options=b"\x94\x04\0\0"))
    assert message.raw == LONG


def test_a_total_length_of_zero_is_left_to_the_network_card():
    (message,), _ = read_ip(ipv4(udp(LONG), total=0))
    assert message.raw == LONG


@pytest.mark.parametrize(
    "packet",
    [
        b"\x41" + ipv4(udp(LONG))[1:],
        ipv4(udp(LONG), total=19),
        b"\x95" + ipv4(udp(LONG))[1:],
    ],
)
def test_a_damaged_ip_header_is_counted(packet):
    _, reader = read_frames([ethernet(packet)])
    assert reader.report.unread == {"damaged IP or tunnel header": 1}


@pytest.mark.parametrize(("protocol", "name"), [(1, "ICMP"), (89, "OSPF"), (200, "IP protocol 200")])
def test_other_protocols_are_counted_by_name(protocol, name):
    _, reader = read_ip(ipv4(b"x" * 20, protocol))
    assert reader.report.unread == {name: 1}


def test_ipv6_extension_headers_are_walked():
    hop_by_hop = b"\x2b\x00" + bytes(6)
    routing = b"\x33\x01" + bytes(14)
    authentication = b"\x3c\x04" + bytes(22)
    destination = b"\x11\x00" + bytes(6)
    chain = hop_by_hop + routing + authentication + destination
    (message,), _ = read_ip(ipv6(chain + udp(LONG), 0))
    assert message.raw == LONG


def test_ipv6_extension_headers_without_end_are_given_up():
    _, reader = read_ip(ipv6((b"\x00\x00" + bytes(6)) * 50, 0))
    assert reader.report.unread == {"headers or tunnels nested too deep": 1}


@settings(max_examples=40)
@given(st.permutations(fragments(ipv4(udp(LONG)), 256)))
def test_ipv4_fragments_in_any_order_make_the_message(pieces):
    (message,), reader = read_ip(*pieces)
    assert message.raw == LONG
    assert message.frame == len(pieces)
    assert not reader.report.unread


@settings(max_examples=40)
@given(st.permutations(fragments_6(udp(LONG), 256)))
def test_ipv6_fragments_in_any_order_make_the_message(pieces):
    (message,), reader = read_ip(*pieces)
    assert message.raw == LONG
    assert not reader.report.unread


def test_repeated_fragments_change_nothing_before_or_after_the_whole():
    pieces = fragments(ipv4(udp(LONG)), 512)
    (message,), reader = read_ip(pieces[0], pieces[0], *pieces[1:], pieces[1], pieces[0])
    assert (message.raw, message.notes) == (LONG, ())
    assert reader.report.unread == {"IP fragment repeated after its datagram was whole": 2}


def test_the_first_of_overlapping_fragments_wins_and_a_difference_is_noted():
    pieces = fragments(ipv4(udp(LONG)), 512)
    forged = ipv4(b"\xee" * 512, identification=7, offset=256, more=True)
    (message,), _ = read_ip(pieces[0], pieces[1], forged, *pieces[2:])
    assert message.raw == LONG
    assert message.notes == (FRAGMENTS_CONFLICT,)


def test_overlapping_fragments_that_agree_are_not_noted():
    whole = ipv4(udp(LONG))[20:]
    pieces = fragments(ipv4(udp(LONG)), 512)
    overlapping = ipv4(whole[256:1024], identification=7, offset=256, more=True)
    (message,), _ = read_ip(pieces[0], overlapping, *pieces[1:])
    assert (message.raw, message.notes) == (LONG, ())


def test_interleaved_datagrams_are_told_apart_by_identification_and_addresses():
    one, two = request(1, body=b"a" * 900), request(2, body=b"b" * 900)
    pieces = zip(
        fragments(ipv4(udp(one)), 400),
        fragments(ipv4(udp(two), source="192.0.2.9"), 400),
        strict=True,
    )
    messages, _ = read_ip(*[piece for pair in pieces for piece in pair])
    assert [message.raw for message in messages] == [one, two]


def test_a_message_whose_last_fragment_is_lost_is_kept_as_far_as_it_came():
    pieces = fragments(ipv4(udp(LONG)), 512)
    (message,), reader = read_ip(*pieces[:-1])
    assert LONG.startswith(message.raw)
    assert len(message.raw) == 512 * (len(pieces) - 1) - 8
    assert message.notes == (FRAGMENTS_MISSING,)
    assert (reader.report.messages, reader.report.incomplete) == (0, 1)


def test_fragments_without_the_first_are_counted():
    pieces = fragments(ipv4(udp(LONG)), 512)
    messages, reader = read_ip(*pieces[1:])
    assert not messages
    assert reader.report.unread == {"IP fragment of a datagram that never became whole": len(pieces) - 1}


def test_fragments_cut_to_their_headers_are_no_repetition():
    reader = open_capture(pcap(fragments(ipv4(udp(LONG)), 512), link_type=101, snap_length=20))
    assert not list(reader)
    assert reader.report.unread == {"IP fragment of a datagram that never became whole": reader.report.packets}


def test_fragments_more_than_a_minute_apart_are_not_joined():
    pieces = fragments(ipv4(udp(LONG)), 1000)
    reader = open_capture(pcap(pieces, link_type=101, step_s=61))
    assert [message.notes for message in reader] == [(FRAGMENTS_MISSING,)]


def test_a_fragment_beyond_the_largest_datagram_is_refused():
    _, reader = read_ip(ipv4(b"x" * 1000, offset=65_000, more=True))
    assert reader.report.unread == {"IP fragment beyond the end of its datagram": 1}


def test_a_fragment_beyond_the_last_one_is_refused():
    pieces = fragments(ipv4(udp(LONG)), 512)
    beyond = ipv4(b"x" * 512, identification=7, offset=4096, more=True)
    (message,), reader = read_ip(pieces[-1], beyond, *pieces[:-1])
    assert message.raw == LONG
    assert reader.report.unread == {"IP fragment beyond the end of its datagram": 1}


def test_memory_for_fragments_is_bounded():
    heads = [ipv4(udp(LONG)[:1024], identification=n, more=True) for n in range(500)]
    messages = read(pcap(heads, link_type=101), ReadOptions(max_held_bytes=1 << 16))
    assert len(messages) == 500
    assert messages[0].notes == (FRAGMENTS_MISSING,)


def test_what_waiting_fragments_take_beside_their_octets_is_bounded():
    pieces = [ipv4(bytes(8), identification=1, offset=16 * at, more=True) for at in range(1, 2000)]
    network = Network(Counter(), max_fragment_octets=1 << 16)
    most = 0
    for number, piece in enumerate(pieces):
        network.payload(101, piece, number, 0)
        most = max(most, network.held)
    assert (1 << 16) - 1000 < most <= 1 << 16
    network.finish()
    assert network.held == 0


INNER_4, INNER_6 = ipv4(udp(LONG), source="192.0.2.1"), ipv6(udp(LONG), source="2001:db8:1::1")
GRE = struct.Struct(">HH").pack
ERSPAN_2 = GRE(0x1000, 0x88BE) + bytes(4) + b"\x10" + bytes(7)
ERSPAN_3 = GRE(0x1000, 0x22EB) + bytes(4) + b"\x20" + bytes(11)

TUNNELS = {
    "IPv4 in IPv4": ipv4(INNER_4, 4),
    "IPv6 in IPv4": ipv4(INNER_6, 41),
    "IPv4 in IPv6": ipv6(INNER_4, 4),
    "GRE": ipv4(GRE(0, 0x0800) + INNER_4, 47),
    "GRE over IPv6": ipv6(GRE(0, 0x86DD) + INNER_6, 47),
    "GRE with checksum, key and sequence": ipv4(GRE(0xB000, 0x0800) + bytes(12) + INNER_4, 47),
    "GRE of PPTP": ipv4(GRE(0x3081, 0x880B) + bytes(12) + b"\xff\x03\x00\x21" + INNER_4, 47),
    "GRE bridging": ipv4(GRE(0, 0x6558) + ethernet(INNER_4), 47),
    "GRE bridging a VLAN": ipv4(GRE(0x2000, 0x6558) + bytes(4) + ethernet(INNER_6, 0x86DD, (0x8100, 1)), 47),
    "GRE with a source route": ipv4(GRE(0x4000, 0x0800) + bytes(4) + b"\x08\0\0\x04" + bytes(8) + INNER_4, 47),
    "EoIP": ipv4(b"\x20\x01\x64\0" + struct.pack(">HH", len(ethernet(INNER_4)), 7) + ethernet(INNER_4), 47),
    "ERSPAN I": ipv4(GRE(0, 0x88BE) + ethernet(INNER_4), 47),
    "ERSPAN II": ipv4(ERSPAN_2 + ethernet(INNER_4), 47),
    "ERSPAN III": ipv4(ERSPAN_3 + ethernet(INNER_4), 47),
    "ERSPAN III with a subheader": ipv4(ERSPAN_3[:-1] + b"\x01" + bytes(8) + ethernet(INNER_4), 47),
    "VXLAN": ipv4(udp(b"\x08" + bytes(7) + ethernet(INNER_4), destination_port=4789)),
    "VXLAN with other flags": ipv4(udp(b"\x48" + bytes(7) + ethernet(INNER_4), destination_port=4789)),
    "Geneve": ipv4(udp(b"\x02\0\x65\x58" + bytes(12) + ethernet(INNER_4), destination_port=6081)),
    "authentication header": ipv4(b"\x04\x04\0\0" + bytes(20) + INNER_4, 51),
    "GTP": ipv4(udp(b"\x30\xff" + struct.pack(">HI", len(INNER_4), 1) + INNER_4, 2152, 2152)),
    "GTP with a sequence number": ipv4(
        udp(b"\x32\xff" + struct.pack(">HI", 4 + len(INNER_6), 1) + bytes(4) + INNER_6, 2152, 2152)
    ),
    "GTP with an extension": ipv4(
        udp(b"\x34\xff" + struct.pack(">HI", 8 + len(INNER_4), 1) + b"\0\0\0\x85\x01\0\x01\0" + INNER_4, 2152, 2152)
    ),
    "L2TP": ipv4(udp(b"\0\x02\0\x01\0\x01\xff\x03\0\x21" + INNER_4, 1701, 1701)),
    "L2TP with length, sequence and offset": ipv4(
        udp(
            b"\x4a\x02" + struct.pack(">HHHHHH", 20 + len(INNER_4), 1, 1, 0, 0, 2) + b"\0\0\xff\x03\0\x21" + INNER_4,
            50001,  # of its own: TShark takes what else goes between an L2TP peer's ports for L2TP
            1701,
        )
    ),
    "MPLS in GRE": ipv4(GRE(0, 0x8847) + b"\0\x02\x01\x40" + INNER_4, 47),
    "WCCP 1": ipv4(GRE(0, 0x883E) + INNER_4, 47),
    "WCCP 2": ipv4(GRE(0, 0x883E) + bytes(4) + INNER_4, 47),
    "MPLS in IPv4": ipv4(b"\0\x02\x01\x40" + INNER_4, 137),
    "EtherIP": ipv4(b"\x30\0" + ethernet(INNER_4), 97),
    "GRE in UDP": ipv4(udp(GRE(0, 0x0800) + INNER_4, 50000, 4754)),
    "MPLS in UDP": ipv4(udp(b"\0\x02\x01\x40" + INNER_6, 50000, 6635)),
    "VXLAN GPE with IPv4": ipv4(udp(b"\x0c\0\0\x01" + bytes(4) + INNER_4, 50000, 4790)),
    "VXLAN GPE with Ethernet": ipv4(udp(b"\x0c\0\0\x03" + bytes(4) + ethernet(INNER_4), 50000, 4790)),
    "Geneve with IPv4": ipv4(udp(b"\0\0\x08\0" + bytes(4) + INNER_4, destination_port=6081)),
    "Teredo": ipv4(udp(INNER_6, 50000, 3544)),
    "TZSP": ipv4(udp(b"\x01\0\0\x01\0\x0a\x01\x40\x01" + ethernet(INNER_4), 37008, 37008)),
    "a tunnel in a tunnel in a tunnel": ipv4(ipv4(GRE(0, 0x86DD) + INNER_6, 47), 4),
}


@pytest.mark.parametrize("tunnel", TUNNELS)
def test_a_message_is_found_with_its_inner_addresses_in(tunnel):
    (message,), reader = read_ip(TUNNELS[tunnel])
    assert message.raw == LONG
    assert message.source in ("192.0.2.1", "2001:db8:1::1")
    assert message.notes == (f"came inside a tunnel from {CLIENT_6 if TUNNELS[tunnel][0] >> 4 == 6 else CLIENT}",)
    assert not reader.report.unread


GTP = b"\x30\xff" + struct.pack(">HI", len(INNER_4), 1) + INNER_4


@pytest.mark.parametrize("tunnel", [name for name, packet in TUNNELS.items() if packet[9] == 17])
def test_a_source_port_of_a_tunnel_opens_none(tunnel):
    port = int.from_bytes(TUNNELS[tunnel][22:24], "big")
    messages, reader = read_ip(ipv4(udp(TUNNELS[tunnel][28:], port, 5060)))
    assert not messages
    assert reader.report.unread == {"UDP payload that is not SIP": 1}


def test_a_udp_tunnel_in_a_tunnel_names_the_outermost_source_once():
    inner = ipv4(udp(GTP, 2152, 2152), source="192.0.2.66")
    (message,), _ = read_ip(ipv4(inner, 4))
    assert (message.source, message.notes) == ("192.0.2.1", (f"came inside a tunnel from {CLIENT}",))


def test_a_stream_inside_a_tunnel_is_another_than_the_one_outside_and_says_so():
    short = request(2)
    opening, first, forged = (
        tcp(data, at, flags=flags)
        for data, at, flags in ((b"", 999, SYN), (short[:50], 1000, 0x18), (short[50:], 1050, 0x18))
    )
    plain = [ipv4(each, 6) for each in (opening, first)]
    tunnelled = [ipv4(ipv4(each, 6), 4, "192.0.2.200") for each in (opening, first, forged)]
    found, outside = read_ip(*plain, *tunnelled)[0]
    assert (found.raw, found.notes) == (short, ("came inside a tunnel from 192.0.2.200",))
    assert (outside.raw, outside.notes) == (short[:50], (UNFINISHED,))


def test_a_fragment_inside_a_tunnel_completes_none_outside():
    first, *rest = fragments(INNER_4, 512)
    (message,), _ = read_ip(first, *[ipv4(piece, 4) for piece in rest])
    assert (message.raw, message.notes) == (LONG[:504], (FRAGMENTS_MISSING,))


def test_fragments_inside_a_tunnel_are_joined():
    (message,), _ = read_ip(*[ipv4(piece, 4, "192.0.2.200", "192.0.2.201") for piece in fragments(INNER_4, 512)])
    assert message.raw == LONG


def test_a_tunnel_in_fragments_is_joined():
    (message,), _ = read_ip(*fragments(ipv4(INNER_4, 4), 512))
    assert message.raw == LONG


def test_tunnels_without_end_are_given_up():
    packet = INNER_4
    for _ in range(20):
        packet = ipv4(packet, 4)
    _, reader = read_ip(packet)
    assert reader.report.unread == {"headers or tunnels nested too deep": 1}


@pytest.mark.parametrize(
    ("port", "payload"),
    [
        (2152, b"\x30\x01\0\0\0\0\0\0"),
        (2152, b"\x34\xff\0\0\0\0\0\0\0\0\0\x85" + b"\x01\0\0\x85" * 200),
        (1701, b"\xc8\x02\0\x0c" + bytes(8)),
        (1701, b"\x02\x02\0\x01\0\x01"),
        (37008, b"\x01\0\0\x01" + bytes(300)),
        (37008, b"\x01\0\0\x01\x0a"),
    ],
)
def test_a_tunnel_that_carries_nothing_is_counted(port, payload):
    messages, reader = read_ip(ipv4(udp(payload, port, port)))
    assert not messages
    assert sum(reader.report.unread.values()) == 1


def test_one_udp_tunnel_in_another_is_not_followed():
    packet = INNER_4
    for _ in range(1000):
        packet = ipv4(udp(b"\x08" + bytes(7) + ethernet(packet), destination_port=4789))
    messages, reader = read_ip(packet)
    assert not messages
    assert reader.report.unread == {"UDP payload that is not SIP": 1}


def test_the_udp_length_field_rules_over_the_ip_length():
    (message,), _ = read_ip(ipv4(udp(LONG + b"trailer", length=8 + len(LONG))))
    assert message.raw == LONG


@pytest.mark.parametrize("length", [1, 7])
def test_a_udp_length_shorter_than_its_header_is_damage(length):
    messages, reader = read_ip(ipv4(udp(LONG, length=length)))
    assert not messages
    assert reader.report.unread == {"damaged UDP header": 1}


def test_a_udp_length_beyond_the_packet_is_noted():
    (message,), _ = read_ip(ipv4(udp(LONG, length=8 + len(LONG) + 50)))
    assert message.raw == LONG
    assert message.notes == ("shorter than its UDP length says",)


def test_a_message_cut_by_the_snap_length_is_a_message_and_says_so():
    reader = open_capture(pcap([datagram(LONG)], snap_length=300))
    (message,) = reader
    assert message.raw == LONG[: 300 - 42]
    assert message.notes == ("cut by snaplen",)
    assert (reader.report.messages, reader.report.incomplete) == (1, 0)


def test_a_message_in_fragments_that_the_snap_length_cut_is_a_message_and_says_so():
    reader = open_capture(pcap(fragments(ipv4(udp(LONG)), 512), link_type=101, snap_length=300))
    (message,) = reader
    assert (message.raw, message.notes) == (LONG[: 300 - 28], ("cut by snaplen",))
    assert (reader.report.messages, reader.report.incomplete) == (1, 0)


def test_a_fragment_lost_before_the_one_that_was_cut_makes_the_message_incomplete():
    first, _, *rest = fragments(ipv4(udp(LONG)), 256)
    reader = open_capture(pcap([first, *(piece + b"x" for piece in rest)], link_type=101, snap_length=276))
    assert [message.notes for message in reader] == [(FRAGMENTS_MISSING,)]


def test_a_request_cut_within_its_first_line_is_still_one():
    reader = open_capture(pcap([datagram(LONG)], snap_length=42 + 15))
    assert [message.raw for message in reader] == [b"OPTIONS sip:100"]


@pytest.mark.parametrize("kept", [35, 40])
def test_a_udp_header_cut_by_the_snap_length_is_counted(kept):
    reader = open_capture(pcap([datagram(LONG)], snap_length=kept))
    assert not list(reader)
    assert reader.report.unread == {"packet cut inside its headers": 1}


def test_a_damaged_tcp_header_is_counted():
    broken = tcp(LONG, 1)[:12] + b"\x10" + tcp(LONG, 1)[13:]
    _, reader = read_ip(ipv4(broken, 6))
    assert reader.report.unread == {"damaged TCP header": 1}


def test_sip_over_sctp_comes_out_of_data_chunks():
    chunks = [
        struct.pack(">BBHIHHI", 0, 3, 16 + len(LONG), number, 0, 0, 0) + LONG + bytes(-len(LONG) % 4)
        for number in (1, 2)
    ]
    common = struct.pack(">HHII", 40000, 5060, 1, 0)
    sack = struct.pack(">BBH", 3, 0, 16) + bytes(12)
    messages, _ = read_ip(ipv4(common + sack + b"".join(chunks), 132))
    assert [(message.transport, message.raw, message.source_port) for message in messages] == [
        ("sctp", LONG, 40000)
    ] * 2


def sctp(payload: bytes, *, length: int = 0) -> bytes:
    return struct.pack(">HHIIBBHIHHI", 40000, 5060, 1, 0, 0, 3, length or 16 + len(payload), 1, 0, 0, 0) + payload


@pytest.mark.parametrize("kept", [15, 200])
def test_a_message_in_sctp_cut_by_the_snap_length_says_so(kept):
    reader = open_capture(pcap([ethernet(ipv4(sctp(LONG), 132))], snap_length=14 + 20 + 28 + kept))
    (message,) = reader
    assert (message.raw, message.notes) == (LONG[:kept], ("cut by snaplen",))
    assert reader.report.unread == {"SIP message cut by the capture's snap length (read as far as it goes)": 1}


def test_an_sctp_chunk_that_ends_beyond_the_packet_is_noted():
    (message,), _ = read_ip(ipv4(sctp(LONG, length=len(LONG) + 66), 132))
    assert (message.raw, message.notes) == (LONG, ("shorter than its SCTP chunk says",))


def test_sctp_without_a_message_is_counted():
    common = struct.pack(">HHII", 40000, 5060, 1, 0)
    _, reader = read_ip(ipv4(common + struct.pack(">BBH", 1, 0, 0), 132))
    assert reader.report.unread == {"SCTP without a SIP message": 1}
