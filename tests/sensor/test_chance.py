"""Chance that repeats itself for the same datagram, for a while, and for nothing else."""

from relaytrap.sensor.chance import REPEATS_FOR_S, Chances
from relaytrap.sensor.flow import Flow

FLOW = Flow("udp", "198.51.100.7", 5060, "203.0.113.9", 5060)


def draw(key: bytes = b"k" * 64, data: bytes = b"data", flow: Flow = FLOW) -> bytes:
    return Chances(key).of(data, flow, 0.0)(16)


def test_same_octets_from_the_same_place_draw_the_same() -> None:
    assert draw() == draw()


def test_other_octets_place_or_key_draw_others() -> None:
    drawn = [draw(), draw(data=b"datb"), draw(key=b"l" * 64), draw(flow=FLOW._replace(source="198.51.100.8"))]
    drawn.append(draw(flow=FLOW._replace(source_port=5061)))
    assert len(set(drawn)) == len(drawn)


def test_same_octets_draw_others_once_a_transaction_s_life_is_over() -> None:
    chances = Chances(b"k" * 64)
    moments = (0.0, REPEATS_FOR_S, REPEATS_FOR_S + 1, 2 * REPEATS_FOR_S, 3 * REPEATS_FOR_S)
    first, again, later, still, latest = (chances.of(b"data", FLOW, now)(16) for now in moments)
    assert first == again
    assert later == still
    assert len({first, later, latest}) == 3


def test_requests_remembered_are_bounded() -> None:
    chances = Chances(b"k" * 64, kept_max=10)
    drawn = [chances.of(b"%d" % number, FLOW, 0.0)(16) for number in range(30)]
    assert len(chances) == 10
    assert chances.of(b"29", FLOW, 1.0)(16) == drawn[29]
    assert chances.of(b"0", FLOW, 1.0)(16) != drawn[0]


def test_draws_follow_one_another_without_repeating() -> None:
    chance = Chances(b"k" * 64).of(b"data", FLOW, 0.0)
    whole = Chances(b"k" * 64).of(b"data", FLOW, 0.0)(500)
    assert b"".join(chance(size) for size in (1, 63, 64, 100, 272)) == whole
    assert len({whole[at : at + 8] for at in range(0, 496, 8)}) == 62


def test_end_of_a_datagram_does_not_pass_for_its_source() -> None:
    """Else whoever has 1.2.3.4 would learn what is drawn for 11.2.3.4, and could prove that address."""
    near, far = FLOW._replace(source="1.2.3.4"), FLOW._replace(source="11.2.3.4")
    assert draw(data=b"data1", flow=near) != draw(data=b"data", flow=far)
