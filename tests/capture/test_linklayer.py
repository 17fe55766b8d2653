"""Every link type leads to the same IP packet."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.capture.linklayer import CONTROL, IPV4, IPV6, NETWORK_LAYER, network_layer
from tests.capture.packets import ethernet, ipv4, ipv6, read_frames, request, udp

MESSAGE = request(1)
PACKET_4 = ipv4(udp(MESSAGE))
PACKET_6 = ipv6(udp(MESSAGE))
SNAP = b"\xaa\xaa\x03\0\0\0\x08\x00"


def pppoe(payload: bytes) -> bytes:
    """A session packet's header and payload (RFC 2516)."""
    return struct.pack(">BBHH", 0x11, 0, 1, len(payload)) + payload


def nflog(packet: bytes, family: int = 2) -> bytes:
    """Netfilter's log: a prefix attribute, then the packet."""
    prefix = struct.pack("<HH", 8, 10) + b"sip\0"
    return bytes([family, 0, 0, 0]) + prefix + struct.pack("<HH", 4 + len(packet), 9) + packet


def pktap(link_type: int, frame: bytes) -> bytes:
    """Apple's header: length, kind of record, link type, name of the interface, and what else belongs to 108 octets."""
    return struct.pack("<III24s", 108, 1, link_type, b"en0") + bytes(72) + frame


def wlan(
    packet: bytes,
    kind: bytes | None = b"\x08\0",
    *,
    control: int = 0x08,
    flags: int = 1,
    service: bytes = bytes(2),
    padding: int = 0,
) -> bytes:
    """An 802.11 data frame; kind None: the packet brings its own LLC header."""
    header = bytes([control, flags]) + bytes(22 + 6 * (flags & 3 == 3))
    if control & 0x80:
        header += service + bytes(4 * (flags >> 7))
    return header + bytes(padding) + (SNAP[:6] + kind if kind else b"") + packet


def aggregate(packet: bytes) -> bytes:
    """The one part of an A-MSDU."""
    return bytes(12) + struct.pack(">H", 8 + len(packet)) + SNAP + packet


RADIOTAP_PADDED = b"\0\0\x11\0\x03\0\0\0" + bytes(8) + b"\x20"

CASES = {
    "ethernet": (1, ethernet(PACKET_4)),
    "ethernet IPv6": (1, ethernet(PACKET_6, 0x86DD)),
    "vlan": (1, ethernet(PACKET_4, 0x0800, (0x8100, 7))),
    "qinq": (1, ethernet(PACKET_4, 0x0800, (0x88A8, 7), (0x8100, 8))),
    "qinq of old": (1, ethernet(PACKET_6, 0x86DD, (0x9100, 7), (0x8100, 8))),
    "802.2 with SNAP": (1, bytes(12) + struct.pack(">H", 500) + SNAP + PACKET_4),
    "802.2 without SNAP": (1, bytes(12) + struct.pack(">H", 500) + b"\x06\x06\x03" + PACKET_4),
    "pppoe": (1, ethernet(pppoe(b"\x00\x21" + PACKET_4), 0x8864)),
    "pppoe IPv6 in a vlan": (1, ethernet(pppoe(b"\x00\x57" + PACKET_6), 0x8864, (0x8100, 9))),
    "mpls": (1, ethernet(b"\0\x01\x00\x40" + b"\0\x02\x01\x40" + PACKET_4, 0x8847)),
    "mpls with ethernet": (1, ethernet(b"\0\x01\x01\x40" + ethernet(PACKET_4), 0x8847)),
    "backbone bridges": (1, ethernet(b"\0\0\0\x01" + ethernet(PACKET_4), 0x88E7)),
    "cisco metadata": (1, ethernet(b"\x01\x01\0\x01\0\x10\x08\0" + PACKET_4, 0x8909)),
    "vn-tag": (1, ethernet(bytes(4) + b"\x08\0" + PACKET_4, 0x8926)),
    "seamless redundancy": (1, ethernet(b"\0\x50\0\x01\x08\0" + PACKET_4, 0x892F)),
    "loopback, little-endian": (0, b"\x02\0\0\0" + PACKET_4),
    "loopback, big-endian": (0, b"\0\0\0\x02" + PACKET_4),
    "loopback IPv6 of FreeBSD": (0, b"\x1c\0\0\0" + PACKET_6),
    "loopback IPv6 of Darwin": (0, b"\x1e\0\0\0" + PACKET_6),
    "loopback IPv6 of OpenBSD": (108, b"\0\0\0\x18" + PACKET_6),
    "ppp": (9, b"\xff\x03\x00\x21" + PACKET_4),
    "ppp without address and control": (9, b"\x00\x57" + PACKET_6),
    "ppp with mpls": (9, b"\xff\x03\x02\x81" + b"\0\x02\x01\x40" + PACKET_4),
    "ppp, protocol compressed": (50, b"\x21" + PACKET_4),
    "pppoe payload": (51, pppoe(b"\x00\x21" + PACKET_4)),
    "raw 12": (12, PACKET_4),
    "raw 14": (14, PACKET_6),
    "raw 101": (101, PACKET_4),
    "raw 101 IPv6": (101, PACKET_6),
    "IPv4": (228, PACKET_4),
    "IPv6": (229, PACKET_6),
    "cisco hdlc": (104, b"\x0f\0\x08\0" + PACKET_4),
    "cooked": (113, bytes(14) + b"\x08\x00" + PACKET_4),
    "cooked vlan": (113, bytes(14) + b"\x81\x00\0\x05\x86\xdd" + PACKET_6),
    "cooked 2": (276, b"\x08\x00" + bytes(18) + PACKET_4),
    "cooked 2 IPv6": (276, b"\x86\xdd" + bytes(18) + PACKET_6),
    "cooked 2 vlan": (276, b"\x81\x00" + bytes(18) + b"\0\x05\x08\x00" + PACKET_4),
    "cooked 2 pppoe": (276, b"\x88\x64" + bytes(18) + pppoe(b"\x00\x21" + PACKET_4)),
    "cooked 2 mpls": (276, b"\x88\x47" + bytes(18) + b"\0\x02\x01\x40" + PACKET_4),
    "packet tap": (258, pktap(1, ethernet(PACKET_4))),
    "packet tap on loopback": (258, pktap(0, b"\x1e\0\0\0" + PACKET_6)),
    "packet tap on a tunnel": (258, pktap(12, PACKET_4)),
    "ppp with a direction": (204, b"\x01\xff\x03\x00\x21" + PACKET_4),
    "atm": (11, SNAP + PACKET_4),
    "sunatm": (123, b"\x02\0\0\x05" + SNAP + PACKET_4),
    "firewire": (138, bytes(16) + b"\x08\0" + PACKET_4),
    "nflog": (239, nflog(PACKET_4)),
    "nflog IPv6": (239, nflog(PACKET_6, family=10)),
    "802.11": (105, wlan(PACKET_4)),
    "802.11 between access points": (105, wlan(PACKET_4, flags=3)),
    "802.11 with quality of service": (105, wlan(PACKET_6, b"\x86\xdd", control=0x88)),
    "802.11 with high throughput": (105, wlan(PACKET_4, control=0x88, flags=0x81)),
    "802.11 aggregate": (105, wlan(aggregate(PACKET_4), control=0x88, kind=None, service=b"\x80\0")),
    "radiotap": (127, b"\0\0\x08\0" + bytes(4) + wlan(PACKET_4)),
    "radiotap, padded": (127, RADIOTAP_PADDED + wlan(PACKET_4, control=0x88, padding=2)),
    "radiotap, two words": (127, b"\0\0\x0d\0\x02\0\0\x80\x02\0\0\0\0" + wlan(PACKET_4)),
    "per-packet information": (192, b"\0\0\x08\0\x69\0\0\0" + wlan(PACKET_4)),
    "prism": (119, b"\x44\0\0\0\x90\0\0\0" + bytes(136) + wlan(PACKET_4)),
    "avs": (163, b"\x80\x21\x10\x01\0\0\0\x40" + bytes(56) + wlan(PACKET_4)),
    "pflog": (117, b"\x3d\x02" + bytes(62) + PACKET_4),
    "enc": (109, b"\x18\0\0\0" + bytes(8) + PACKET_6),
}


