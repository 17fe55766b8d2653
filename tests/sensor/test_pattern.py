"""Values made anew each time."""

import base64
import re

import pytest

from relaytrap.sensor.pattern import Pattern
from tests.sensor.talk import START_NS, CountingChance


def make(text: str, **given: bytes) -> bytes:
    return Pattern(text).make(CountingChance(), START_NS, given)


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("as{hex:8}", rb"as[0-9a-f]{8}"),
        ("{HEX:7}-{HEX:4}", rb"[0-9A-F]{7}-[0-9A-F]{4}"),
        ("1c{dec:9}", rb"1c[1-9][0-9]{8}"),
        ("{alnum:5}", rb"[0-9A-Za-z]{5}"),
        ("{uuid}", rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"),
        ("{time}/x", rb"1767225600/x"),
        ("no field", rb"no field"),
    ],
)
def test_fields_have_their_shape(text: str, shape: bytes) -> None:
    assert re.fullmatch(shape, make(text))


def test_kamailio_s_nonce_holds_its_own_times() -> None:
    packed = base64.b64decode(make("{expiry_b64:300}"))
    assert len(packed) == 24
    assert int.from_bytes(packed[:4], "big") - int.from_bytes(packed[4:8], "big") == 300


def test_uptime_counts_milliseconds_from_the_start() -> None:
    assert make("{uptime}", started_ms=b"%d" % (START_NS // 1_000_000 - 255)) == b"FF"


def test_other_names_are_given_by_the_caller() -> None:
    assert make("<{branch}>", branch=b"z9") == b"<z9>"
    with pytest.raises(KeyError):
        make("{nowhere}")


def test_random_bits_tell_how_much_nobody_can_guess() -> None:
    assert Pattern("as{hex:8}").random_bits == 32
    assert Pattern("{time}-{branch}").random_bits == 0
