"""The fan from an origin through relays to sensors."""

from typing import Any

from relaytrap.web.pictures.fan import draw_fan
from relaytrap.web.render import environment


def edge(relay: str | None, sensor: str = "edge", requests: int = 10, association: bool = False) -> dict[str, Any]:
    return {
        "origin": "198.51.100.9",
        "relay": relay,
        "sensor": sensor,
        "requests": requests,
        "association": association,
    }


def test_request_goes_from_origin_to_relay_to_sensor() -> None:
    fan = draw_fan([edge("203.0.113.1")])
    assert [(node.role, node.name) for node in fan.nodes] == [
        ("origin", "198.51.100.9"), ("relay", "203.0.113.1"), ("sensor", "edge"),
    ]  # fmt: skip
    assert len(fan.edges) == 2


def test_direct_request_passes_the_relays_by() -> None:
    fan = draw_fan([edge(None)])
    assert [node.role for node in fan.nodes] == ["origin", "sensor"]
    assert len(fan.edges) == 1


def test_busiest_relays_stand_alone_and_the_others_together() -> None:
    fan = draw_fan([edge(f"203.0.113.{each}", requests=200 - each) for each in range(100)])
    relays = [node for node in fan.nodes if node.role == "relay"]
    (more,) = [node for node in fan.nodes if node.role == "more"]
    assert relays[0].name == "203.0.113.0"
    assert more.name == f"{100 - len(relays)} more relays"
    assert sum(node.requests for node in (*relays, more)) == sum(200 - each for each in range(100))
    assert fan.relays == 100


def test_edge_with_nothing_but_association_is_marked() -> None:
    fan = draw_fan([edge("a", association=True), edge("b"), edge("b", association=True)])
    assert [each.guest for each in fan.edges if "→ a" in each.title] == [True]
    assert [each.guest for each in fan.edges if "→ b" in each.title] == [False]


def test_width_grows_with_requests_and_never_vanishes() -> None:
    fan = draw_fan([edge("a", requests=1), edge("b", requests=100_000)])
    widths = {each.title.split(":")[0]: each.width for each in fan.edges}
    assert 0.5 < widths["198.51.100.9 → a"] < widths["198.51.100.9 → b"]


def test_nodes_stand_inside_the_picture() -> None:
    fan = draw_fan([edge(f"r{each}", sensor=f"s{each % 12}") for each in range(70)])
    assert all(0 < node.y < fan.height for node in fan.nodes)


def test_nothing_to_show_has_a_picture_all_the_same() -> None:
    assert draw_fan([]).edges == ()


def test_hostile_sensor_name_is_escaped_in_the_svg() -> None:
    template = environment().from_string('{% from "pictures/fan.svg" import fan %}{{ fan(picture) }}')
    assert "<b>" not in template.render(picture=draw_fan([edge("a", sensor="<b>\x1b")]))
