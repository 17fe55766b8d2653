"""Chance that repeats itself for the same datagram and for nothing else."""

from relaytrap.sensor.chance import Chance
from relaytrap.sensor.flow import Flow

FLOW = Flow("udp", "198.51.100.7", 5060, "203.0.113.9", 5060)


def draw(key: bytes = b"k" * 64, data: bytes = b"data", flow: Flow = FLOW) -> bytes:
    return Chance(key, data, flow)(16)


def test_same_octets_from_the_same_place_draw_the_same() -> None:
    assert draw() == draw()


def test_other_octets_place_or_key_draw_others() -> None:
    drawn = [draw(), draw(data=b"datb"), draw(key=b"l" * 64), draw(flow=FLOW._replace(source="198.51.100.8"))]
    drawn.append(draw(flow=FLOW._replace(source_port=5061)))
    assert len(set(drawn)) == len(drawn)


def test_draws_follow_one_another_without_repeating() -> None:
    chance = Chance(b"k" * 64, b"data", FLOW)
    whole = Chance(b"k" * 64, b"data", FLOW)(500)
    assert b"".join(chance(size) for size in (1, 63, 64, 100, 272)) == whole
    assert len({whole[at : at + 8] for at in range(0, 496, 8)}) == 62


def test_end_of_a_datagram_does_not_pass_for_its_source() -> None:
    """Else whoever has 1.2.3.4 would learn what is drawn for 11.2.3.4, and could prove that address."""
    near, far = FLOW._replace(source="1.2.3.4"), FLOW._replace(source="11.2.3.4")
    assert draw(data=b"data1", flow=near) != draw(data=b"data", flow=far)
