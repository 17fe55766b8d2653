"""read_capture and inspect_capture as a whole: kinds of file, times, frames, counts."""

import io
import os
import threading
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.capture import inspect_capture, read_capture
from relaytrap.capture.report import MAX_NAME, MAX_NAMES, OTHERS, DistinctDigests
from relaytrap.errors import InputError
from tests.capture.packets import (
    TIME_S,
    block,
    datagram,
    enhanced,
    interface,
    open_capture,
    option,
    pcap,
    read,
    request,
    response,
    section,
)
from tests.capture.test_pcapng import observation, written


def test_an_observation_says_where_it_was_found():
    (message,) = read(pcap([datagram(b"\r\n"), datagram(request(5))]))
    assert message.capture == "test.pcap"
    assert message.frame == 2
    assert message.sensor == "import"
    assert message.received_at_ns == TIME_S * 10**9 + 1000
    assert (message.transport, message.source, message.source_port) == ("udp", "198.51.100.7", 40000)
    assert (message.local, message.local_port) == ("203.0.113.5", 5060)
    assert message.raw == request(5)
    assert message.notes == ()


def test_sip_is_found_on_any_port():
    assert len(read(pcap([datagram(request(), destination_port=port) for port in (53, 1900, 5061, 9060, 65535)]))) == 5


def test_a_datagram_is_kept_whole_whatever_stands_around_the_message():
    payloads = [b"\r\n\r\n" + request(), request() + bytes(40), request(1) + request(2)]
    assert [message.raw for message in read(pcap(map(datagram, payloads)))] == payloads


def test_every_packet_is_a_message_or_counted_under_one_reason():
    frames = [datagram(payload) for payload in (request(), b"", b"\r\n", b"x", response(), b"\x80" * 20)]
    reader = open_capture(pcap([*frames, b"short", bytes(60)]))
    messages = list(reader)
    assert reader.report.packets == 8
    assert len(messages) + sum(reader.report.unread.values()) == 8


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "x.pcap is empty"),
        (b"hello world, this is text", "x.pcap is no capture"),
        (b"\xd4\xc3", "x.pcap is no capture"),
        (request(), "x.pcap is no capture"),
    ],
)
def test_what_is_no_capture_is_refused_in_a_sentence(data, said):
    with pytest.raises(InputError, match=said):
        read_capture(io.BytesIO(data), name="x.pcap", sensor="s")


def test_a_capture_without_packets_is_read():
    reader = open_capture(pcap([]))
    assert list(reader) == []
    assert not reader.report.unread


def test_a_pipe_is_read():
    ends = os.pipe()
    data = pcap([datagram(request(n)) for n in range(3000)])

    def fill():
        with os.fdopen(ends[1], "wb") as sink:
            sink.write(data)

    thread = threading.Thread(target=fill)
    thread.start()
    with os.fdopen(ends[0], "rb") as stream:
        reader = read_capture(stream, name="-", sensor="s")
        assert len(list(reader)) == 3000
    thread.join()
    assert reader.position == len(data)


def test_messages_come_out_before_a_growing_pipe_ends():
    ends = os.pipe()
    os.write(ends[1], pcap([datagram(request())]))
    with os.fdopen(ends[0], "rb") as stream:
        assert next(iter(read_capture(stream, name="-", sensor="s"))).raw == request()
    os.close(ends[1])


def test_a_packet_without_a_time_takes_that_of_the_packet_before():
    frame = datagram(request())
    simple = block(3, len(frame).to_bytes(4, "little") + frame)
    first, second = read(section() + interface() + enhanced(frame, TIME_S * 1_000_000) + simple)
    assert first.received_at_ns == second.received_at_ns == TIME_S * 10**9
    assert second.notes == ("no usable time in the capture; that of the packet before",)


def test_a_pcapng_of_several_interfaces_and_sections():
    ethernet_frame = datagram(request(1))
    raw_ip = ethernet_frame[14:]
    data = (
        section()
        + interface(1)
        + interface(101, options=option(9, b"\x09"))
        + enhanced(ethernet_frame, 1)
        + enhanced(raw_ip, 2, 1)
        + section(">")
        + interface(101, ">")
        + enhanced(raw_ip, 3, 0, ">")
    )
    assert [(message.received_at_ns, message.frame) for message in read(data)] == [(1000, 1), (2, 2), (3000, 3)]


