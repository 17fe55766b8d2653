"""Segments in, one message out, and the same segments again; any bytes in, segments or one sentence out."""

import os
import zlib
from contextlib import suppress

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from relaytrap.errors import InputError
from relaytrap.hub import parcel as parcels
from relaytrap.hub.parcel import PARCEL_BYTES, Parcel, Segment, inflated, pack, token_of, unpack
from tests.storing import NOON_NS

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
segments = st.builds(Segment, names, names, st.integers(0, 2**63 - 1), st.binary(max_size=300))


def parcel(*contents):
    return Parcel(tuple(map(pack, contents)))


def forged(entries, rest):
    return msgspec.json.encode(entries) + b"\n" + rest


def entry(size, **given):
    return {"sensor": "trap", "spool": "s", "number": 1, "bytes": size, **given}


@given(st.lists(segments, min_size=1, max_size=8))
def test_what_was_put_in_comes_out(given):
    made = parcel(*given)
    assert unpack(made.payload, NOON_NS) == given
    assert len(made.payload) <= sum(each.weight for each in made.contents)


@given(segments)
def test_a_segment_alone_is_as_large_as_it_says_and_keeps_its_token(given):
    made = parcel(given)
    assert len(made.payload) == made.contents[0].size
    assert made.token == given.token


@given(st.lists(segments, min_size=2, max_size=8))
def test_a_token_follows_from_the_contents_and_their_order(given):
    assert parcel(*given).token == parcel(*given).token == token_of([each.token for each in given])
    assert (parcel(*given).token == parcel(*given[::-1]).token) == (given == given[::-1])


@given(st.binary(max_size=200))
@example(b"")
@example(b"[]\n")
@example(b"{}\n")
@example(b"\xff\n")
@example(b"[" * 10_000)
def test_any_bytes_are_segments_or_refused(data):
    with suppress(InputError):
        unpack(data, NOON_NS)


@given(st.lists(segments, min_size=1, max_size=4), st.data())
def test_a_parcel_that_was_damaged_gives_segments_or_is_refused(given, data):
    payload = bytearray(parcel(*given).payload)
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] ^= data.draw(st.integers(1, 255))
    with suppress(InputError):
        unpack(bytes(payload), NOON_NS)


@pytest.mark.parametrize(
    "payload",
    [
        forged([entry(9)], zlib.compress(b"")),
        forged([entry(8), entry(8)], zlib.compress(b"")),
        forged([entry(-1), entry(9)], zlib.compress(b"")),
        forged([entry(8, number=-1)], zlib.compress(b"")),
        forged([entry(8, sensor=7)], zlib.compress(b"")),
        forged([entry(4)], zlib.compress(b"")[:4]),
        forged([entry(9)], zlib.compress(b"") + b"x"),
        forged([entry(1 << 70)], b""),
        parcel(Segment("trap", "s", 1, b"abc")).payload[:-1],
        parcel(Segment("trap", "s", 1, b"abc")).payload + b"x",
    ],
)
def test_a_first_line_that_does_not_fit_what_follows_is_refused(payload):
    with pytest.raises(InputError):
        unpack(payload, NOON_NS)


def test_a_parcel_inflates_to_no_more_than_a_sensor_may_ship(monkeypatch):
    monkeypatch.setattr(parcels, "INFLATED_MAX", 1000)
    monkeypatch.setattr(parcels.inflated, "__defaults__", (1000,))
    half = zlib.compress(bytes(600))
    assert len(unpack(forged([entry(len(half))], half), NOON_NS)) == 1
    with pytest.raises(InputError, match="larger than"):
        unpack(forged([entry(len(half)), entry(len(half))], half + half), NOON_NS)
    assert pack(Segment("trap", "s", 1, bytes(1001))) is None


def test_what_deflates_well_fills_a_parcel_as_well():
    alike, noise = (pack(Segment("trap", "s", 1, data)) for data in (bytes(1 << 20), os.urandom(1 << 17)))
    assert alike.weight == PARCEL_BYTES // 8
    assert PARCEL_BYTES // 8 < noise.weight < PARCEL_BYTES // 8 + 200


def test_inflating_stops_at_the_limit():
    with pytest.raises(InputError, match="larger than"):
        inflated(zlib.compress(bytes(2_000_000)), 1_000_000)


def test_inflating_a_cut_body_is_refused():
    with pytest.raises(InputError, match="cut short"):
        inflated(zlib.compress(b"abc" * 100)[:-4], 1_000)


def test_inflating_gives_the_bytes_back_at_exactly_the_limit():
    assert inflated(zlib.compress(b"x" * 1_000), 1_000) == b"x" * 1_000
