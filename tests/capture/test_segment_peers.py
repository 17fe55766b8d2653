"""Other people's programs open our segments and decode every SIP message in them."""

import io
import itertools
import subprocess

import pytest

from relaytrap.capture.pcapng import SegmentWriter
from relaytrap.observation import Observation
from tests.capture.packets import request, response

pytestmark = pytest.mark.peer

CASES = list(
    itertools.product(
        ("udp", "tcp", "tls", "ws", "wss"),
        (("198.51.100.7", "203.0.113.5"), ("2001:db8::7", "2001:db8::5")),
    )
)


def conversation() -> list[Observation]:
    """For each transport and family: requests in, answers out, one message over 64 KiB, junk and a broken message."""
    observations: list[Observation] = []
    call_id = itertools.count(1)

    def add(transport, source, port, local, direction, raw):
        moment = 1_700_000_000_000_000_000 + len(observations) * 1000
        local_port = {"tls": 5061, "ws": 8080, "wss": 443}.get(transport, 5060)
        observations.append(Observation(moment, "hp1", direction, transport, source, port, local, local_port, raw))

    for port, (transport, (source, local)) in enumerate(CASES, 50_000):
        for _ in range(2):
            number = next(call_id)
            add(transport, source, port, local, "in", request(number))
            add(transport, source, port, local, "out", response(number))
        add(transport, source, port, local, "in", b"\x00\x01junk")
        add(transport, source, port, local, "in", b"")
        size = 64_000 if transport == "udp" else 100_000
        add(transport, source, port, local, "in", request(next(call_id), method=b"MESSAGE", body=b"m" * size))
        if transport != "udp":
            add(transport, source, port, local, "in", request(9999, body=b"cut", length=4000)[:-1])
        add(transport, source, port, local, "in", request(next(call_id)))
    return observations


@pytest.fixture
def segment(tmp_path):
    file = io.BytesIO()
    writer = SegmentWriter(file, sensor="hp1", segment=1)
    for item in conversation():
        writer.write(item)
    path = tmp_path / "segment.pcapng"
    path.write_bytes(file.getvalue())
    return path


SNGREP_MOST = 10_240
"""sngrep reads no larger message, wherever it comes from."""


def call_ids(largest: int = 1 << 30) -> list[str]:
    """Of all messages up to that size, broken ones included."""
    return [
        item.raw.split(b"Call-ID: ")[1].split(b"\r\n")[0].decode()
        for item in conversation()
        if b"Call-ID" in item.raw and len(item.raw) <= largest
    ]


def tshark(peer, path, *arguments):
    done = subprocess.run([peer("tshark"), "-n", "-r", path, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


def test_tshark_decodes_every_message_in_order_of_arrival(peer, segment):
    shown = tshark(peer, segment, "-Y", "sip", "-T", "fields", "-e", "sip.Call-ID")
    assert shown.split() == call_ids()


def test_tshark_finds_every_length_and_checksum_valid(peer, segment):
    checks = [f"-o{protocol}.check_checksum:TRUE" for protocol in ("ip", "udp", "tcp")]
    wrong = "ip.checksum.status == 0 || udp.checksum.status == 0 || tcp.checksum.status == 0 || tcp.analysis.flags"
    assert tshark(peer, segment, *checks, "-Y", wrong) == ""


def test_tshark_shows_directions_and_what_the_wire_carried(peer, segment):
    fields = ("-T", "fields", "-e", "frame.packet_flags_direction", "-e", "frame.comment")
    lines = tshark(peer, segment, "-Y", "sip && tcp.port==5061", *fields).splitlines()
    assert lines[0].split("\t")[0] in ("1", "0x00000001", "0x1")
    assert lines[1].split("\t")[0] in ("2", "0x00000002", "0x2")
    assert all("inside TLS" in line and '"transport":"tls"' in line for line in lines)


def test_sngrep_reads_the_same_messages_back(peer, segment, tmp_path):
    """sngrep stores what it understood as SIP; TShark counts that."""
    stored = tmp_path / "sngrep.pcap"
    subprocess.run(
        [peer("sngrep"), "-F", "-N", "-q", "-I", segment, "-O", stored],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    shown = tshark(peer, stored, "-Y", "sip", "-T", "fields", "-e", "sip.Call-ID").split()
    assert sorted(shown, key=int) == sorted(call_ids(SNGREP_MOST), key=int)
