"""Packets to observations, agents to names, and what is refused."""

import struct
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.capture.direction import Directions
from relaytrap.hub.arrival import note_of
from relaytrap.hub.hep.reception import (
    AGENTS_MAX,
    BAD_PASSWORD,
    NOT_HEP,
    NOT_SIP,
    OTHERS,
    Agent,
    Reception,
)
from tests.hub.hep.packets import NOON_S, hep
from tests.hub.traffic import request

NOW_NS = NOON_S * 10**9


def took(packet: bytes, reception: Reception | None = None) -> "tuple[list[object], Counter[str]]":
    """The observation, if any, and what was refused."""
    refused: Counter[str] = Counter()
    taken = (reception or Reception(Directions())).take(packet, NOW_NS, refused)
    return ([taken[1]] if taken else []), refused


def test_message_keeps_its_endpoints_bytes_and_time() -> None:
    (seen,), refused = took(hep(at_s=NOON_S - 10))
    assert (seen.raw, seen.source, seen.local, seen.direction) == (request(0), "203.0.113.9", "198.51.100.1", "in")
    assert (seen.received_at_ns, seen.sensor, seen.capture) == (NOW_NS - 10 * 10**9, "hep-2001", "")
    assert not refused


def test_node_name_wins_over_the_capture_id() -> None:
    (seen,), _ = took(hep(node=b"edge-sydney"))
    assert seen.sensor == "hep-edge-sydney"


@pytest.mark.parametrize("node", [b"../../etc", b"<script>", b"a" * 60, b"-", b"\xff\xfe"])
def test_name_that_cannot_be_a_sensor_s_gives_way_to_the_capture_id(node: bytes) -> None:
    (seen,), _ = took(hep(node=node))
    assert seen.sensor == "hep-2001"


@pytest.mark.parametrize("key", [b"", b"wrong", b"secre", b"secret2"])
def test_packet_without_the_password_is_counted_and_dropped(key: bytes) -> None:
    found, refused = took(hep(key=key), Reception(Directions(), "secret"))
    assert not found
    assert refused == {BAD_PASSWORD: 1}


def test_packet_with_the_password_is_taken() -> None:
    assert took(hep(key=b"secret"), Reception(Directions(), "secret"))[0]


@pytest.mark.parametrize("order", ["<", ">"])
def test_version_2_names_its_agent_in_the_byte_order_of_its_time(order: str) -> None:
    head = struct.pack(">BBBBHH", 2, 16, 2, 17, 5060, 5060) + bytes([203, 0, 113, 9, 198, 51, 100, 1])
    (seen,), _ = took(head + struct.pack(order + "IIHH", NOON_S, 1, 46, 0) + request(0))
    assert (seen.sensor, seen.received_at_ns) == ("hep-46", NOW_NS + 1000)


def test_what_is_not_sip_is_counted() -> None:
    assert took(hep(b'{"type":"rtcp"}', kind=5)) == ([], {NOT_SIP: 1})


@pytest.mark.parametrize("at_s", [NOON_S + 3600, NOON_S - 8 * 86_400, 2**32 - 1])
def test_time_that_cannot_be_gives_way_to_that_of_arrival(at_s: int) -> None:
    (seen,), _ = took(hep(at_s=at_s))
    assert seen.received_at_ns == NOW_NS
    assert seen.notes == ("came inside HEP", note_of(at_s * 10**9))


def test_message_inside_tls_is_told_from_one_over_tcp() -> None:
    assert [took(hep(protocol=number))[0][0].transport for number in (6, 17, 22)] == ["tcp", "udp", "tls"]


def test_invented_agents_are_one_that_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    class Counted(Agent):
        def __init__(self, sensor: str, directions: Directions) -> None:
            made.append(sensor)
            super().__init__(sensor, directions)

    monkeypatch.setattr("relaytrap.hub.hep.reception.Agent", Counted)
    reception = Reception(Directions())
    for number in range(AGENTS_MAX + 50):
        took(hep(capture_id=number), reception)
    assert made.count(OTHERS) == 1


def test_invented_agents_fill_bounded_memory() -> None:
    reception = Reception(Directions())
    for number in range(AGENTS_MAX + 50):
        took(hep(capture_id=number), reception)
    assert len(reception.agents) == AGENTS_MAX + 1
    assert reception.agents[OTHERS].messages == 50


def test_response_goes_out_when_the_own_network_says_so() -> None:
    import ipaddress

    own = Reception(Directions([ipaddress.ip_network("203.0.113.0/24")]))
    (seen,), _ = took(hep(), own)
    assert (seen.direction, seen.source) == ("out", "198.51.100.1")


@given(st.binary(max_size=400))
def test_no_bytes_raise_and_none_are_taken_unless_hep(data: bytes) -> None:
    found, refused = took(data)
    assert found or sum(refused.values()) == 1


@given(st.data())
def test_damaged_packets_never_raise(data: st.DataObject) -> None:
    packet = bytearray(hep(at_s=NOON_S, node=b"n", key=b"k"))
    for _ in range(data.draw(st.integers(1, 5))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    found, refused = took(bytes(packet[: data.draw(st.integers(0, len(packet)))]))
    assert found or set(refused) <= {NOT_HEP, NOT_SIP}
