"""One capture of everything the reader knows, as pcap, pcapng, segment and HEP file: what mutation starts from."""

import struct

from tests.capture.packets import (
    SYN,
    answer_segment,
    datagram,
    enhanced,
    ethernet,
    fragments,
    fragments_6,
    interface,
    ipv4,
    ipv6,
    option,
    pcap,
    request,
    response,
    section,
    segment,
    udp,
)
from tests.capture.test_hep import hep3
from tests.capture.test_pcapng import observation, written
from tests.capture.test_websocket import ANSWER, ASK, frame

LONG = request(9, body=b"b" * 600)


def frames() -> list[bytes]:
    """Ethernet frames with datagrams, fragments, tunnels, streams, HEP, WebSocket, SCTP and noise."""
    stream = request(1) + b"\r\n\r\n" + LONG + b"junk\r\n" + response(2)
    data_chunk = struct.pack(">BBHIHHI", 0, 3, 16 + len(LONG), 1, 0, 0, 0) + LONG
    return [
        datagram(request(3)),
        datagram(b"\r\n\r\n" + response(3)),
        datagram(hep3(request(4)), destination_port=9060),
        *[ethernet(piece) for piece in fragments(ipv4(udp(LONG)), 256)],
        *[ethernet(piece, 0x86DD) for piece in fragments_6(udp(LONG), 256)],
        ethernet(ipv4(ipv6(udp(LONG)), 41), 0x0800, (0x8100, 5)),
        ethernet(ipv4(b"\xb0\0\x65\x58" + bytes(12) + datagram(LONG), 47)),
        ethernet(ipv4(udp(b"\x08" + bytes(7) + datagram(LONG), destination_port=4789))),
        ethernet(ipv6(b"\x3c\0" + bytes(6) + b"\x11\0" + bytes(6) + udp(LONG), 0), 0x86DD),
        segment(b"", 999, flags=SYN),
        *[segment(stream[at : at + 90], 1000 + at) for at in (90, 0, 270, 180, 270, 450, *range(540, len(stream), 90))],
        answer_segment(response(1), 77),
        segment(b"", 50_000_000, flags=SYN, source_port=41000),
        segment(ASK + frame(request(6), key=b"1234"), 50_000_001, source_port=41000),
        answer_segment(ANSWER + frame(response(6)), 5000),
        segment(b"", 999, flags=SYN, source_port=42000),
        segment(hep3(request(7)) + hep3(request(8)), 1000, source_port=42000),
        ethernet(ipv4(struct.pack(">HHII", 1, 5060, 0, 0) + data_chunk, 132)),
        datagram(b"\x80" + bytes(60)),
        bytes(60),
    ]


def captures() -> dict[str, bytes]:
    """Kind -> file."""
    observations = [
        observation(LONG),
        observation(LONG, transport="wss", direction="out", notes=("said",)),
        observation(request(body=b"x" * 70_000), transport="tcp", source="2001:db8::1", local="2001:db8::2"),
    ]
    blocks = b"".join(enhanced(frame, number, options=option(1, b"c")) for number, frame in enumerate(frames()))
    return {
        "pcap": pcap(frames()),
        "pcapng": section(options=option(1, b"made by hand")) + interface(options=option(9, b"\x06")) + blocks,
        "segment": written(*observations),
        "hep": b"".join(hep3(request(n)) for n in range(5)),
    }
