"""Packets and capture files made by hand, so that tests know every octet: frames, IP, UDP, TCP, pcap, pcapng."""

import ipaddress
import struct
from collections.abc import Iterable, Sequence
from io import BytesIO

from relaytrap.capture import CaptureReader, ReadOptions, read_capture
from relaytrap.observation import Observation

CLIENT, SERVER = "198.51.100.7", "203.0.113.5"
CLIENT_6, SERVER_6 = "2001:db8::7", "2001:db8::5"
TIME_S = 1_700_000_000


def request(number: int = 1, *, method: bytes = b"OPTIONS", body: bytes = b"", length: int | None = None) -> bytes:
    """A SIP request; the number is its Call-ID."""
    return (
        method + b" sip:100@203.0.113.5 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK%d\r\n"
        b"Max-Forwards: 70\r\nFrom: <sip:100@203.0.113.5>;tag=a%d\r\nTo: <sip:100@203.0.113.5>\r\n"
        b"Call-ID: %d\r\nCSeq: 1 %s\r\nContent-Length: %d\r\n\r\n"
        % (number, number, number, method, len(body) if length is None else length)
    ) + body


def response(number: int = 1, status: bytes = b"200 OK") -> bytes:
    return (
        b"SIP/2.0 " + status + b"\r\n"
        b"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK%d\r\n"
        b"From: <sip:100@203.0.113.5>;tag=a%d\r\nTo: <sip:100@203.0.113.5>;tag=b\r\n"
        b"Call-ID: %d\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n" % (number, number, number)
    )


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def ipv4(
    payload: bytes,
    protocol: int = 17,
    source: str = CLIENT,
    destination: str = SERVER,
    *,
    identification: int = 1,
    offset: int = 0,
    more: bool = False,
    options: bytes = b"",
    total: int | None = None,
) -> bytes:
    length = 20 + len(options) + len(payload) if total is None else total
    head = 0x40 | (5 + len(options) // 4)
    fragment = offset // 8 | (0x2000 if more else 0)
    return (
        struct.pack(">BBHHHBBH", head, 0, length, identification, fragment, 64, protocol, 0)
        + packed(source)
        + packed(destination)
        + options
        + payload
    )


def ipv6(payload: bytes, following: int = 17, source: str = CLIENT_6, destination: str = SERVER_6) -> bytes:
    return struct.pack(">IHBB", 6 << 28, len(payload), following, 64) + packed(source) + packed(destination) + payload


def udp(payload: bytes, source_port: int = 40000, destination_port: int = 5060, *, length: int | None = None) -> bytes:
    return (
        struct.pack(">HHHH", source_port, destination_port, 8 + len(payload) if length is None else length, 0) + payload
    )


def tcp(
    payload: bytes, sequence: int, source_port: int = 40000, destination_port: int = 5060, flags: int = 0x18
) -> bytes:
    return (
        struct.pack(">HHIIHHHH", source_port, destination_port, sequence & 0xFFFFFFFF, 0, 0x5000 | flags, 65535, 0, 0)
        + payload
    )


SYN = 0x02


def ethernet(payload: bytes, kind: int = 0x0800, *tags: tuple[int, int]) -> bytes:
    """tags: (type, tag control) of each VLAN tag, outermost first."""
    between = b"".join(struct.pack(">HH", *tag) for tag in tags)
    return bytes(12) + between + struct.pack(">H", kind) + payload


def datagram(payload: bytes, **ports: int) -> bytes:
    """An Ethernet frame with a whole UDP datagram."""
    return ethernet(ipv4(udp(payload, **ports)))


def segment(payload: bytes, sequence: int, *, flags: int = 0x18, source_port: int = 40000) -> bytes:
    return ethernet(ipv4(tcp(payload, sequence, source_port, flags=flags), 6))


def answer_segment(payload: bytes, sequence: int) -> bytes:
    """A TCP segment from the server back to the client."""
    return ethernet(ipv4(tcp(payload, sequence, 5060, 40000), 6, SERVER, CLIENT))


def fragments(packet: bytes, size: int) -> list[bytes]:
    """An IPv4 packet's fragments of `size` payload octets (a multiple of 8), in order."""
    payload = packet[20:]
    protocol, source, destination = (
        packet[9],
        str(ipaddress.ip_address(packet[12:16])),
        str(ipaddress.ip_address(packet[16:20])),
    )
    return [
        ipv4(
            payload[at : at + size],
            protocol,
            source,
            destination,
            identification=7,
            offset=at,
            more=at + size < len(payload),
        )
        for at in range(0, len(payload), size)
    ]


def fragments_6(payload: bytes, size: int, following: int = 17) -> list[bytes]:
    """IPv6 fragments of a fragmentable part."""
    return [
        ipv6(
            struct.pack(">BBHI", following, 0, at | (at + size < len(payload)), 77) + payload[at : at + size],
            following=44,
        )
        for at in range(0, len(payload), size)
    ]


def pcap(
    frames: Iterable[bytes],
    *,
    link_type: int = 1,
    order: str = "<",
    nanoseconds: bool = False,
    snap_length: int = 262144,
    modified: bool = False,
    step_s: int = 0,
) -> bytes:
    """A pcap file; the packets are one tick apart, or step_s seconds."""
    magic = 0xA1B2CD34 if modified else 0xA1B23C4D if nanoseconds else 0xA1B2C3D4
    out = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap_length, link_type)]
    for number, frame in enumerate(frames):
        kept = frame[:snap_length]
        seconds, ticks = TIME_S + number * step_s, 0 if step_s else number
        out.append(struct.pack(order + "IIII", seconds, ticks, len(kept), len(frame)))
        out.append(bytes(8) + kept if modified else kept)
    return b"".join(out)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    body += bytes(-len(body) % 4)
    total = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + total + body + total


def section(order: str = "<", options: bytes = b"") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1) + options, order)


def interface(link_type: int = 1, order: str = "<", options: bytes = b"", snap_length: int = 0) -> bytes:
    return block(1, struct.pack(order + "HHI", link_type, 0, snap_length) + options, order)


def enhanced(frame: bytes, ticks: int, number: int = 0, order: str = "<", options: bytes = b"") -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(6, head + frame + bytes(-len(frame) % 4) + options, order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def open_capture(data: bytes, options: ReadOptions | None = None) -> CaptureReader:
    return read_capture(BytesIO(data), name="test.pcap", sensor="import", options=options)


def read(data: bytes, options: ReadOptions | None = None) -> list[Observation]:
    return list(open_capture(data, options))


def raws(data: bytes) -> list[bytes]:
    """The messages in a capture file."""
    return [observation.raw for observation in read(data)]


def read_frames(frames: Sequence[bytes], link_type: int = 1) -> tuple[list[Observation], CaptureReader]:
    reader = open_capture(pcap(frames, link_type=link_type))
    return list(reader), reader
