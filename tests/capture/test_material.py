"""Stored captures: every message by its SHA-256 where the truth is known by construction, counts where TShark counted.

TShark is a second opinion; the stored captures it was wrong about are those known by construction.
"""

import json
from collections import Counter
from hashlib import sha256

import pytest

from relaytrap.capture import ReadOptions, inspect_capture, read_capture
from relaytrap.observation import Observation
from relaytrap.sip import parse_message

pytestmark = pytest.mark.material


@pytest.fixture
def read(material):
    """Observations and report of a stored capture."""

    def read_file(name: str, folder: str = "hard"):
        with (material / folder / name).open("rb") as stream:
            reader = read_capture(stream, name=name, sensor="import", options=ReadOptions())
            return list(reader), reader.report

    return read_file


@pytest.fixture
def expected(material):
    def load(name: str):
        return json.loads((material / "truth/hard" / f"{name}.expected.json").read_text())

    return load


def digest(message: Observation) -> str:
    return sha256(message.raw).hexdigest()


def sent_by(message: Observation) -> str:
    """The packet's source address."""
    return message.source if message.direction == "in" else message.local


ONE_A_PACKET = [
    "bigendian.pcap",
    "link_raw101.pcap",
    "link_sll113.pcap",
    "nanosecond.pcap",
    "vlan.pcap",
    "torture_udp.pcap",
]


@pytest.mark.parametrize("name", ONE_A_PACKET)
def test_each_packet_is_the_message_it_was_made_from(read, expected, name):
    truth = expected(name)
    messages, report = read(name)
    assert [(digest(m), sent_by(m), m.frame) for m in messages] == [
        (m["sha256"], m["source"], number) for number, m in enumerate(truth["messages"], 1)
    ]
    assert report.packets == report.messages == truth["packets"]


@pytest.mark.parametrize("name", ["ipv4_fragments.pcap", "ipv6_fragments.pcap"])
def test_fragments(read, expected, name):
    truth = expected(name)
    messages, report = read(name)
    whole = {(digest(m), sent_by(m)) for m in messages if not m.notes}
    assert whole == {(m["sha256"], m["source"]) for m in truth["messages"] if m["complete"]}
    assert (report.packets, report.messages) == (truth["packets"], truth["complete_messages"])
    partial = {m.source: m for m in messages if m.notes}
    for lost in (m for m in truth["messages"] if not m["complete"]):
        if lost["mode"] == "last_missing":
            assert partial.pop(lost["source"]).raw.startswith(lost["start_line"].encode())
    assert not partial


def test_tcp_streams(read, expected):
    truth = expected("tcp_streams.pcap")
    messages, report = read("tcp_streams.pcap")
    assert (report.packets, report.messages, report.incomplete) == (truth["packets"], truth["complete_messages"], 1)
    for flow in truth["flows"]:
        got = [m for m in messages if flow["port"] in (m.source_port, m.local_port)]
        whole = [digest(m) for m in got if "TCP gap within this" not in m.notes]
        lost = len(flow["messages"]) - flow["complete_messages"]
        wanted = [m["sha256"] for m in flow["messages"]]
        assert whole == wanted[: len(wanted) - lost], flow["case"]
        assert len(got) - len(whole) == lost, flow["case"]
        assert {sent_by(m) for m in got} == {flow["source"]}


def test_odd_datagrams(read, expected):
    truth = expected("odd_datagrams.pcap")
    messages, report = read("odd_datagrams.pcap")
    wanted = [d for d in truth["datagrams"] if d["messages"]]
    assert [(m.frame, digest(m)) for m in messages] == [(d["packet"], d["payload_sha256"]) for d in wanted]
    for message, datagram in zip(messages, wanted, strict=True):
        assert datagram["messages"][0]["start_line"].encode() in message.raw
    assert report.messages == truth["sip_messages"]
    assert sum(report.unread.values()) == truth["packets"] - truth["sip_messages"]


def test_messages_in_noise(read, expected):
    truth = expected("noise_100k.pcap")
    messages, report = read("noise_100k.pcap")
    assert [(m.frame, digest(m), sent_by(m)) for m in messages] == [
        (m["packet"], m["sha256"], m["source"]) for m in truth["messages"]
    ]
    assert report.packets == truth["packets"]
    assert report.messages + sum(report.unread.values()) == truth["packets"]


