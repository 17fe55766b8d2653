#!/usr/bin/env python3
"""Time reading of captures into observations, and writing of segments: CPU microseconds per packet, median and spread.

    python bench/read.py [FILE...] [--rounds 5]

Without a FILE it makes captures of 100,000 messages itself: over UDP, over TCP (one connection each hundred messages,
two segments a message), and UDP in IPv4 fragments. Reading alone: nothing is parsed but what framing of streams needs.
"""

import argparse
import io
import itertools
import platform
import statistics
import struct
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from relaytrap.capture import SegmentWriter, read_capture, read_segment

MESSAGES = 100_000
BODY = (
    b"v=0\r\no=- 16264 18299 IN IP4 192.0.2.7\r\ns=call\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 25282 RTP/AVP 0 8\r\n"
)


def message(number: int) -> bytes:
    return (
        b"INVITE sip:9011441234%06d@203.0.113.5 SIP/2.0\r\n"
        b"Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK%012x;rport\r\n"
        b'Max-Forwards: 70\r\nFrom: "100" <sip:100@203.0.113.5>;tag=%08x\r\nTo: <sip:9011441234%06d@203.0.113.5>\r\n'
        b"Call-ID: %016x@198.51.100.7\r\nCSeq: 1 INVITE\r\nContact: <sip:100@198.51.100.7:5060>\r\n"
        b"User-Agent: bench\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n"
        % (number, number, number, number, number, len(BODY))
    ) + BODY


def ipv4(payload: bytes, protocol: int, number: int, fragment: int = 0) -> bytes:
    source = struct.pack(">I", 0x0B000000 + number // 100)
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), number & 0xFFFF, fragment, 64, protocol, 0)
    return bytes(12) + b"\x08\x00" + head + source + b"\xcb\x00\x71\x05" + payload


def udp_frames() -> Iterator[bytes]:
    for number in range(MESSAGES):
        raw = message(number)
        yield ipv4(struct.pack(">HHHH", 40000, 5060, 8 + len(raw), 0) + raw, 17, number)


def fragment_frames() -> Iterator[bytes]:
    for number in range(MESSAGES):
        raw = message(number)
        whole = struct.pack(">HHHH", 40000, 5060, 8 + len(raw), 0) + raw
        yield ipv4(whole[:400], 17, number, 0x2000)
        yield ipv4(whole[400:], 17, number, 50)


def tcp_frames() -> Iterator[bytes]:
    sequence = 0
    for number in range(MESSAGES):
        if number % 100 == 0:
            sequence = 1000
            yield ipv4(struct.pack(">HHIIHHHH", 40000, 5060, 999, 0, 0x5002, 65535, 0, 0), 6, number)
        raw = message(number)
        for part in (raw[:300], raw[300:]):
            yield ipv4(struct.pack(">HHIIHHHH", 40000, 5060, sequence, 0, 0x5018, 65535, 0, 0) + part, 6, number)
            sequence += len(part)


def write_pcap(path: Path, frames: Iterator[bytes]) -> None:
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, frame in enumerate(frames):
            file.write(struct.pack("<IIII", 1_700_000_000 + number // 1000, 0, len(frame), len(frame)) + frame)


def report(name: str, microseconds: list[float], unit: str) -> None:
    spread = f"{min(microseconds):.2f} to {max(microseconds):.2f}"
    print(f"{name:40} {statistics.median(microseconds):6.2f} us per {unit}  ({spread})")


def time_reading(path: Path, rounds: int) -> None:
    costs, reader = [], None
    for _ in range(rounds):
        with path.open("rb") as stream:
            start = time.process_time()
            reader = read_capture(stream, name=path.name, sensor="bench")
            for _ in reader:
                pass
            costs.append((time.process_time() - start) * 1e6 / max(1, reader.report.packets))
    assert reader
    report(f"read {path.name} ({reader.report.messages} messages)", costs, "packet")


def time_segments(path: Path, rounds: int) -> None:
    with path.open("rb") as stream:
        found = itertools.islice(read_capture(stream, name="x", sensor="s"), 20_000)
        observations = [replace(item, capture="", frame=0) for item in found]
    written, read = [], []
    for _ in range(rounds):
        file = io.BytesIO()
        writer = SegmentWriter(file, sensor="s")
        start = time.process_time()
        for observation in observations:
            writer.write(observation)
        written.append((time.process_time() - start) * 1e6 / len(observations))
        file.seek(0)
        start = time.process_time()
        for _ in read_segment(file):
            pass
        read.append((time.process_time() - start) * 1e6 / len(observations))
    report(f"write {path.name} as a segment", written, "observation")
    report("read it back with read_segment", read, "observation")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()} on {platform.machine()}, {arguments.rounds} rounds, median (range)")
    for path in arguments.files:
        time_reading(path, arguments.rounds)
    if arguments.files:
        return
    with tempfile.TemporaryDirectory() as folder:
        for name, frames in (("udp", udp_frames), ("tcp", tcp_frames), ("fragments", fragment_frames)):
            path = Path(folder) / f"{name}.pcap"
            write_pcap(path, frames())
            time_reading(path, arguments.rounds)
            if name != "fragments":
                time_segments(path, arguments.rounds)


if __name__ == "__main__":
    sys.exit(main())
