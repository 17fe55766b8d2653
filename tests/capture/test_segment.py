"""Reading segments back: exactly, also cut ones."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relaytrap.capture import inspect_capture, read_capture, synthesis
from relaytrap.capture.pcapng import SegmentWriter, interface_description
from relaytrap.capture.segment import MAX_JOINED, PART_COST, address_text, read_segment
from relaytrap.errors import InputError
from relaytrap.observation import Observation
from tests.capture.packets import datagram, enhanced, interface, option, pcap, request, section
from tests.capture.test_pcapng import observation, written

ADDRESSES = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).filter(lambda address: not address.ipv4_mapped).map(str),
)
OBSERVATIONS = st.builds(
    Observation,
    received_at_ns=st.integers(0, 2**63 - 1),
    sensor=st.sampled_from(["hp1", "hp 2", "\u2603"]),
    direction=st.sampled_from(["in", "out"]),
    transport=st.sampled_from(["udp", "tcp", "tls", "ws", "wss", "sctp"]),
    source=ADDRESSES,
    source_port=st.integers(0, 65535),
    local=ADDRESSES,
    local_port=st.integers(0, 65535),
    raw=st.one_of(
        st.binary(max_size=300), st.sampled_from([b"a" * 65_507, b"a" * 65_508, b"b" * 65_527, b"c" * 140_000])
    ),
    capture=st.sampled_from(["", "a.pcap"]),
    frame=st.integers(0, 2**32 - 1),
    notes=st.lists(st.text(max_size=20), max_size=3).map(tuple),
)


@given(st.lists(OBSERVATIONS, max_size=8))
def test_what_was_written_comes_back_exactly(observations):
    reader = read_segment(io.BytesIO(written(*observations)))
    assert list(reader) == observations
    assert not reader.unread


@settings(max_examples=60)
@given(st.lists(OBSERVATIONS, min_size=1, max_size=4), st.data())
def test_a_segment_cut_anywhere_gives_all_that_was_whole_and_reports_the_cut(observations, data):
    file = io.BytesIO()
    writer = SegmentWriter(file, sensor="hp1")
    ends = [writer.size]
    for item in observations:
        writer.write(item)
        ends.append(writer.size)
    # A file may end cleanly behind the description of a new interface, too, which goes before its first observation.
    described = {end + len(interface_description(item.sensor)) for end, item in zip(ends, observations, strict=False)}
    cut = data.draw(st.integers(ends[0], ends[-1]))
    whole = sum(end <= cut for end in ends) - 1
    reader = read_segment(io.BytesIO(file.getvalue()[:cut]))
    assert list(reader) == observations[:whole]
    if cut not in ends and cut not in described:
        assert reader.unread


def test_an_empty_datagram_is_an_observation():
    assert [item.raw for item in read_segment(io.BytesIO(written(observation(b""))))] == [b""]


def test_a_zone_comes_back():
    zoned = observation(source="fe80::1%eth0", local="::1%lo")
    assert list(read_segment(io.BytesIO(written(zoned)))) == [zoned]


@pytest.mark.parametrize("text", ["unknown", "", "192.0.2.256", "::1%" + "x" * 100])
def test_an_end_that_is_no_address_is_noted_and_the_message_kept(text):
    odd = observation(request(), source=text, local="192.0.2.1", notes=("said",))
    (item,) = read_segment(io.BytesIO(written(odd)))
    assert (item.source, item.local, item.raw) == ("::", "192.0.2.1", odd.raw)
    assert item.notes == ("said", "the segment names an end that is no address")


def test_an_address_in_another_form_comes_back_in_the_canonical_one():
    (item,) = read_segment(io.BytesIO(written(observation(source="2001:DB8:0::1%eth0", local="::ffff:192.0.2.1"))))
    assert (item.source, item.local) == ("2001:db8::1%eth0", "192.0.2.1")


def test_an_ipv4_source_on_an_ipv6_socket_comes_back():
    mixed = observation(source="198.51.100.7", local="2001:db8::5")
    assert list(read_segment(io.BytesIO(written(mixed)))) == [mixed]


def test_a_mapped_address_reads_as_ipv4():
    assert address_text(bytes(10) + b"\xff\xff\xc6\x33\x64\x07") == "198.51.100.7"


@pytest.mark.parametrize("data", [b"", b"not a capture", pcap([])])
def test_what_is_no_pcapng_is_refused_with_its_name(data):
    with pytest.raises(InputError, match=r"upload\.bin is not a Relaytrap segment"):
        read_segment(io.BytesIO(data), name="upload.bin")


def test_a_foreign_pcapng_is_refused_as_a_segment():
    foreign = section() + interface() + enhanced(datagram(request()), 0)
    with pytest.raises(InputError, match="relaytrap import"):
        list(read_segment(io.BytesIO(foreign)))


def test_a_segment_of_a_newer_format_is_refused():
    data = written(observation()).replace(b'"format":1', b'"format":9')
    with pytest.raises(InputError, match="format 9"):
        list(read_segment(io.BytesIO(data)))


@pytest.mark.parametrize(
    "comment", [b"relaytrap:[]", b"relaytrap:{", b"relaytrap:" + b"[" * 100_000, b"relaytrap:1", b"\xff"]
)
def test_a_hostile_comment_does_not_make_a_segment(comment):
    data = section(options=option(1, comment[:65_000])) + interface() + enhanced(datagram(request()), 0)
    with pytest.raises(InputError):
        list(read_segment(io.BytesIO(data)))


def test_a_comment_with_half_a_character_says_nothing():
    """JSON can write it, UTF-8 and with it the store cannot."""
    data = written(observation(b"abc", notes=("half \ud800",)))
    (item,) = read_segment(io.BytesIO(data))
    assert (item.raw, item.notes) == (b"abc", ())


def test_an_observation_in_packets_without_end_is_given_up():
    endless = observation(request(body=b"x" * (MAX_JOINED + 200_000)), transport="tcp")
    reader = read_segment(io.BytesIO(written(endless, observation(request()))))
    assert [item.raw for item in reader] == [request()]
    assert reader.unread["observation in more packets than any has"] == 1


def test_an_observation_in_packets_of_an_octet_is_given_up_by_what_they_take(monkeypatch):
    monkeypatch.setattr("relaytrap.capture.segment.MAX_JOINED", 100 * PART_COST)
    monkeypatch.setattr(synthesis, "most", lambda _pair, _protocol: 1)
    reader = read_segment(io.BytesIO(written(observation(b"x" * 100, transport="tcp"))))
    assert not list(reader)
    assert reader.unread["observation in more packets than any has"] == 1


def test_a_packet_nobody_wrote_is_counted_not_raised():
    data = bytearray(written(observation(b"abc"), observation(b"def")))
    at = bytes(data).find(b"\x45\x00\x00\x1f")
    data[at] = 0x99
    reader = read_segment(io.BytesIO(bytes(data)))
    assert [item.raw for item in reader] == [b"def"]
    assert reader.unread == {"packet that no SegmentWriter wrote": 1}


def test_an_imported_segment_keeps_the_sensor_and_gains_file_and_frame():
    data = written(observation(request(), sensor="hp1", transport="tls", notes=("said",)))
    (item,) = read_capture(io.BytesIO(data), name="x.pcapng", sensor="import")
    assert (item.sensor, item.capture, item.frame, item.transport) == ("hp1", "x.pcapng", 1, "tls")
    assert item.notes == ("said",)


def test_an_imported_segment_counts_a_request_cut_within_its_first_line():
    data = written(observation(b"INVITE sip:100@", notes=("cut by snaplen",)), observation(b"INVITE sip:100@"))
    report = inspect_capture(io.BytesIO(data), name="x")
    assert (report.observations, report.messages, report.methods) == (2, 1, {"INVITE": 1})


def test_an_imported_segment_counts_messages_and_the_rest_apart():
    reader = read_capture(
        io.BytesIO(written(observation(request()), observation(b"junk"), observation(b""))), name="x", sensor="s"
    )
    assert len(list(reader)) == 3
    assert (reader.report.packets, reader.report.observations, reader.report.messages) == (3, 3, 1)