def test_a_file_of_our_own_and_foreign_sections():
    data = written(observation(request(1), sensor="hp9")) + section() + interface() + enhanced(datagram(request(2)), 1)
    assert [(item.sensor, item.raw) for item in read(data)] == [("hp9", request(1)), ("import", request(2))]


def test_inspect_counts_what_messages_say():
    frames = [datagram(payload) for payload in (request(1), request(1, method=b"INVITE"), response(2), b"\r\n")]
    broken = request(3).replace(b"Max-Forwards: 70\r\n", b"")
    report = inspect_capture(io.BytesIO(pcap([*frames, datagram(broken)])), name="x")
    said = report.as_dict()
    assert said["packets"] == 5
    assert said["messages"] == 4
    assert said["methods"] == {"OPTIONS": 2, "INVITE": 1}
    assert said["status"] == {"200": 1}
    assert said["call_ids"] == 3
    assert said["anomalies"]["no-max-forwards"] == 1
    assert said["unread"] == {"keepalive": 1}


def test_reading_alone_parses_nothing():
    reader = open_capture(pcap([datagram(request())]))
    list(reader)
    assert not reader.report.methods
    assert not reader.report.anomalies


def test_incomplete_messages_are_not_counted_among_methods():
    from tests.capture.packets import fragments, ipv4, udp

    pieces = fragments(ipv4(udp(request(1, body=b"x" * 900))), 400)
    report = inspect_capture(io.BytesIO(pcap(pieces[:-1], link_type=101)), name="x")
    assert (report.incomplete, report.messages, report.methods) == (1, 0, {})


def test_what_the_snap_length_cut_off_is_no_fault_of_the_sender():
    data = pcap([datagram(request(1)), datagram(request(2))], snap_length=42 + request(1).index(b"CSeq") + 6)
    report = inspect_capture(io.BytesIO(data), name="x")
    assert report.methods == {"OPTIONS": 2}
    assert len(report.call_ids) == 2
    assert not report.anomalies


def test_the_method_of_a_request_cut_within_its_first_line_is_counted():
    data = pcap([datagram(request(1, method=b"INVITE")), datagram(b"what is this")], snap_length=42 + 20)
    report = inspect_capture(io.BytesIO(data), name="x")
    assert (report.messages, report.methods) == (1, {"INVITE": 1})


def test_however_many_methods_a_capture_names_few_are_told_apart():
    frames = [datagram(request(n, method=b"M%d" % n + b"x" * 500)) for n in range(MAX_NAMES + 50)]
    methods = inspect_capture(io.BytesIO(pcap(frames)), name="x").methods
    assert (len(methods), methods[OTHERS], methods.total()) == (MAX_NAMES + 1, 50, len(frames))
    assert max(map(len, methods)) == MAX_NAME


@given(st.lists(st.integers(0, 2**64 - 1).map(lambda number: number % 50 if number % 3 else number), max_size=400))
def test_distinct_digests_are_counted_as_a_set_would(digests):
    counted = DistinctDigests()
    for digest in digests:
        counted.add(digest)
    assert len(counted) == len(set(digests))
    assert bool(counted) == bool(digests)


def test_distinct_digests_take_sixteen_octets_each():
    counted = DistinctDigests()
    tracemalloc.start()
    try:
        for number in range(300_000):
            counted.add(number * 0x9E3779B97F4A7C15 % 2**64)
            counted.add(number % 1000 * 0x9E3779B97F4A7C15 % 2**64)
        assert len(counted) == 300_000
        assert tracemalloc.get_traced_memory()[1] < 300_000 * 16 + 1_000_000
    finally:
        tracemalloc.stop()


def test_a_call_id_that_may_be_cut_is_not_counted():
    data = pcap([datagram(request(123))], snap_length=42 + request(123).index(b"Call-ID") + 10)
    report = inspect_capture(io.BytesIO(data), name="x")
    assert report.methods == {"OPTIONS": 1}
    assert not report.call_ids


@given(st.binary(max_size=600))
def test_any_octets_are_refused_or_read(data):
    try:
        list(open_capture(data))
    except InputError:
        pass
