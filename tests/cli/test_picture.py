"""Pictures for a terminal."""

from hypothesis import given
from hypothesis import strategies as st

from relaytrap.cli.picture import dot_chart

NUMBERS = st.floats(min_value=-1e12, max_value=1e12)


def test_rising_line_goes_from_lower_left_to_upper_right() -> None:
    lines = dot_chart([(n, n) for n in range(100)], width=10, height=5)
    assert lines[0][-1] != "⠀"
    assert lines[-1][0] != "⠀"
    assert lines[0][0] == lines[-1][-1] == "⠀"


def test_no_points_no_picture() -> None:
    assert dot_chart([]) == []


@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=50))
def test_any_points_fit_the_frame(points: list[tuple[float, float]]) -> None:
    lines = dot_chart(points, width=20, height=4)
    assert [len(line) for line in lines] == [20] * 4
    assert any(char != "⠀" for line in lines for char in line)