def test_messages_cut_by_the_snap_length(read, expected):
    truth = expected("snaplen_128.pcap")
    messages, report = read("snaplen_128.pcap")
    assert report.messages == truth["packets"]
    for message, wanted in zip(messages, truth["messages"], strict=True):
        assert wanted["cut"] == ("cut by snaplen" in message.notes)
        assert len(message.raw) == wanted["bytes_kept"]
        assert message.raw.startswith(wanted["start_line"].encode()[: len(message.raw)])


def test_a_pcapng_of_two_interfaces_and_two_sections(read, expected):
    truth = expected("pcapng_two_interfaces_two_sections.pcapng")
    messages, _ = read("pcapng_two_interfaces_two_sections.pcapng")
    for message, wanted in zip(messages, truth["messages"], strict=True):
        assert (digest(message), sent_by(message)) == (wanted["sha256"], wanted["source"])
        if wanted["time"] is not None:
            assert message.received_at_ns == int(wanted["time"] * 10**9)
        else:
            assert message.notes


def test_a_truncated_file(read, expected):
    truth = expected("truncated_file.pcap")
    messages, report = read("truncated_file.pcap")
    assert len(messages) == report.packets == truth["complete_packets"]
    assert report.unread == {"file ends inside a packet": 1}


def test_a_hep_datagram(read, expected):
    (message,), _ = read("hep_udp9060.pcap")
    assert digest(message) == expected("hep_udp9060.pcap")["inner"]["sha256"]


def test_a_raw_hep_packet(read, material):
    truth = json.loads((material / "truth/hep.json").read_text())
    (message,), _ = read("hep3_options_200.bin", "raw/hep")
    assert f"{message.local}:{message.local_port}" == truth["src"]  # a response comes from the local side
    assert f"{message.source}:{message.source_port}" == truth["dst"]
    assert parse_message(message.raw).headers.get(b"call-id") == truth["call_id"].encode()


def test_a_honeypot_log_as_datagrams(material, expected):
    truth = expected("honeynet2010_log_derived.pcap")
    with (material / "hard/honeynet2010_log_derived.pcap").open("rb") as stream:
        report = inspect_capture(stream, name="log")
    assert report.methods == truth["methods"]
    assert report.messages == report.packets == truth["packets"]


def test_requests_through_an_open_relay(read, expected):
    truth = expected("open_relay_lab.pcap")
    messages, _ = read("open_relay_lab.pcap")
    requests = [m for m in messages if m.direction == "in"]
    assert [f"{m.source}:{m.source_port}" for m in requests] == [case["packet_source"] for case in truth["cases"]]
    assert {m.local for m in messages} == {truth["honeypot"]}
    for message, case in zip(requests, truth["cases"], strict=True):
        assert message.raw.startswith(case["start_line"].encode())


@pytest.mark.parametrize("scene", ["lab-open", "lab-open100"])
def test_every_labelled_request_of_a_scene(read, material, scene):
    truth = json.loads((material / f"{scene}.json").read_text())
    for name, capture in truth["pcaps"].items():
        messages, _ = read(name, ".")
        by_frame = {m.frame: m for m in messages}
        for label in capture["requests"]:
            message = by_frame[label["frame"]]
            assert (message.source, message.source_port, message.transport) == (
                label["src"],
                label["sport"],
                label["proto"],
            )
            assert message.direction == "in"
            assert message.raw.startswith(label["method"].encode())
            assert message.local in capture["addresses"]


def test_captures_that_tshark_counted(material):
    for path in sorted((material / "pcap").iterdir()):
        truth = json.loads((material / "truth/pcap" / f"{path.name}.json").read_text())
        with path.open("rb") as stream:
            report = inspect_capture(stream, name=path.name)
        assert (
            report.packets,
            report.messages,
            Counter(report.methods),
            Counter(report.status),
            len(report.call_ids),
        ) == (
            truth["packets"],
            truth["sip_messages"],
            Counter(truth["methods"]),
            Counter(truth["status"]),
            truth["distinct_call_ids"],
        ), path.name


def test_the_same_capture_as_pcap_and_as_pcapng_gives_the_same_observations(read):
    one, _ = read("isa_sip.pcap", "pcap")
    two, _ = read("isa_sip.pcap.pcapng", "pcap")
    assert [(m.raw, m.source, m.frame, m.received_at_ns) for m in one] == [
        (m.raw, m.source, m.frame, m.received_at_ns) for m in two
    ]
