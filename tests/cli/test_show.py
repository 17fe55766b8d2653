"""`relaytrap show`: one message or finding, with its evidence."""

import json
import re

from relaytrap.cli.explain import finding_lines
from relaytrap.cli.show import message_lines

from .test_explain import ORIGIN


def test_message_shows_where_its_bytes_are_odd_and_which_rule_they_break(run, data):
    found = json.loads(run("--data", data, "messages", "--anomaly", "header-control", "--json", "--limit", "1").out)
    shown = run("--data", data, "show", found["id"]).out
    place = re.search(r"^Anomaly    header-control at octet (\d+) \(RFC 3261 [\d.]+\)$", shown, re.MULTILINE)
    assert place
    assert int(place[1]) > 0


def test_what_a_reader_noted_is_no_anomaly(run, data):
    whole = run("--data", data, "messages", "--json", "--limit", "1").out
    lines = list(message_lines(json.loads(whole) | {"notes": ["ja4 t13d\x1b[2J"], "anomalies": []}))
    assert "Note       ja4 t13d\\x1b[2J" in lines
    assert not any(line.startswith("Anomaly") for line in lines)


def test_origin_that_nobody_saw_itself_is_said_so():
    assert any("none straight from it" in line for line in finding_lines("origin", ORIGIN))
    assert any("2 straight from it" in line for line in finding_lines("origin", ORIGIN | {"direct": 2}))
