"""The page of a scheduled test: its history, what changed, and hostile text on it."""

import re
from collections.abc import Iterator

import pytest

from relaytrap.clock import now_ns
from relaytrap.probe.register import Register
from relaytrap.probe.schedule import STATED, Notice, Schedules
from relaytrap.probe.target import Endpoint, Target

from ..probe.results import outcomes, report_of
from .conftest import Hub
from .test_hostile import read

HOSTILE = "<script>alert(1)</script>\x1b\u202e"
DAY_NS = 86400 * 10**9


@pytest.fixture(scope="module")
def schedule(empty_hub: Hub) -> Iterator[str]:
    """A schedule with a closed result, then an open one that was noticed, then a problem; gives its secret."""
    register = Register(empty_hub.data_dir)
    schedules = Schedules(register.records)
    now = now_ns()
    options = {"domain": "", "transports": [], "thorough": False}
    secret = schedules.add(HOSTILE, "192.0.2.1", "a TXT record", options, 86400, now, now + DAY_NS)
    target = Target(HOSTILE, HOSTILE, (Endpoint("udp", "203.0.113.5", 5060),))
    reports = [report_of(outcomes()), report_of(outcomes(lambda probe: True), target=HOSTILE)]
    for age, report in zip((2, 1), reports, strict=True):
        test = register.begin(target, "192.0.2.1", STATED, options, now - age * DAY_NS, schedule=secret)
        register.end(test, report, now - age * DAY_NS + 1)
    schedules.add_notice(secret, Notice(now - DAY_NS, "refused", "open", reports[1]["sentence"], test))
    schedules.set_next(secret, now + DAY_NS, f"{HOSTILE} does not resolve.")
    yield secret
    schedules.remove(secret)


def test_page_shows_what_changed_the_history_and_why_it_did_not_run(empty_hub: Hub, schedule: str) -> None:
    text = read(empty_hub.get(f"/probe/schedule/{schedule}").text).text
    assert "changed from refused to open" in text
    assert "did not run" in text
    assert "Open open changed" in text
    assert "Closed refused" in text
    assert text.index("Anybody can send any request") < text.index("History")
    assert text.rindex("open") < text.rindex("refused")  # newest first


def test_page_gives_its_own_address_to_keep(empty_hub: Hub, schedule: str) -> None:
    path = f"/probe/schedule/{schedule}"
    assert f'data-copy="{empty_hub.url}{path}"' in empty_hub.get(path).text


def test_hostile_text_is_shown_and_does_nothing(empty_hub: Hub, schedule: str) -> None:
    html = empty_hub.get(f"/probe/schedule/{schedule}").text
    page = read(html)
    assert not set("\x1b\u202e") & set(html)
    assert all((script.get("src") or "").startswith("/static/") for script in page.scripts)
    assert "<script>alert(1)</script>" in page.text


def test_result_of_a_hostile_name_is_shown_and_does_nothing(empty_hub: Hub, schedule: str) -> None:
    history = empty_hub.get(f"/api/probe/schedule/{schedule}").json()["history"]
    html = empty_hub.get(f"/probe/{history[0]['secret']}").text
    assert not set("\x1b\u202e") & set(html)
    assert "<script>alert" not in html


def test_download_of_a_hostile_name_has_a_plain_file_name(empty_hub: Hub, schedule: str) -> None:
    history = empty_hub.get(f"/api/probe/schedule/{schedule}").json()["history"]
    for suffix in ("html", "pdf"):
        answer = empty_hub.get(f"/probe/{history[0]['secret']}/report.{suffix}")
        assert answer.status_code == 200
        disposition = answer.headers["content-disposition"]
        assert re.fullmatch(rf'attachment; filename="open-relay-test[A-Za-z0-9.-]+\.{suffix}"', disposition)


def test_json_has_the_same(empty_hub: Hub, schedule: str) -> None:
    shown = empty_hub.get(f"/api/probe/schedule/{schedule}").json()
    assert [each["verdict"] for each in shown["history"]] == ["open", "refused"]
    assert [(each["before"], each["after"], each["is_open"]) for each in shown["notices"]] == [
        ("refused", "open", True)
    ]
