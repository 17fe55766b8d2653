import base64
import csv
import io
import json
import os

from relaytrap.cli import listing
from relaytrap.sip.text import ACTING
from tests.cli.conftest import PAYLOADS
from tests.hub.traffic import request


def test_json_gives_every_message_with_its_bytes(run, data):
    rows = [json.loads(line) for line in run("--data", data, "messages", "--json").out.splitlines()]
    assert len(rows) == 5 + len(PAYLOADS)
    assert [row["frame"] for row in rows] == list(range(len(rows), 0, -1))
    assert base64.b64decode(rows[-1]["raw"]) == request(0, method=b"REGISTER", user=b"100")


def test_the_table_shows_the_newest_without_acting_on_the_terminal(run, data):
    shown = run("--data", data, "messages").out
    assert not ACTING.search(shown.replace("\n", ""))
    assert "\\x1b[31mred" in shown
    assert "+442030000000" in shown


def test_a_method_in_lower_case_that_finds_nothing_is_told_in_upper_case(run, data):
    hint = "(methods are told apart by case; try --method INVITE)"
    for question in ("messages", "sources", "numbers"):
        assert run("--data", data, question, "--method", "invite").out == f"no {question} {hint}\n"
    assert run("--data", data, "messages", "--method", "invite", "--json").out == ""
    assert run("--data", data, "messages", "--method", "PUBLISH").out == "no messages\n"


def test_a_condition_in_bytes_that_are_no_utf8_is_refused_in_one_sentence(run, data):
    shown = run("--data", data, "messages", "--user-agent", os.fsdecode(b"caf\xe9"))
    assert shown.status == 2
    assert shown.err.endswith("Error: Invalid value for '--user-agent': caf\\xe9 is no UTF-8; write it in UTF-8\n")


def test_no_payload_acts_in_json_or_csv(run, data):
    for door in ("--json", "--csv"):
        shown = run("--data", data, "messages", door).out
        assert not ACTING.search(shown.replace("\r\n", "").replace("\n", ""))


def test_csv_cells_hold_no_formula_and_one_line_each(run, data):
    shown = run("--data", data, "messages", "--csv").out
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert len(rows) == 5 + len(PAYLOADS) == len(shown.splitlines()) - 1
    assert '\'=HYPERLINK("http://example.invalid")' in {row["user_agent"] for row in rows}
    assert all(not row["user_agent"].startswith(("=", "+", "-", "@")) for row in rows)


def test_filters_and_limits_narrow(run, data):
    def ask(*given):
        return [json.loads(line) for line in run("--data", data, "messages", "--json", *given).out.splitlines()]

    assert len(ask("--method", "REGISTER", "--country", "fr")) == 3
    assert len(ask("--limit", 2)) == 2
    assert len(ask("--since", "2026-09-22T12:00:00.011Z")) == 1
    assert ask("--source", "198.18.0.0/15") == []
    (oldest,) = ask("--target", "100")
    assert ask("--before", f"{oldest['received_at']}_{oldest['id']}") == []


def test_text_anywhere_in_the_bytes_narrows_the_table_and_the_json(run, data):
    assert run("--data", data, "messages", "--raw", "no such bytes").out == "no messages\n"
    found = run("--data", data, "messages", "--json", "--raw", "REGISTER sip:").out.splitlines()
    assert len(found) == 3


def test_a_wrong_filter_is_one_sentence(run, data):
    shown = run("--data", data, "messages", "--source", "nowhere")
    assert (shown.status, shown.out) == (4, "")
    assert shown.err == (
        "relaytrap: source: 'nowhere' is no address or network; write 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32\n"
    )


def test_an_empty_store_says_so(run, tmp_path):
    assert run("--data", tmp_path, "messages").out == "no messages\n"
    assert run("--data", tmp_path, "messages", "--json").out == ""


def test_a_person_is_told_that_there_are_more(run, data, monkeypatch):
    monkeypatch.setattr(listing, "TABLE_ROWS", 2)
    monkeypatch.setattr("relaytrap.cli.listing.is_watched", lambda: True)
    shown = run("--data", data, "messages", "--since", "2020-01-01")
    assert len(shown.out.splitlines()) == 3
    assert shown.err == "there are more than these 2 messages; --limit 0 shows all\n"
    assert run("--data", data, "messages", "--limit", 3).err == ""
    assert run("--data", data, "messages", "--method", "INVITE").err == ""
    assert len(run("--data", data, "messages", "--json").out.splitlines()) == 5 + len(PAYLOADS)


def test_stretch_of_time_that_ends_before_it_begins_is_refused(run, data):
    shown = run("--data", data, "sources", "--since", "1h", "--until", "2h")
    assert (shown.status, shown.out) == (4, "")
    assert shown.err == (
        "relaytrap: until: is not later than since, so that nothing lies between them; change one of them\n"
    )
