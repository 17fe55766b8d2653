"""PDUs exported by Wireshark or TShark (link type 252)."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.capture.exported import LINK_TYPE, read_exported
from tests.capture.packets import CLIENT, CLIENT_6, SERVER, SERVER_6, open_capture, packed, pcap, read_frames, request

NOTE = "came as a PDU exported from a capture"


def tag(kind: int, value: bytes) -> bytes:
    return struct.pack(">HH", kind, len(value)) + value


def number(kind: int, value: int) -> bytes:
    return tag(kind, struct.pack(">I", value))


def exported(
    payload: bytes,
    *,
    dissector: bytes = b"sip\0",
    source: str = CLIENT,
    destination: str = SERVER,
    ports: int = 3,
    frame: int = 4,
) -> bytes:
    kinds = (22, 23) if ":" in source else (20, 21)
    ends = tag(kinds[0], packed(source)) + tag(kinds[1], packed(destination))
    return (
        tag(12, dissector)
        + ends
        + b"".join((number(24, ports), number(25, 40001), number(26, 5061), number(30, frame), tag(0, b"")))
        + payload
    )


@pytest.mark.parametrize(("ports", "transport"), [(1, "sctp"), (2, "tcp"), (3, "udp")])
@pytest.mark.parametrize(("source", "destination"), [(CLIENT, SERVER), (CLIENT_6, SERVER_6)])
def test_an_exported_message_has_the_endpoints_that_its_tags_name(ports, transport, source, destination):
    packet = exported(request(1), ports=ports, source=source, destination=destination)
    (message,), reader = read_frames([packet], LINK_TYPE)
    assert (message.raw, message.transport, message.notes) == (request(1), transport, (NOTE,))
    assert (message.source, message.source_port) == (source, 40001)
    assert (message.local, message.local_port) == (destination, 5061)
    assert not reader.report.unread


def test_each_message_of_an_exported_tls_record_is_read_once_though_several_dissectors_export_it():
    record = request(1) + request(2)
    packets = [exported(record, dissector=b"sip.tcp\0", ports=2), *[exported(record, ports=2)] * 2]
    messages, reader = read_frames(packets, LINK_TYPE)
    assert [(message.raw, message.frame) for message in messages] == [(request(1), 1), (request(2), 1)]
    assert reader.report.unread == {"PDU exported again by another dissector": 2}


def test_a_retransmission_is_no_pdu_exported_again():
    messages, _ = read_frames([exported(request(1), frame=4), exported(request(1), frame=5)], LINK_TYPE)
    assert len(messages) == 2


@pytest.mark.parametrize("ports", [2, 3])
def test_an_exported_message_that_was_cut_says_so(ports):
    packet = exported(request(1), ports=ports)
    reader = open_capture(pcap([packet], link_type=LINK_TYPE, snap_length=len(packet) - 20))
    (message,) = reader
    assert message.raw == request(1)[:-20]
    assert set(message.notes) == {NOTE, "cut by snaplen"}


@pytest.mark.parametrize(
    "packet",
    [exported(b"RTSP/1.0 200 OK\r\n\r\n"), tag(12, b"sip\0") + tag(0, b"") + request(1), exported(b"")[:30], b""],
    ids=["not SIP", "no endpoints", "cut in its tags", "nothing"],
)
def test_an_exported_pdu_without_a_message_is_counted(packet):
    messages, reader = read_frames([packet], LINK_TYPE)
    assert not messages
    assert reader.report.unread == {"exported PDU that is no SIP message, or names no endpoints": 1}


@given(st.binary(max_size=80), st.integers(0, 80))
def test_any_octets_are_read_without_an_exception(octets, cut):
    read_exported(octets)
    read_exported(exported(request(1))[:cut] + octets)
