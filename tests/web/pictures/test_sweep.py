"""The sweep chart."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.web.pictures.sweep import draw_sweep
from relaytrap.web.render import environment


def row(second: int, number: int | None = None, *, relay: str | None = "203.0.113.1", **more: Any) -> dict[str, Any]:
    stamp = (
        f"2026-01-{1 + second // 86_400:02d}T{second % 86_400 // 3600:02d}:{second % 3600 // 60:02d}:{second % 60:02d}"
    )
    made = {
        "message": f"{second:016x}", "received_at": f"{stamp}.000000000Z", "target": str(number or "target"),
        "number": number, "relay": relay, "sensor": "edge", "method": "REGISTER", "association": False,
    }  # fmt: skip
    return made | more


def test_sweep_is_a_diagonal() -> None:
    points = draw_sweep([row(each * 10, 100 + each) for each in range(50)]).points
    for earlier, later in itertools.pairwise(points):
        assert later.x > earlier.x
        assert later.y < earlier.y


def test_idle_time_is_cut_out_so_that_each_day_is_a_diagonal() -> None:
    rows = [row(day * 86_400 + each * 60, 100 + each) for day in range(3) for each in range(60)]
    chart = draw_sweep(rows)
    assert len(chart.cuts) == 2
    widths = [
        max(p.x for p in part) - min(p.x for p in part) for part in (chart.points[n : n + 60] for n in (0, 60, 120))
    ]
    assert min(widths) > 25


def test_slow_campaign_without_rest_is_not_cut() -> None:
    assert draw_sweep([row(each * 3600, 100 + each) for each in range(200)]).cuts == ()


def test_colour_tells_relays_apart_and_shape_sensors() -> None:
    rows = [row(1, 1, relay="a", sensor="x"), row(2, 2, relay="b", sensor="y"), row(3, 3, relay=None, sensor="x")]
    points = draw_sweep(rows).points
    assert [point.colour for point in points] == [0, 1, -1]
    assert [point.shape for point in points] == [0, 1, 0]


def test_member_by_association_is_marked_and_counted() -> None:
    chart = draw_sweep([row(1, 1), row(2, 2, association=True)])
    assert [point.guest for point in chart.points] == [False, True]
    assert chart.guests == 1


def test_names_get_a_line_each_and_rare_ones_are_left_out() -> None:
    rows = [row(each, target=f"user{each % 40}") for each in range(200)] + [row(900, target="user0")]
    chart = draw_sweep(rows)
    assert chart.what == "target"
    assert len(chart.up) == 28
    assert chart.left_out == 201 - len(chart.points)


def test_nothing_tried_draws_nothing() -> None:
    assert draw_sweep([]).points == ()


def test_hostile_target_is_escaped_in_the_svg() -> None:
    template = environment().from_string('{% from "pictures/sweep.svg" import sweep %}{{ sweep(chart) }}')
    made = template.render(chart=draw_sweep([row(1, target='"><script>\x1b'), row(2, target="b")]))
    assert "<script>" not in made
    assert "\x1b" not in made


@pytest.mark.parametrize("count", [1, 2, 500])
def test_every_point_stands_inside_the_picture(count: int) -> None:
    chart = draw_sweep([row(each * 7, 100 + each % 900) for each in range(count)])
    assert all(0 <= point.x <= 100 and 0 <= point.y <= chart.height for point in chart.points)


@given(st.lists(st.tuples(st.integers(0, 2_000_000), st.none() | st.integers(0, 10**9)), max_size=60))
def test_any_requests_give_a_picture_in_its_frame(requests: list[tuple[int, int | None]]) -> None:
    chart = draw_sweep([row(second, number) for second, number in requests])
    assert all(0 <= point.x <= 100.001 and -0.1 <= point.y <= chart.height for point in chart.points)
    assert all(0 <= tick.at <= 100 for tick in chart.across)
