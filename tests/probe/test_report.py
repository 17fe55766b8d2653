"""The result of a test as one value: whole, in order, and bounded whatever a server sends."""

import json

import pytest

from relaytrap.probe.report import FORMAT, build_report, not_run
from relaytrap.probe.request import METHODS, Probe
from relaytrap.probe.tricks import STANDARD, TRICKS, Ends
from relaytrap.probe.verdict import Answer, Arrival, Outcome

from .results import ENDS, arrived, outcomes, report_of

LONG = "L" * 1_000_000


def test_open_server_comes_with_one_proof_for_each_transport() -> None:
    report = report_of(outcomes(relays=lambda probe: True))
    assert report["verdict"] == "open"
    assert [(each["sent_by"], each["trick"]) for each in report["proof"]] == [("udp", "plain"), ("tcp", "plain")]


def test_hole_that_plain_requests_do_not_show_has_its_own_proof() -> None:
    report = report_of(outcomes(relays=lambda probe: probe.trick == "route"))
    assert {each["trick"] for each in report["proof"]} == {"route"}


def test_every_probe_is_in_the_report_with_what_came_of_it() -> None:
    report = report_of(outcomes(relays=lambda probe: probe.transport == "tcp"))
    assert len(report["probes"]) == 2 * len(METHODS) * len(STANDARD)
    by_udp = [each for each in report["probes"] if each["transport"] == "udp"]
    assert {each["result"] for each in by_udp} == {"refused"}
    assert {each["answers"][0]["status"] for each in by_udp} == {403}
    by_tcp = [each for each in report["probes"] if each["transport"] == "tcp"]
    assert {each["arrivals"][0]["arrived_from"] for each in by_tcp} == {"203.0.113.5:5060"}


def test_table_has_a_row_for_each_place_and_trick() -> None:
    other = Ends(**{name: getattr(ENDS, name) for name in Ends.__slots__} | {"server": "203.0.113.6"})
    moved = [Outcome(Probe(each.probe.method, "udp", each.probe.trick, other)) for each in outcomes()]
    report = report_of([*outcomes(), *moved])
    assert len(report["table"]) == (2 + 1) * len(STANDARD)


def test_table_is_in_order_of_places_and_tricks_however_probes_were_sent() -> None:
    table = report_of(sorted(outcomes(), key=lambda each: (each.probe.trick, each.probe.transport == "tcp")))["table"]
    assert [row["transport"] for row in table] == ["udp"] * len(STANDARD) + ["tcp"] * len(STANDARD)
    assert [row["trick"] for row in table[: len(STANDARD)]] == [trick for trick in TRICKS if trick in STANDARD]


def test_verdict_comes_first_and_the_form_is_numbered() -> None:
    assert list(report_of(outcomes()))[:3] == ["format", "verdict", "sentence"]
    assert report_of(outcomes())["format"] == FORMAT


def test_closed_server_gets_no_advice() -> None:
    assert report_of(outcomes())["advice"] == []


@pytest.mark.parametrize(
    ("answers", "reachable", "verdict", "step"),
    [
        ((), True, "unanswered", "let 198.51.100.10 pass firewall, flood guard and ban list"),
        ((Answer(0.1, 403, "No", False),), False, "witness not reachable", "reach the witness at 192.0.2.10:5060"),
        ((Answer(9.0, 500, "Error", False),), True, "undecided", "Let 198.51.100.10 pass flood guard"),
    ],
)
def test_result_that_says_too_little_says_what_to_do_for_a_clearer_one(
    answers: tuple[Answer, ...], reachable: bool, verdict: str, step: str
) -> None:
    report = report_of([Outcome(each.probe, (), answers) for each in outcomes()], reachable=reachable)
    assert report["verdict"] == verdict
    assert step in report["hints"][0]


def test_server_that_never_answered_gets_no_advice_of_what_to_change() -> None:
    assert report_of([Outcome(each.probe, (), ()) for each in outcomes()])["advice"] == []


def test_place_that_takes_no_requests_is_told_without_what_else_was_not_tested() -> None:
    found = build_report(
        "pbx.example:5099",
        [],
        witness_reachable=False,
        tested_from="198.51.100.10",
        witness="192.0.2.10:5060",
        started_at="",
        seconds=0.1,
        not_offered=["UDP 203.0.113.5:5099 is closed"],
        tricks=STANDARD,
    )
    assert found.classes[0][1].startswith("Nothing takes requests there: check address, port")
    assert found.not_tested == ("UDP 203.0.113.5:5099 is closed.",)


def test_test_that_was_not_run_has_the_same_fields() -> None:
    assert set(not_run("pbx.example", "It does not resolve.", "")) == set(report_of(outcomes()))


def test_size_is_bounded_whatever_a_server_sends() -> None:
    probe = Probe("OPTIONS", "udp", "plain", ENDS)
    arrival = Arrival(0.1, "203.0.113.5", 5060, "udp", "OPTIONS", (LONG,) * 100, 7, LONG.encode(), False, LONG, 1)
    answers = (Answer(0.1, 200, LONG, False, LONG),) * 100
    report = report_of([Outcome(probe, (arrival,) * 100, answers, LONG)])
    assert len(json.dumps(report)) < 100_000


def test_undecodable_bytes_are_shown() -> None:
    probe = Probe("OPTIONS", "udp", "plain", ENDS)
    report = report_of([Outcome(probe, (arrived("OPTIONS", raw=b"OPTIONS \xff\x00"),))])
    assert report["proof"][0]["message"] == "OPTIONS \\xff\x00"


def test_what_was_left_out_is_said() -> None:
    found = build_report(
        "pbx.example",
        outcomes(),
        witness_reachable=True,
        tested_from="198.51.100.10",
        witness="192.0.2.10:5060",
        started_at="",
        seconds=1.0,
        not_offered=["TLS 203.0.113.5:5061 cannot be reached"],
        tricks=STANDARD,
    )
    assert "TLS 203.0.113.5:5061 cannot be reached." in found.not_tested
    assert any("--thorough" in sentence for sentence in found.not_tested)
    assert any("198.51.100.10" in sentence for sentence in found.not_tested)
    assert any("Other methods" in sentence for sentence in found.not_tested)
