"""The command lines that a page gives: they give its rows, and no text of a message acts on a shell through them."""

import html
import json
import re
import shlex
import subprocess
from urllib.parse import urlencode

import pytest

from relaytrap.web.commands import commands_for
from tests.web import scene
from tests.web.conftest import Hub, relaytrap

HERE = "http://127.0.0.1:8060/"


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/api/messages?method=INVITE&call_id=a+b", "relaytrap messages --method=INVITE '--call-id=a b'"),
        ("/api/campaigns?sort=relays&relayed=1", "relaytrap campaigns --relayed --sort=relays"),
        ("/api/relay?address=192.0.2.7", "relaytrap show 192.0.2.7"),
        ("/api/message?id=00112233445566aa", "relaytrap show 00112233445566aa"),
    ],
)
def test_list_or_finding_has_a_command_of_ours_before_that_of_curl(path: str, wanted: str) -> None:
    ours, curl = commands_for(path, HERE)
    assert ours == wanted
    assert shlex.split(curl) == ["curl", "-s", HERE.rstrip("/") + path]


@pytest.mark.parametrize("path", ["/api/totals?since=7d", "/api/relays?offset=100", "/api/messages?after=x_y"])
def test_what_the_terminal_has_no_command_for_is_left_to_curl(path: str) -> None:
    assert [line.split()[0] for line in commands_for(path, HERE)] == ["curl"]


@pytest.mark.parametrize("value", ["'; reboot #", "$(reboot)", "`reboot`", "-rf", '"a b"', "a\\"])
def test_value_stays_one_word_of_the_command(value: str) -> None:
    ours, curl = commands_for(f"/api/messages?{urlencode({'text': value})}", HERE)
    assert shlex.split(ours) == ["relaytrap", "messages", f"--text={value}"]
    assert len(shlex.split(curl)) == 3


@pytest.mark.parametrize("value", ["%1b[2J", "a%0areboot%0a", "a%E2%80%AEb"])
def test_value_that_acts_on_a_terminal_is_in_no_command(value: str) -> None:
    (curl,) = commands_for(f"/api/messages?text={value}", HERE)
    assert value in curl


@pytest.mark.parametrize(
    "page",
    [
        "/messages?method=REGISTER",
        "/messages?source=203.0.113.0/24&direction=in&since=30d",
        "/sources?last=all&country=FR",
        "/numbers?last=all",
        f"/relays?network={scene.RELAY}",
        "/origins",
        "/campaigns?relayed=1",
    ],
)
def test_command_of_a_page_gives_the_rows_of_its_json(hub: Hub, page: str) -> None:
    shown = hub.get(page).text
    ours, curl = (html.unescape(found) for found in re.findall(r'<p class="copied"><code>(.*?)</code>', shown))
    name, *arguments = shlex.split(ours)
    assert name == "relaytrap"
    told = subprocess.run(
        relaytrap(*arguments, "--json", data=hub.data_dir), check=True, capture_output=True, text=True
    )
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    there = hub.get(shlex.split(curl)[2]).json()["rows"]
    key = "id" if "id" in rows[0] else "core" if "core" in rows[0] else "address"
    assert [row[key] for row in rows] == [row[key] for row in there] != []