@pytest.mark.parametrize("case", CASES)
def test_a_message_is_found_on(case):
    link_type, frame = CASES[case]
    (message,), reader = read_frames([frame], link_type)
    assert message.raw == MESSAGE
    assert message.source == ("2001:db8::7" if PACKET_6 in frame else "198.51.100.7")
    assert not reader.report.unread


@pytest.mark.parametrize("case", CASES)
def test_a_frame_cut_inside_its_headers_is_counted_on(case):
    link_type, frame = CASES[case]
    header = len(frame) - len(PACKET_6 if PACKET_6 in frame else PACKET_4)
    for kept in range(header):
        _, reader = read_frames([frame[:kept]], link_type)
        assert sum(reader.report.unread.values()) == 1, kept


@pytest.mark.parametrize("tags", [(), ((0x8100, 7),)])
def test_ethernet_behind_labels_and_a_control_word_is_found(tags):
    inside = b"\x02" + ethernet(PACKET_6, 0x86DD, *tags)[1:]
    (message,), _ = read_frames([ethernet(b"\0\x01\x01\x40" + bytes(4) + inside, 0x8847)])
    assert (message.raw, message.source) == (MESSAGE, "2001:db8::7")


def test_what_else_stands_behind_labels_is_no_ip_packet():
    _, reader = read_frames([ethernet(b"\0\x01\x01\x40" + inside, 0x8847) for inside in (bytes(60), b"\x81\0" * 40)])
    assert reader.report.unread == {"not an IP packet": 2}


def test_an_unknown_link_type_is_counted_by_its_number():
    _, reader = read_frames([PACKET_4, PACKET_4], 4711)
    assert reader.report.unread == {"packet of unknown link type 4711": 2}


@pytest.mark.parametrize(
    "frame", [wlan(PACKET_4, flags=0x41), wlan(PACKET_4, control=0x80), wlan(b"", kind=None, control=0x48)]
)
def test_wireless_frames_that_are_encrypted_or_carry_nothing_are_no_ip_packets(frame):
    _, reader = read_frames([frame], 105)
    assert reader.report.unread == {"not an IP packet": 1}


def test_arp_and_spanning_tree_are_no_ip_packets():
    _, reader = read_frames([ethernet(bytes(28), 0x0806), bytes(12) + b"\x00\x26\x42\x42\x03" + bytes(35)])
    assert reader.report.unread == {"not an IP packet": 2}


def test_ethernet_padding_is_not_part_of_the_message():
    (message,), _ = read_frames([ethernet(PACKET_4) + b"padding"])
    assert message.raw == MESSAGE


def test_endless_tags_end():
    assert network_layer(1, ethernet(PACKET_4, 0x0800, *[(0x8100, 1)] * 100)) == (CONTROL, 78)


@given(st.sampled_from(sorted(NETWORK_LAYER)), st.binary(max_size=60))
def test_any_octets_give_a_place_inside_or_nothing(link_type, frame):
    located = network_layer(link_type, frame)
    assert located is None or located[0] in (CONTROL, IPV4, IPV6)
