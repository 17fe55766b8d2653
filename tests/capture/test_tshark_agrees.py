"""TShark finds the same messages, in the same frames, on every link type and in every tunnel that we know."""

import subprocess

import pytest

from tests.capture.packets import (
    SYN,
    TIME_S,
    datagram,
    enhanced,
    interface,
    pcap,
    read,
    request,
    response,
    section,
    segment,
)
from tests.capture.test_linklayer import CASES
from tests.capture.test_network import TUNNELS

pytestmark = pytest.mark.peer


def capture() -> tuple[bytes, list[str]]:
    """A pcapng with one interface and one packet a case, and the cases' names in order."""
    packets = [(name, *case) for name, case in CASES.items()] + [(name, 101, data) for name, data in TUNNELS.items()]
    ticks = TIME_S * 1_000_000
    interfaces = b"".join(interface(link_type) for _, link_type, _ in packets)
    blocks = b"".join(enhanced(data, ticks + number, number) for number, (_, _, data) in enumerate(packets))
    return section() + interfaces + blocks, [name for name, _, _ in packets]


def test_tshark_finds_the_same_messages_in_the_same_frames(peer, tmp_path):
    data, names = capture()
    path = tmp_path / "all.pcapng"
    path.write_bytes(data)
    fields = ("-T", "fields", "-e", "frame.number", "-e", "ip.src", "-e", "ipv6.src", "-e", "sip.Method")
    shown = subprocess.run(
        [peer("tshark"), "-n", "-r", path, "-Y", "sip", *fields], capture_output=True, text=True, check=True
    )
    found = {}
    for line in shown.stdout.splitlines():
        frame, *rest = line.split("\t")
        found[names[int(frame) - 1]] = rest
    ours = {names[message.frame - 1]: message.source for message in read(data)}
    assert set(ours) == set(names)
    assert set(found) == set(names)
    for name, source in ours.items():
        # With tunnels TShark lists the addresses of all layers, the innermost last.
        assert source in ",".join(found[name]).split(","), name


def test_what_tshark_exports_is_read_as_the_capture_itself(peer, tmp_path):
    packets = [datagram(request(1)), datagram(response(2)), segment(b"", 999, flags=SYN), segment(request(3), 1000)]
    packets.append(segment(request(4, method=b"INVITE", body=b"v=0\r\n"), 1000 + len(request(3))))
    path, exported = tmp_path / "all.pcap", tmp_path / "exported.pcapng"
    path.write_bytes(pcap(packets))
    command = [peer("tshark"), "-n", "-r", path, "-U", "OSI layer 7", "-w", exported]
    subprocess.run(command, capture_output=True, check=True)

    def seen(data: bytes) -> list[tuple[str, str, int, bytes]]:
        return [(each.transport, each.source, each.source_port, each.raw) for each in read(data)]

    assert seen(exported.read_bytes()) == seen(path.read_bytes())
