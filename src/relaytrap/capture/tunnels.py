"""What a tunnel's header leads to: the tunnels that are IP protocols, and those that run over UDP.

Each function gives the place of the network layer in the octets it was handed; following it is `network`'s affair.
"""

from collections.abc import Callable
from typing import Final

from relaytrap.capture.linklayer import IPV4, IPV6, Located, by_version, ethernet, of_type, ppp

__all__ = ["INSIDE_IP", "inside_udp"]

MPLS: Final = 0x8847
ETHERNET, EOIP = 0x6558, 0x6400
GTP_USER_DATA: Final = 255
TZSP_PADDING, TZSP_END = 0, 1
MAX_HEADERS: Final = 64


def _inside_gre(data: bytes) -> Located:
    """RFC 2784 with the key and sequence of RFC 2890 and the routing of RFC 1701; version 1 as PPTP (RFC 2637) and
    MikroTik's EoIP have it; and ERSPAN mirrors.
    """
    if len(data) < 4:
        return None
    flags, version = data[0], data[1] & 7
    kind = data[2] << 8 | data[3]
    at = 4
    if flags & 0xC0 and version == 0:  # checksum or routing: both bring checksum and offset
        at += 4
    if flags & 0x20:
        at += 4
    if flags & 0x10:
        at += 4
    if version == 1 and data[1] & 0x80:
        at += 4
    if flags & 0x40 and version == 0:
        at = _behind_routing(data, at)
    if kind in (ETHERNET, EOIP):
        return ethernet(data, at)
    if kind == 0x883E:  # WCCP; version 2 has four octets of its own before IPv4
        return by_version(data, at if at < len(data) and data[at] >> 4 == 4 else at + 4)
    if kind == 0x88BE:  # ERSPAN: type II has a header of its own and a sequence number, type I has neither
        return ethernet(data, at + 8 if flags & 0x10 else at)
    if kind == 0x22EB and at + 12 <= len(data):  # ERSPAN type III, with an optional subheader
        return ethernet(data, at + (20 if data[at + 11] & 1 else 12))
    if kind == 0x880B:
        return ppp(data, at)
    return of_type(kind, data, at)


def _behind_routing(data: bytes, at: int) -> int:
    """Past source routes (RFC 1701): each tells its length, and one of no family and no length is the last."""
    for _ in range(MAX_HEADERS):
        if not any(data[at : at + 2]) and not any(data[at + 3 : at + 4]):
            break
        at += 4 + int.from_bytes(data[at + 3 : at + 4], "big")
    return at + 4


def inside_udp(destination_port: int, data: bytes) -> Located:
    """The network layer that a UDP payload carries; None for no tunnel.

    By the port that it goes to alone: a sender may choose its own, and so have any packet to a SIP port taken apart.
    """
    find = BY_PORT.get(destination_port)
    return find(data) if find else None


def _vxlan(data: bytes) -> Located:
    """RFC 7348, as cloud networks mirror traffic; what its other flags say is to be ignored."""
    return ethernet(data, 8) if data and data[0] & 0x08 else None


def _geneve(data: bytes) -> Located:
    """RFC 8926, with its options."""
    if len(data) < 8 or data[0] >> 6:
        return None
    kind, at = data[2] << 8 | data[3], 8 + (data[0] & 0x3F) * 4
    return ethernet(data, at) if kind == ETHERNET else of_type(kind, data, at)


def _vxlan_of_any(data: bytes) -> Located:
    """VXLAN that says what it carries (draft-ietf-nvo3-vxlan-gpe)."""
    carried = data[3] if len(data) >= 8 and data[0] & 0x0C == 0x0C else 0
    if carried in (1, 2):
        return by_version(data, 8)
    return ethernet(data, 8) if carried == 3 else None


def _teredo(data: bytes) -> Located:
    """RFC 4380, without the authentication and origin that only servers' packets bring."""
    return by_version(data, 0) if data[:1] and data[0] >> 4 == 6 else None


def _gtp(data: bytes) -> Located:
    """User data of a mobile network (3GPP TS 29.281): where the calls of phones on LTE run."""
    if len(data) < 8 or data[0] & 0xF0 != 0x30 or data[1] != GTP_USER_DATA:
        return None
    if not data[0] & 7:
        return by_version(data, 8)
    at = 12
    for _ in range(MAX_HEADERS):
        if at > len(data) or not data[0] & 4 or not data[at - 1]:
            return by_version(data, at)
        if at == len(data):
            break
        at += max(data[at], 1) * 4
    return None


def _l2tp(data: bytes) -> Located:
    """RFC 2661, data messages: PPP behind a header whose fields its flags announce."""
    if len(data) < 6 or data[0] & 0x80 or data[1] & 0x0F != 2:
        return None
    at = 6
    if data[0] & 0x40:  # length
        at += 2
    if data[0] & 0x08:  # sequence numbers
        at += 4
    if data[0] & 0x02:  # an offset
        if at + 2 > len(data):
            return None
        at += 2 + (data[at] << 8 | data[at + 1])
    return ppp(data, at)


def _tzsp(data: bytes) -> Located:
    """TaZmen Sniffer Protocol, as MikroTik routers mirror traffic: tags up to an end mark, then an Ethernet frame."""
    if len(data) < 5 or data[:4] != b"\x01\0\0\x01":
        return None
    at = 4
    for _ in range(MAX_HEADERS):
        if at >= len(data):
            break
        if data[at] == TZSP_END:
            return ethernet(data, at + 1)
        at += 1 if data[at] == TZSP_PADDING else 2 + data[at + 1] if at + 1 < len(data) else 2
    return None


BY_PORT: Final[dict[int, Callable[[bytes], Located]]] = {
    1701: _l2tp,
    2152: _gtp,
    3544: _teredo,
    4754: _inside_gre,  # RFC 8086
    4789: _vxlan,
    4790: _vxlan_of_any,
    6081: _geneve,
    6635: lambda data: of_type(MPLS, data, 0),  # RFC 7510
    37008: _tzsp,
}

INSIDE_IP: Final[dict[int, Callable[[bytes], Located]]] = {
    4: lambda _: (IPV4, 0),
    41: lambda _: (IPV6, 0),
    47: _inside_gre,
    97: lambda data: ethernet(data, 2),  # EtherIP, RFC 3378
    137: lambda data: of_type(MPLS, data, 0),  # RFC 4023
}
"""IP protocol -> the network layer that a packet's payload carries."""
