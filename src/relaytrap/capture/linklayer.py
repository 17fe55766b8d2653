"""Where the IP packet begins in a captured frame, for each link type that voice traffic is captured on.

Link types are numbered by https://www.tcpdump.org/linktypes.html.
"""

from collections.abc import Callable
from typing import Final

from relaytrap.capture import wireless

__all__ = [
    "CONTROL",
    "IPV4",
    "IPV6",
    "NETWORK_LAYER",
    "Located",
    "by_version",
    "ethernet",
    "network_layer",
    "of_type",
    "ppp",
]

IPV4: Final = 0x0800
IPV6: Final = 0x86DD
CONTROL: Final = 0
"""Stands for anything that is not IP: ARP, spanning tree, loopback tests."""

Located = tuple[int, int] | None
"""(IPV4, IPV6 or CONTROL, offset); None when the frame ends inside its own headers."""

TAGS: Final = {
    0x8100: 2,
    0x88A8: 2,
    0x9100: 2,
    0x9200: 2,
    0x9300: 2,
    0x88E7: 16,  # provider backbone bridges: a service tag, then the customer's own addresses
    0x8909: 6,  # Cisco metadata
    0x8926: 4,  # VN-Tag
    0x892F: 4,  # high-availability seamless redundancy
}
"""Type -> octets between it and the type of what it tags."""
PPPOE_SESSION: Final = 0x8864
MPLS: Final = frozenset({0x8847, 0x8848})
SNAP: Final = b"\xaa\xaa\x03"
IP_ALONE: Final = b"\x06\x06\x03"
"""IEEE 802.2 without SNAP (RFC 948)."""
NFLOG_PAYLOAD: Final = 9
MAX_TAGS: Final = 16
"""Tags and labels beyond this are an attack on time, not a network."""


def network_layer(link_type: int, frame: bytes) -> Located:
    """What `frame` carries and where; KeyError for a link type that is not known here."""
    return NETWORK_LAYER[link_type](frame, 0)


def ethernet(frame: bytes, at: int) -> Located:
    """IEEE 802.3 and Ethernet II."""
    return _by_ethertype(frame, at + 12)


def _by_ethertype(frame: bytes, at: int) -> Located:
    """Follow tags from the type field at `at` to the network layer."""
    if at + 2 > len(frame):
        return None
    return of_type(frame[at] << 8 | frame[at + 1], frame, at + 2)


def of_type(kind: int, frame: bytes, at: int) -> Located:
    """Follow tags from what stands at `at` and is of type `kind` to the network layer."""
    for _ in range(MAX_TAGS):
        if kind in (IPV4, IPV6):
            return kind, at
        if kind in TAGS:
            at += TAGS[kind]
        elif kind == PPPOE_SESSION:
            return ppp(frame, at + 6)
        elif kind in MPLS:
            return _after_labels(frame, at)
        elif kind <= 1500 and frame[at : at + 3] == SNAP:  # a length: IEEE 802.2 with SNAP
            at += 6
        elif kind <= 1500 and frame[at : at + 3] == IP_ALONE:
            return by_version(frame, at + 3)
        else:
            break
        if at + 2 > len(frame):
            return None
        kind = frame[at] << 8 | frame[at + 1]
        at += 2
    return CONTROL, at


def _llc(frame: bytes, at: int) -> Located:
    """IEEE 802.2 without a length before it, as on ATM (RFC 2684)."""
    if at + 8 > len(frame):
        return None
    return _by_ethertype(frame, at + 6) if frame[at : at + 3] == SNAP else (CONTROL, at)


def _after_labels(frame: bytes, at: int) -> Located:
    """Past an MPLS label stack (RFC 3032) to whatever its first nibble says it is, or to an Ethernet frame's packet."""
    for _ in range(MAX_TAGS):
        if at + 4 > len(frame):
            return None
        bottom = frame[at + 2] & 1
        at += 4
        if bottom:
            located = by_version(frame, at)
            return _pseudowire(frame, at) or located if located == (CONTROL, at) else located
    return CONTROL, at


def _pseudowire(frame: bytes, at: int) -> Located:
    """IP in an Ethernet frame behind labels (RFC 4448), with a control word before it or without; None for no such."""
    for behind in (at + 12, at + 16):
        for _ in range(MAX_TAGS):
            kind, behind = int.from_bytes(frame[behind : behind + 2], "big"), behind + 2
            if kind in (IPV4, IPV6) and by_version(frame, behind) == (kind, behind):
                return kind, behind
            if kind not in TAGS:
                break
            behind += TAGS[kind]
    return None


def by_version(frame: bytes, at: int) -> Located:
    """Raw IP: the version nibble tells."""
    if at >= len(frame):
        return None
    version = frame[at] >> 4
    return {4: IPV4, 6: IPV6}.get(version, CONTROL), at


