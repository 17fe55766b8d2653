"""What Relaytrap finds in the sample, held against what really happened."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from relaytrap.cli.main import relaytrap
from relaytrap.cli.session import open_session
from relaytrap.config import Config
from relaytrap.sample.scene import load_truth

TRUTH = load_truth()
ACTORS = TRUTH["actors"]
Rows = list[dict[str, Any]]


class Found:
    """A store with the sample in it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.kept: dict[str, Rows] = {}
        self.run("sample", "load")

    def run(self, *arguments: str) -> str:
        done = CliRunner().invoke(relaytrap, ["--data", str(self.data), *arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    def rows(self, question: str) -> Rows:
        if question not in self.kept:
            self.kept[question] = [json.loads(line) for line in self.run(question, "--json").splitlines()]
        return self.kept[question]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    return Found(tmp_path_factory.mktemp("data"))


def requests(found: Found) -> Iterator[tuple[str, list[str], dict[str, Any]]]:
    """(campaign, path, row) of every labelled request; not what relays say of their own, such as their ACKs."""
    rows = {(row["capture"], row["frame"]): row for row in found.rows("messages") if row["direction"] == "in"}
    for capture, honeypot in TRUTH["captures"].items():
        for frame, campaign, path in honeypot["requests"]:
            row = rows[capture, frame]
            if row["method"] not in ("ACK", "CANCEL"):
                yield campaign, TRUTH["paths"][path], row


def test_every_relay_that_was_used_is_found_and_nobody_else_is_called_one(found: Found) -> None:
    used = {relay for _, path, _ in requests(found) for relay in path[1:]} - {"203.0.113.222"}
    assert {row["address"] for row in found.rows("relays")} == used


def test_the_origins_are_those_who_used_relays_and_no_innocent(found: Found) -> None:
    behind = {path[0] for campaign, path, _ in requests(found) if len(path) > 1 and campaign != "honest-calls"}
    assert {row["address"] for row in found.rows("origins")} == behind
    innocents = {address for address, actor in ACTORS.items() if actor["role"] == "innocent"}
    assert not innocents & {row["origin"] for row in found.rows("messages")}


def test_a_request_is_never_blamed_on_somebody_else(found: Found) -> None:
    wrong = [
        (path, row["origin"]) for _, path, row in requests(found) if row["origin"] not in (None, path[0], path[-1])
    ]
    assert wrong == []


def test_nearly_every_relayed_request_gets_its_origin(found: Found) -> None:
    relayed = [(path, row) for campaign, path, row in requests(found) if len(path) > 1 and campaign != "honest-calls"]
    right = sum(row["origin"] == path[0] for path, row in relayed)
    assert right / len(relayed) > 0.95


def test_the_sweep_is_one_campaign_with_every_extension(found: Found) -> None:
    sweeper = TRUTH["campaigns"]["sweep"]["origin"]
    (campaign,) = [row for row in found.rows("campaigns") if row["origin"] == sweeper]
    assert campaign["targets"] == 901
    assert [str(each) for each in campaign["range"]] == ["100", "1000"]
    assert campaign["sensors"] == sorted(honeypot["sensor"] for honeypot in TRUTH["captures"].values())


def test_the_hours_of_the_sweep_know_the_country_of_every_relay(found: Found) -> None:
    sweep = max(found.rows("campaigns"), key=lambda row: int(row["messages"]))
    with open_session(Config(data_dir=found.data)) as session:
        hours = list(session.query("relay_hours", {"id": sweep["id"]}))
    assert sum(row["requests"] for row in hours) == sweep["messages"]
    assert not any("" in row["countries"] for row in hours)


def test_the_lying_relay_is_named_unreliable(found: Found) -> None:
    liar = next(address for address, actor in ACTORS.items() if actor.get("kind") == "liar")
    assert [row["address"] for row in found.rows("relays") if not row["reliable"]] == [liar]


def test_honest_calls_are_no_attack_through_a_relay(found: Found) -> None:
    verdicts = {row["path_verdict"] for campaign, _, row in requests(found) if campaign == "honest-calls"}
    assert not verdicts & {"relayed", "hidden", "forged"}
