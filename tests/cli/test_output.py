import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.cli.output import csv_cell, emit, for_terminal
from relaytrap.sip.text import ACTING

COLUMNS = (("value", "value"),)
DOORS = {"table": {}, "json": {"as_json": True}, "csv": {"as_csv": True}}


def printed(capsys, value, **door):
    emit([{"value": value}], COLUMNS, **{"as_json": False, "as_csv": False, **door})
    return capsys.readouterr().out


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "payload",
    [
        "\x1b[31mred",
        "\x1b]0;title\x07",
        "a\x00b",
        "a\u202eb",
        "\u2066x\u2069",
        "\x9b31m",
        "a\rb",
        "a\u2028b",
        "\ufeff",
        "\x7f",
    ],
)
def test_no_door_lets_controls_and_direction_marks_through(capsys, door, payload):
    assert not ACTING.search(printed(capsys, payload, **DOORS[door]).replace("\n", "").replace("\r", ""))


@pytest.mark.parametrize(
    "payload", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1+1", '=cmd|"/c calc"!A1']
)
def test_a_spreadsheet_gets_no_formula(capsys, payload):
    (_, (cell,)) = csv.reader(io.StringIO(printed(capsys, payload, as_csv=True)))
    assert cell.startswith("'")


def test_numbers_stay_numbers_in_csv(capsys):
    assert printed(capsys, -5, as_csv=True).split() == ["value", "-5"]


def test_truth_is_written_alike_in_csv_and_json(capsys):
    assert printed(capsys, True, as_csv=True).split() == ["value", "true"]
    assert printed(capsys, False, as_json=True) == '{"value": false}\n'


def test_json_gives_back_the_exact_text(capsys):
    text = "<script>\x1b[31m\u202e\x00é"
    shown = printed(capsys, text, as_json=True)
    assert shown.isascii()
    assert json.loads(shown) == {"value": text}


def test_one_row_is_one_line_whatever_it_holds(capsys):
    for door in DOORS.values():
        assert len(printed(capsys, "a\nb\r\nc", **door).splitlines()) <= 2


def test_very_long_text_is_cut_on_the_terminal_and_says_so():
    shown = for_terminal("x" * 65_000)
    assert len(shown) < 250
    assert shown.endswith("… (65000)")


def test_lists_read_as_words_on_the_terminal_and_as_json_in_csv():
    assert for_terminal(["a", "b\x1b"]) == "a, b\\x1b"
    assert csv_cell(["a", "b"]) == '["a", "b"]'


def test_a_moment_reads_to_the_second_on_the_terminal(capsys):
    for key in ("first_seen", "started", "since", "heard"):
        emit([{key: "2026-11-22T07:37:00.038692008Z"}], ((key, key),), as_json=False, as_csv=False)
        assert capsys.readouterr().out.split()[1:] == ["2026-11-22", "07:37:00"]


def test_a_share_reads_as_percent_on_the_terminal_and_stays_a_number_elsewhere(capsys):
    for share, read in ((1.0, "100.0%"), (0.897, "89.7%"), (0.0, "<0.1%"), (None, "")):
        emit([{"coverage": share}], (("coverage", "coverage"),), as_json=False, as_csv=False)
        assert capsys.readouterr().out.split()[1:] == read.split()
    emit([{"coverage": 0.897}], (), as_json=True, as_csv=False)
    assert json.loads(capsys.readouterr().out) == {"coverage": 0.897}


@pytest.mark.parametrize("both", [("--json", "--csv"), ("--csv", "--json")])
def test_two_forms_at_once_are_refused(run, data, both):
    shown = run("--data", data, "messages", *both)
    assert (shown.status, shown.out) == (2, "")
    assert "--json and --csv exclude each other" in shown.err


def test_nothing_found_is_said(capsys):
    emit([], COLUMNS, as_json=False, as_csv=False, empty="no messages")
    assert capsys.readouterr().out == "no messages\n"


@given(st.text(max_size=80))
def test_every_text_is_safe_in_every_cell(text):
    assert not ACTING.search(csv_cell(text))
    assert not ACTING.search(for_terminal(text))
    assert not csv_cell(text).lstrip(" ").startswith(("=", "+", "-", "@"))


def test_what_is_wrong_with_a_sensor_reads_as_sentences_on_the_terminal(capsys):
    emit([{"incidents": ["It lost 3.", "Its clock\x1b is off."]}], (("incidents", ""),), as_json=False, as_csv=False)
    assert capsys.readouterr().out.strip() == r"It lost 3. Its clock\x1b is off."
