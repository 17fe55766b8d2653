"""`relaytrap report`: a file in the form that is asked for, of what is asked for, without what is to be left out."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import PAYLOADS
from tests.hub.traffic import SENSOR


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_report_of_everything_is_one_html_file_that_names_itself(run, data, here):
    shown = run("--data", data, "report", "--since", "2000-01-01")
    (made,) = here.iterdir()
    assert shown.status == 0
    assert shown.out.strip() == made.name
    page = made.read_text()
    assert re.fullmatch(r"relaytrap-report-.*\.html", made.name)
    assert "What happened" in page
    assert not re.search(r"(?:src|href)=\"(?!#)", page)
    assert "<script" not in page


def test_own_address_and_whole_numbers_stand_in_no_report_unless_asked_for(run, data, here):
    for number, form in enumerate(("html", "md")):
        path = here / f"a{number}.{form}"
        assert run("--data", data, "report", "--since", "2000-01-01", "--output", path).status == 0
        assert SENSOR not in path.read_text()
        assert "442030000000" not in path.read_text()
    whole = run("--data", data, "report", "--since", "2000-01-01", "--no-redact", "--output", here / "w.html")
    assert "not redacted" in whole.err
    assert SENSOR in (here / "w.html").read_text()
    assert "442030000000" in (here / "w.html").read_text()


def test_facts_are_one_json_object_that_is_redacted_as_well(run, data):
    facts = json.loads(run("--data", data, "report", "--since", "2000-01-01", "--json").out)
    assert facts["totals"]["messages"] == 3 + 2 + len(PAYLOADS)
    assert facts["redaction"]["sensors"] == 1
    assert SENSOR not in json.dumps(facts)


def test_message_is_reported_without_the_identifier_that_would_confirm_a_guess(run, data, here):
    found = json.loads(run("--data", data, "messages", "--method", "INVITE", "--json", "--limit", "1").out)
    assert run("--data", data, "report", found["id"], "--output", "one.html").status == 0
    assert found["id"] not in (here / "one.html").read_text()
    run("--data", data, "report", found["id"], "--no-redact", "--output", "whole.html")
    assert found["id"] in (here / "whole.html").read_text()


def test_markdown_has_its_pictures_beside_it(run, data, here):
    assert run("--data", data, "report", "--since", "2000-01-01", "--output", "r.md").status == 0
    named = re.findall(r"!\[[^]]*\]\(<(r-pictures/[a-z0-9-]+\.png)>\)", Path("r.md").read_text())
    assert named
    assert all(Path(each).read_bytes().startswith(b"\x89PNG") for each in named)


def test_pdf_is_one(run, data, here):
    assert run("--data", data, "report", "--since", "2000-01-01", "--output", "r.pdf").status == 0
    assert Path("r.pdf").read_bytes().startswith(b"%PDF")


def test_nothing_is_overwritten_unasked(run, data, here):
    first = run("--data", data, "report", "--since", "2000-01-01").out.strip()
    Path(first).write_text("edited")
    second = run("--data", data, "report", "--since", "2000-01-01").out.strip()
    assert second != first
    assert Path(first).read_text() == "edited"


def test_span_in_which_nothing_came_says_when_that_was(run, data, here):
    run("--data", data, "report", "--since", "2001-01-01", "--until", "2001-02-01", "--output", "old.html")
    assert "Nothing arrived, 2001-01-01 00:00 to 2001-02-01 00:00 UTC." in Path("old.html").read_text()


def test_empty_store_gives_a_report_that_says_so(run, tmp_path, here):
    assert run("--data", tmp_path / "none", "report", "--output", "e.html").status == 0
    assert "there is nothing to report" in Path("e.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["nonsense"], 4, "nothing is known of 'nonsense'"),
        (["--output", "report.doc"], 2, "end its name in .html"),
        (["--output", "nowhere/report.html"], 4, "there is no such directory"),
        (["--also", "a"], 4, "too short"),
        (["--since", "soon"], 4, "since: 'soon' is not understood"),
        (["--since", "2030-01-02", "--until", "2030-01-01"], 4, "is not before"),
        (["192.0.2.1", "--since", "7d"], 2, "is of all its time"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(run, data, here, arguments, status, says):
    shown = run("--data", data, "report", *arguments)
    assert shown.status == status
    assert says in shown.err
    assert not list(here.iterdir())
