"""The API: every question of the catalogue, its documentation, and its ways to say no."""

import json
from collections import Counter
from typing import Any

import pytest

from relaytrap.store.queries import CATALOGUE, conditions_of, fields_of, options_of
from tests.web import scene
from tests.web.conftest import Hub

NEEDED = {"message": {"id": "0" * 16}, "conversation": {"id": "0" * 16}, "source": {"address": scene.US}}


def given_for(name: str) -> dict[str, str]:
    """Something for each option that a question cannot do without."""
    known = {key: value for found in NEEDED.values() for key, value in found.items()} | {"since_ms": "0"}
    return {key: known[key] for key, option in options_of(name).items() if option.default is option.empty}


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_question_of_the_catalogue_is_answered(hub: Hub, name: str) -> None:
    answer = hub.get(f"/api/{name}", params=given_for(name))
    assert answer.status_code == 200, answer.text
    assert answer.json()["query"] == name


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_question_is_answered_over_an_empty_store(empty_hub: Hub, name: str) -> None:
    assert empty_hub.get(f"/api/{name}", params=given_for(name)).status_code == 200


def test_lines_give_the_same_rows_one_a_line(hub: Hub) -> None:
    whole = hub.rows("messages", limit=20)
    lines = hub.get("/api/messages", params={"limit": 20, "format": "lines"})
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    assert [json.loads(line) for line in lines.text.splitlines()] == whole


def test_accept_header_asks_for_lines_too(hub: Hub) -> None:
    answer = hub.get("/api/sensors", headers={"accept": "application/x-ndjson"})
    assert {json.loads(line)["sensor"] for line in answer.text.splitlines()} == {"edge", "edge-2", "sample-old"}


def test_unknown_question_is_404_with_a_sentence(hub: Hub) -> None:
    answer = hub.get("/api/everything")
    assert answer.status_code == 404
    assert "/api lists what there is" in answer.json()["error"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"nonsense": "1"}, "no filter 'nonsense'"),
        ({"limit": "many"}, "no whole number"),
        ({"source": "example.com"}, "is no address or network"),
        ({"since": "yesterday"}, "is not understood"),
    ],
)
def test_wrong_condition_is_400_and_names_what_is_wrong(hub: Hub, given: dict[str, str], sentence: str) -> None:
    answer = hub.get("/api/messages", params=given)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]


def test_filter_values_never_become_sql(hub: Hub) -> None:
    assert hub.rows("messages", call_id="' OR 1=1 --") == []


def test_openapi_names_every_question_option_and_condition(hub: Hub) -> None:
    document = hub.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for name in CATALOGUE:
        operation = document["paths"][f"/api/{name}"]["get"]
        named = {parameter["name"] for parameter in operation["parameters"]}
        assert named == {*options_of(name), *fields_of(conditions_of(name)), "format"}


def test_api_page_needs_nothing_from_elsewhere(hub: Hub) -> None:
    page = hub.get("/api").text
    assert "https://" not in page
    assert all(f'id="{name}"' in page for name in CATALOGUE)


def test_totals_count_what_asks_for_something_and_not_our_answers(hub: Hub) -> None:
    totals = hub.rows("totals")[0]
    assert totals["messages"] == hub.rows("count", direction="in")[0]["messages"]
    assert totals["before"] is None


def test_totals_of_a_window_come_with_those_of_the_window_before(hub: Hub) -> None:
    totals = hub.rows("totals", since="24h", until="now")[0]
    assert 0 < totals["before"]["messages"] < totals["messages"]


def test_countries_add_up_to_all_messages(hub: Hub) -> None:
    rows = hub.rows("countries")
    assert sum(row["messages"] for row in rows) == hub.rows("totals")[0]["messages"]
    assert round(sum(row["share"] for row in rows), 3) == 1
    assert {row["country"]: row["sources"] for row in rows}["FR"] == 1


def test_countries_count_messages_that_came_through_others(hub: Hub) -> None:
    rows = {row["country"]: row for row in hub.rows("countries")}
    assert rows["DE"]["through_others"] == 1
    assert rows["US"]["through_others"] == 0


def test_countries_by_time_add_up_to_the_countries(hub: Hub) -> None:
    hours = hub.rows("countries_by_time")
    totals = {row["country"]: row["messages"] for row in hub.rows("countries")}
    for code, total in totals.items():
        assert sum(row["messages"] for row in hours if row["country"] == code) == total


@pytest.mark.parametrize("facet", ["all", "method", "tool", "network", "dialled_country"])
def test_minutes_are_counted_as_hours_are(hub: Hub, facet: str) -> None:
    since = hub.rows("timeline", since="26h", step_s=3600)[0]["start"]  # a full hour, as the rollup begins
    hours = hub.rows("timeline", since=since, facet=facet, step_s=3600)
    minutes = hub.rows("timeline", since=since, facet=facet, step_s=60)
    assert count_values(hours) == count_values(minutes)


def count_values(rows: list[dict[str, Any]]) -> Counter[str]:
    counted = Counter[str]()
    for row in rows:
        counted[row["value"]] += row["messages"]
    return counted


def test_filter_that_no_rollup_knows_is_counted_from_the_messages(hub: Hub) -> None:
    rows = hub.rows("countries", tool="", sensor="edge-2")
    assert [row["country"] for row in rows] == ["DE"]


def test_leaders_are_the_busiest_values_of_each_facet(hub: Hub) -> None:
    rows = hub.rows("leaders", facets="method,user_agent", limit=1, count_sources=1)
    assert [(row["facet"], row["value"], row["sources"]) for row in rows] == [
        ("method", "OPTIONS", 2),
        ("user_agent", "friendly-scanner", 3),
    ]


def test_leaders_refuse_an_unknown_facet(hub: Hub) -> None:
    assert hub.get("/api/leaders", params={"facets": "colour"}).status_code == 400


def test_networks_carry_number_and_name(hub: Hub) -> None:
    rows = {row["asn"]: row["as_name"] for row in hub.rows("networks")}
    assert rows[64502] == "Exemple Télécom"


def test_leading_sources_are_those_of_the_sources_table(hub: Hub) -> None:
    leading = [(row["address"], row["messages"]) for row in hub.rows("leading_sources", limit=2)]
    assert leading == [(row["address"], row["messages"]) for row in hub.rows("sources", limit=2)]
