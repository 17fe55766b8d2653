"""GET /report: the report of what a page shows, to download."""

import json
import re
import subprocess

import pytest

from tests.web.conftest import Hub, relaytrap
from tests.web.scene import ORIGIN, RELAY, SENSOR


@pytest.mark.parametrize("what", ["", RELAY, ORIGIN])
def test_report_is_downloaded_redacted(hub: Hub, what: str) -> None:
    answer = hub.get("/report", params={"what": what, "last": "all"})
    assert answer.status_code == 200
    assert re.fullmatch(r'attachment; filename="[A-Za-z0-9.-]+\.html"', answer.headers["content-disposition"])
    assert answer.headers["cache-control"] == "no-store"
    assert SENSOR not in answer.text
    assert "<script" not in answer.text


def test_report_of_a_relay_quotes_the_bytes_and_says_how_to_close_it(hub: Hub) -> None:
    page = hub.get("/report", params={"what": RELAY, "redact": "no"}).text
    assert f"Via: SIP/2.0/UDP {RELAY}" in page
    assert "How to close it" in page
    assert SENSOR in page


def test_pages_link_to_their_report(hub: Hub) -> None:
    assert 'href="/report?last=' in hub.get("/").text
    for path in (f"/relays/{RELAY}", f"/origins/{ORIGIN}"):
        assert f'href="/report?what={path.rpartition("/")[2]}"' in hub.get(path).text


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"what": "203.0.113.250"}, "nothing is known"),
        ({"format": "doc"}, "html or md or pdf"),
        ({"redact": "perhaps"}, "redact is yes or no"),
        ({"since": "soon"}, "is not understood"),
    ],
)
def test_what_cannot_be_reported_is_said(hub: Hub, query: dict[str, str], says: str) -> None:
    answer = hub.get("/report", params=query)
    assert answer.status_code == 400
    assert says in answer.text


def test_command_asks_the_hub_that_runs_and_finds_the_same(hub: Hub) -> None:
    made = subprocess.run(
        relaytrap("report", RELAY, "--json", data=hub.data_dir), check=True, capture_output=True, text=True
    )
    facts = json.loads(made.stdout)
    (row,) = hub.rows("relay", address=RELAY)
    assert facts["relay"]["row"]["messages"] == row["messages"]
    assert SENSOR not in made.stdout


def test_command_takes_a_span_where_a_hub_runs(hub: Hub) -> None:
    made = subprocess.run(
        relaytrap("report", "--since", "2d", "--json", data=hub.data_dir), check=True, capture_output=True, text=True
    )
    facts = json.loads(made.stdout)
    (totals,) = hub.rows("totals", since=facts["since"], until=facts["until"])
    assert facts["totals"]["messages"] == totals["messages"] > 0


def test_empty_hub_has_a_report(empty_hub: Hub) -> None:
    assert "there is nothing to report" in empty_hub.get("/report").text
