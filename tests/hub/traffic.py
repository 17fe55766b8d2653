"""Messages, captures and segments for tests of the hub."""

import io
import struct
from collections.abc import Iterable
from pathlib import Path

from relaytrap.capture import SegmentWriter
from relaytrap.observation import Observation
from tests.storing import NOON_NS

SENSOR = "198.51.100.1"


def request(
    number: int = 0,
    *,
    method: bytes = b"OPTIONS",
    user: bytes = b"100",
    source: str = "192.0.2.7",
    agent: bytes = b"friendly-scanner",
    more: bytes = b"",
) -> bytes:
    return (
        b"%b sip:%b@198.51.100.1 SIP/2.0\r\nVia: SIP/2.0/UDP %b:5060;branch=z9hG4bK-%d;rport\r\n"
        b"Max-Forwards: 70\r\nFrom: <sip:%b@198.51.100.1>;tag=t%d\r\nTo: <sip:%b@198.51.100.1>\r\n"
        b"Call-ID: call-%d\r\nCSeq: 1 %b\r\nUser-Agent: %b\r\n%bContent-Length: 0\r\n\r\n"
        % (method, user, source.encode(), number, user, number, user, number, method, agent, more)
    )


def seen(raw: bytes, number: int = 0, *, source: str = "192.0.2.7", sensor: str = "trap") -> Observation:
    """A message that came in `number` milliseconds after noon."""
    return Observation(NOON_NS + number * 1_000_000, sensor, "in", "udp", source, 5060, SENSOR, 5060, raw)


def segment(observations: Iterable[Observation], *, sensor: str = "trap", number: int = 1) -> bytes:
    """A sensor's segment as it is shipped, uncompressed."""
    data = io.BytesIO()
    writer = SegmentWriter(data, sensor=sensor, segment=number)
    for observation in observations:
        writer.write(observation)
    return data.getvalue()


def pcap(messages: Iterable[bytes], source: str = "192.0.2.7", *, begins_ns: int = NOON_NS) -> bytes:
    """A classic capture of UDP datagrams to the sensor, a millisecond apart."""
    made = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    for number, message in enumerate(messages):
        made.append(_packet(message, source, begins_ns // 1000 + number * 1000))
    return b"".join(made)


def _packet(message: bytes, source: str, at_us: int) -> bytes:
    ends = bytes(map(int, source.split("."))) + bytes(map(int, SENSOR.split(".")))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(message), 0, 0x4000, 64, 17, 0) + ends
    data = bytes(12) + b"\x08\x00" + ip + struct.pack("!HHHH", 5060, 5060, 8 + len(message), 0) + message
    return struct.pack("<IIII", at_us // 10**6, at_us % 10**6, len(data), len(data)) + data


def write_pcap(path: Path, messages: Iterable[bytes], *, begins_ns: int = NOON_NS) -> Path:
    path.write_bytes(pcap(messages, begins_ns=begins_ns))
    return path
