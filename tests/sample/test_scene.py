"""The bundled recording agrees with its truth, and is small."""

import ipaddress
from importlib.resources import files
from itertools import groupby
from typing import Any

import pytest

from relaytrap.observation import Observation
from relaytrap.sample.networks import SENSOR_PREFIX, country_of, load_networks
from relaytrap.sample.scene import load_recorded, load_truth
from relaytrap.sip import Request, parse_message
from tests.sample.story import END_NS, tell_story

TRUTH = load_truth()
CAPTURES = sorted(TRUTH["captures"])
HOUR_NS = 3600 * 10**9


@pytest.fixture(scope="module")
def recorded() -> dict[str, list[Observation]]:
    return {capture: load_recorded(capture) for capture in CAPTURES}


@pytest.fixture(scope="module")
def told() -> list[Observation]:
    return tell_story()


def labelled(recorded: dict[str, list[Observation]]) -> list[tuple[str, list[str], Observation]]:
    return [
        (campaign, TRUTH["paths"][path], recorded[capture][frame - 1])
        for capture in CAPTURES
        for frame, campaign, path in TRUTH["captures"][capture]["requests"]
    ]


def test_the_whole_scene_is_smaller_than_a_photograph() -> None:
    scene = files("relaytrap.sample") / "scene"
    assert sum(len(path.read_bytes()) for path in scene.iterdir()) < 1_500_000


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_capture_holds_as_many_messages_as_the_truth_says(
    capture: str, recorded: dict[str, list[Observation]]
) -> None:
    honeypot: dict[str, Any] = TRUTH["captures"][capture]
    assert len(recorded[capture]) == honeypot["messages"]
    assert {each.sensor for each in recorded[capture]} == {honeypot["sensor"]}
    assert honeypot["sensor"].startswith(SENSOR_PREFIX)
    assert {each.local for each in recorded[capture]} <= set(honeypot["addresses"])


@pytest.mark.parametrize("capture", CAPTURES)
def test_every_received_request_has_a_label_and_nothing_else_has(
    capture: str, recorded: dict[str, list[Observation]]
) -> None:
    requests = {
        each.frame
        for each in recorded[capture]
        if each.direction == "in" and isinstance(parse_message(each.raw), Request)
    }
    assert {frame for frame, _, _ in TRUTH["captures"][capture]["requests"]} == requests


def test_a_labelled_request_came_from_the_last_address_of_its_path(recorded: dict[str, list[Observation]]) -> None:
    assert all(seen.source == path[-1] for _, path, seen in labelled(recorded))


def test_relayed_requests_came_through_relays_of_the_cast(recorded: dict[str, list[Observation]]) -> None:
    for campaign, path, _ in labelled(recorded):
        roles = {TRUTH["actors"][relay]["role"] for relay in path[1:]}
        assert roles <= ({"honest proxy"} if campaign == "honest-calls" else {"open relay"})


def test_each_night_tries_every_extension_once(recorded: dict[str, list[Observation]]) -> None:
    nights: dict[str, list[int]] = {}
    for campaign, _, seen in labelled(recorded):
        request = parse_message(seen.raw)
        assert isinstance(request, Request)
        if campaign == "sweep" and request.method in (b"INVITE", b"REGISTER") and request.to_address:
            night = next(row["phase"] for row in TRUTH["timeline"] if covers(row, seen))
            nights.setdefault(night, []).append(int(request.to_address.uri.user or b""))
    assert sorted(nights) == ["sweep-1", "sweep-2", "sweep-3"]
    for extensions in nights.values():
        assert sorted(set(extensions)) == list(range(100, 1001))


def covers(row: dict[str, Any], seen: Observation) -> bool:
    begin, end = row["recorded_s"]
    return bool(begin <= (seen.received_at_ns - TRUTH["began_ns"]) / 1e9 <= end)


def test_every_address_of_the_scene_has_a_country(recorded: dict[str, list[Observation]]) -> None:
    networks = [ipaddress.ip_network(row.network) for row in load_networks().names]
    addresses = {each.source for capture in recorded.values() for each in capture}
    addresses |= {each.local for capture in recorded.values() for each in capture} | set(TRUTH["actors"])
    homeless = {a for a in addresses if not any(ipaddress.ip_address(a) in network for network in networks)}
    assert not homeless


def test_the_story_ends_now_and_began_a_week_ago(told: list[Observation]) -> None:
    first, last = told[0].received_at_ns, told[-1].received_at_ns
    assert END_NS - HOUR_NS < last <= END_NS
    assert END_NS - 168 * HOUR_NS <= first < END_NS - 160 * HOUR_NS


def test_the_story_is_told_in_order_of_time(told: list[Observation]) -> None:
    times = [each.received_at_ns for each in told]
    assert times == sorted(times)


def test_the_last_nights_hours_show_more_than_a_hundred_us_addresses(told: list[Observation]) -> None:
    night = [each for each in told if each.received_at_ns > END_NS - 4 * HOUR_NS and country_of(each.source) == "US"]
    by_hour = groupby(night, key=lambda each: (END_NS - each.received_at_ns) // HOUR_NS)
    assert sum(len({each.source for each in hour}) > 100 for _, hour in by_hour) >= 3


def test_no_number_that_is_dialled_belongs_to_anybody(told: list[Observation]) -> None:
    """Only cores that regulators keep for films and examples, whatever stands before them.

    Up to ten digits may be svwar's: it first calls a random extension to see what a wrong one sounds like.
    """
    kept = ("442079460123", "441134960456", "441134960123", "33199001234", "46846500412", "493023125042")
    kept += ("12125550147", "61255501234", "6125550")
    for each in told:
        request = parse_message(each.raw)
        if isinstance(request, Request) and request.method == b"INVITE" and request.uri:
            digits = (request.uri.user or b"").decode().lstrip("+")
            assert len(digits) <= 10 or any(core in digits for core in kept), digits