def ppp(frame: bytes, at: int) -> Located:
    """A PPP frame, with or without address and control octets, protocol field compressed or not (RFC 1661, 1662)."""
    if frame[at : at + 2] == b"\xff\x03":
        at += 2
    if at >= len(frame):
        return None
    if frame[at] & 1:
        protocol, at = frame[at], at + 1
    elif at + 2 > len(frame):
        return None
    else:
        protocol, at = frame[at] << 8 | frame[at + 1], at + 2
    if protocol == 0x281:
        return _after_labels(frame, at)
    return {0x21: IPV4, 0x57: IPV6}.get(protocol, CONTROL), at


def _pppoe(frame: bytes, at: int) -> Located:
    """A PPPoE session packet without its Ethernet header (RFC 2516)."""
    return ppp(frame, at + 6)


def _cisco_hdlc(frame: bytes, at: int) -> Located:
    return _by_ethertype(frame, at + 2)


def _cooked(frame: bytes, at: int) -> Located:
    """Linux cooked capture, version 1: 16 octets, the type last."""
    return _by_ethertype(frame, at + 14)


def _cooked_2(frame: bytes, at: int) -> Located:
    """Linux cooked capture, version 2: 20 octets, the type first."""
    if at + 20 > len(frame):
        return None
    return of_type(frame[at] << 8 | frame[at + 1], frame, at + 20)


def _loopback(frame: bytes, at: int) -> Located:
    """BSD loopback: an address family in the byte order of the machine that captured, or (108) of the network."""
    if at + 4 > len(frame):
        return None
    family = max(frame[at] | frame[at + 1] << 8, frame[at + 2] << 8 | frame[at + 3])
    if family == 2:
        return IPV4, at + 4
    if family in (10, 24, 28, 30):  # AF_INET6 of Linux; of NetBSD and OpenBSD; of FreeBSD; of Darwin
        return IPV6, at + 4
    return CONTROL, at + 4


def _pflog(frame: bytes, at: int) -> Located:
    """OpenBSD's packet filter log: its first octet is the header's length before padding to four."""
    if at >= len(frame):
        return None
    return by_version(frame, at + ((frame[at] + 3) & ~3))


def _nflog(frame: bytes, at: int) -> Located:
    """Netfilter's log: four octets, then attributes (length, type, value), one of which is the packet."""
    at += 4
    while at + 4 <= len(frame):
        length = frame[at] | frame[at + 1] << 8
        if frame[at + 2] | frame[at + 3] << 8 == NFLOG_PAYLOAD:
            return by_version(frame, at + 4)
        at += max(4, (length + 3) & ~3)
    return None


def _air(find: Callable[[bytes, int], int | None]) -> Callable[[bytes, int], Located]:
    """The network layer of 802.11 frames whose LLC header `find` finds."""

    def locate(frame: bytes, at: int) -> Located:
        found = find(frame, at)
        if found is None:
            return None
        return (CONTROL, at) if found == wireless.NO_DATA else _llc(frame, found)

    return locate


def _per_packet(frame: bytes, at: int) -> Located:
    """CACE's per-packet information: its length, and the link type of what follows; 802.11 or Ethernet."""
    if at + 8 > len(frame):
        return None
    behind = at + (frame[at + 2] | frame[at + 3] << 8)
    link_type = int.from_bytes(frame[at + 4 : at + 8], "little")
    return IN_PER_PACKET[link_type](frame, behind) if link_type in IN_PER_PACKET else (CONTROL, behind)


IN_PER_PACKET: Final = {1: ethernet, 105: _air(wireless.payload), 127: _air(wireless.behind_radiotap)}


def _packet_tap(frame: bytes, at: int) -> Located:
    """Apple's PKTAP, as its tcpdump writes for all interfaces: its length, then the link type of what follows."""
    if at + 12 > len(frame):
        return None
    behind = at + int.from_bytes(frame[at : at + 4], "little")
    link_type = int.from_bytes(frame[at + 8 : at + 12], "little")
    return IN_PACKET_TAP[link_type](frame, behind) if link_type in IN_PACKET_TAP else (CONTROL, behind)


IN_PACKET_TAP: Final = IN_PER_PACKET | {0: _loopback, 9: ppp, 12: by_version}

NETWORK_LAYER: Final[dict[int, Callable[[bytes, int], Located]]] = {
    0: _loopback,
    1: ethernet,
    9: ppp,
    11: _llc,
    12: by_version,
    14: by_version,
    50: ppp,
    51: _pppoe,
    101: by_version,
    100: _llc,
    104: _cisco_hdlc,
    105: _air(wireless.payload),
    108: _loopback,
    109: lambda frame, at: by_version(frame, at + 12),  # OpenBSD enc
    113: _cooked,
    117: _pflog,
    119: _air(wireless.behind_prism),
    123: lambda frame, at: _llc(frame, at + 4),  # SunATM
    127: _air(wireless.behind_radiotap),
    138: lambda frame, at: _by_ethertype(frame, at + 16),  # IP over Firewire
    163: _air(wireless.behind_prism),
    192: _per_packet,
    204: lambda frame, at: ppp(frame, at + 1),  # direction first
    228: by_version,
    229: by_version,
    239: _nflog,
    258: _packet_tap,
    276: _cooked_2,
}
"""Link type -> the function that finds the network layer, from an offset."""
