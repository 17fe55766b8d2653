import re

import pytest

from relaytrap.cli.table import LESSER, Column, print_table

STYLE = re.compile(r"\x1b\[[0-9;]*m")
ROW = {
    "address": "198.18.4.249",
    "asn": "64497",
    "as_name": "Example Telephone Company of the United States",
    "kind": "stateful",
    "product": "Kamailio (by its branches)",
    "messages": "39",
    "confidence": "99",
    "first_seen": "2026-11-19 21:19:52",
    "last_seen": "2026-11-22 09:49:50",
}


def shown(capsys, width, rows=(ROW,)):
    columns = [Column(key, key, [row[key] for row in rows], key in ("messages", "confidence")) for key in rows[0]]
    print_table(columns, width)
    return [line.rstrip() for line in STYLE.sub("", capsys.readouterr().out).splitlines()]


@pytest.mark.parametrize("width", [30, 40, 60, 80, 100, 120, 160])
def test_no_value_is_cut_however_narrow_the_terminal_is(capsys, width):
    lines = shown(capsys, width)
    assert max(map(len, lines)) <= width
    read = "".join("".join(lines).split())
    for key, value in ROW.items():
        assert "".join(value.split()) in read or key == "as_name", key
    assert all(word in "\n".join(lines) for word in ROW["as_name"].split())


def test_first_column_folds_where_even_that_is_too_wide(capsys):
    lines = shown(capsys, 8)
    assert max(map(len, lines)) <= 8
    assert "198.18.4.249" in "".join(lines)


def test_what_tells_least_stands_beneath_its_row_where_there_is_no_room(capsys):
    heading, row, *beneath = shown(capsys, 80)
    assert heading.split()[0] == "address"
    assert row.startswith("198.18.4.249")
    assert "first_seen 2026-11-19 21:19:52" in " ".join(each.strip() for each in beneath)
    assert all(each.startswith("  ") for each in beneath)


def test_a_wide_terminal_has_one_line_a_row(capsys):
    assert len(shown(capsys, 200)) == 2
    assert len(shown(capsys, None)) == 2


def test_the_columns_of_all_rows_are_one_below_the_other(capsys):
    lines = shown(capsys, 80, (ROW, {**ROW, "address": "10.0.0.1", "messages": "2039", "as_name": "B"}))
    ends = [found.end() for line in lines if (found := re.search("messages|2039|39", line))]
    assert len(ends) == 3
    assert len(set(ends)) == 1


def test_what_has_nothing_to_say_takes_no_room(capsys):
    text = "\n".join(shown(capsys, 60, ({**ROW, "as_name": "", "product": ""},)))
    assert "as_name" not in text
    assert "product" not in text


def test_each_key_leaves_a_narrow_table_at_one_place():
    assert len(set(LESSER)) == len(LESSER)


def test_a_dumb_terminal_is_as_wide_as_it_says(capsys, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert any("198.18.4.249" in line for line in shown(capsys, 120))
    assert max(map(len, shown(capsys, 120))) > 80
