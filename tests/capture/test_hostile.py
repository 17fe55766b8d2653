"""Damage anywhere in any kind of capture: never an exception, never more than the file can hold."""

import gzip
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relaytrap.capture import ReadOptions
from relaytrap.errors import InputError
from tests.capture.packets import open_capture, pcap, read_frames
from tests.capture.scenes import captures, frames

CAPTURES = captures()
EDITS = st.lists(
    st.tuples(
        st.integers(0, 1 << 20), st.sampled_from(["set", "insert", "delete", "copy"]), st.binary(min_size=1, max_size=8)
    ),
    min_size=1,
    max_size=12,
)


def edited(data: bytes, edits) -> bytes:
    out = bytearray(data)
    for place, how, octets in edits:
        at = place % (len(out) + 1)
        if how == "set":
            out[at : at + len(octets)] = octets
        elif how == "insert":
            out[at:at] = octets
        elif how == "delete":
            del out[at : at + len(octets) * 3]
        else:
            out[at:at] = out[at // 2 : at // 2 + 64]
    return bytes(out)


def consume(data: bytes) -> int:
    try:
        return sum(len(message.raw) for message in open_capture(data, ReadOptions(max_held_bytes=1 << 16)))
    except InputError as error:
        return len(str(error))


@pytest.mark.parametrize("kind", CAPTURES)
def test_the_scene_itself_is_read_without_loss(kind):
    reader = open_capture(CAPTURES[kind])
    assert len(list(reader)) == {"pcap": 18, "pcapng": 18, "segment": 3, "hep": 5}[kind]


@settings(max_examples=150)
@given(st.sampled_from(sorted(CAPTURES)), EDITS)
def test_an_edited_capture_never_raises(kind, edits):
    consume(edited(CAPTURES[kind], edits))


@settings(max_examples=60)
@given(st.integers(0, len(frames()) - 1), EDITS, st.sampled_from([0, 1, 9, 51, 101, 104, 108, 113, 117, 228, 276]))
def test_an_edited_packet_on_any_link_never_raises(number, edits, link_type):
    packets = frames()
    packets[number] = edited(packets[number], edits)
    read_frames(packets, link_type)


@settings(max_examples=30)
@given(EDITS)
def test_an_edited_compressed_capture_never_raises(edits):
    consume(edited(gzip.compress(CAPTURES["pcap"]), edits))


@settings(max_examples=60)
@given(st.randoms(use_true_random=False))
def test_packets_in_any_order_lose_no_datagram(chance):
    packets = frames()
    chance.shuffle(packets)
    messages, _ = read_frames(packets)
    assert sum(message.transport == "udp" for message in messages) == 11


def test_what_streams_and_fragments_hold_stays_within_its_bound():
    """A hundred times the bound goes through; held octets are asked of the reader's own account after each packet."""
    chance = random.Random(1)
    bound = 1 << 16
    packets = []
    for _ in range(9000):
        packet = bytearray(chance.choice(frames()[3:30]))
        packet[26:38] = chance.randbytes(12)  # another flow or datagram each time
        packets.append(bytes(packet))
    reader = open_capture(pcap(packets), ReadOptions(max_held_bytes=bound))
    held = 0
    for _ in reader:
        held = max(held, reader.held)
    assert 0 < held <= bound * 2
