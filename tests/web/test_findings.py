"""Relays, origins and campaigns as pages: what they claim, and the way from each claim to the bytes."""

import re
from urllib.parse import parse_qs, parse_qsl, urlencode

import pytest

from tests.web import scene
from tests.web.conftest import Hub


def campaign_of(hub: Hub) -> str:
    row = hub.rows("origin", address=scene.ORIGIN)[0]
    found: str = row["campaign"]
    return found


@pytest.mark.parametrize(
    "path", ["/relays", "/origins", "/campaigns", "/campaigns?relayed=1", "/relays?sort=nonsense&page=x"]
)
def test_lists_answer_over_a_full_and_an_empty_store(hub: Hub, empty_hub: Hub, path: str) -> None:
    assert hub.get(path).status_code == 200
    assert empty_hub.get(path).status_code == 200


def test_relays_page_names_the_relay_and_calls_it_a_victim(hub: Hub) -> None:
    page = hub.get("/relays").text
    assert f'href="/relays/{scene.RELAY}"' in page
    assert "They are victims" in page


def test_relay_page_says_for_whom_and_links_to_the_bytes(hub: Hub) -> None:
    page = hub.get(f"/relays/{scene.RELAY}").text
    assert f'href="/origins/{scene.ORIGIN}"' in page
    link = re.search(r'href="(/messages\?relay=[^"]+)">see the bytes', page)
    assert link
    assert scene.RELAY in hub.get(link[1].replace("&amp;", "&")).text


def test_relay_page_gives_the_reasons_of_a_message(hub: Hub) -> None:
    assert f"wrote that it took the request from {scene.ORIGIN}" in hub.get(f"/relays/{scene.RELAY}").text


def test_origin_page_names_its_witnesses(hub: Hub) -> None:
    page = hub.get(f"/origins/{scene.ORIGIN}").text
    assert f'href="/relays/{scene.RELAY}"' in page
    assert "Relays that vouch" in page
    assert 'class="pic fan"' in page


def test_origin_that_never_came_itself_is_found_where_a_source_is_looked_for(hub: Hub) -> None:
    answer = hub.get(f"/sources/{scene.ORIGIN}")
    assert answer.status_code == 404
    assert f'href="/origins/{scene.ORIGIN}"' in answer.text


def test_address_that_is_only_claimed_is_no_origin(hub: Hub) -> None:
    answer = hub.get("/origins/192.0.2.250")
    assert answer.status_code == 404
    assert "proves nothing" in answer.text


def test_source_that_relays_nothing_is_no_relay(hub: Hub) -> None:
    assert hub.get(f"/relays/{scene.US}").status_code == 404


def test_campaign_page_shows_points_that_lead_to_messages(hub: Hub) -> None:
    page = hub.get(f"/campaigns/{campaign_of(hub)}").text
    points = re.findall(r'data-m="([0-9a-f]{16})"', page)
    assert points == [hub.rows("messages", call_id="relayed-1", limit=1)[0]["id"]]


def test_campaign_page_says_why_its_messages_belong_together(hub: Hub) -> None:
    page = hub.get(f"/campaigns/{campaign_of(hub)}").text
    assert "Why do these belong together?" in page
    assert "took these requests from" in page


def test_campaign_page_says_where_its_origin_is_and_how_much_of_it_bears_each_user_agent(hub: Hub) -> None:
    page = hub.get(f"/campaigns/{campaign_of(hub)}").text
    assert f"{scene.ORIGIN}</a> (" in page
    assert re.search(r"friendly-scanner</bdi></a> <span class=\"muted nowrap\">100 %</span>", page)


@pytest.mark.parametrize("path", ["/campaigns/0123456789ab", "/campaigns/nonsense", "/relays/x", "/origins/x"])
def test_finding_that_is_none_is_a_404_page(hub: Hub, path: str) -> None:
    assert hub.get(path).status_code == 404


def test_message_leads_to_its_campaign_relay_and_origin(hub: Hub) -> None:
    row = hub.rows("messages", call_id="relayed-1", limit=1)[0]
    page = hub.get(f"/messages/{row['id']}").text
    for link in (f"/campaigns/{campaign_of(hub)}", f"/relays/{scene.RELAY}", f"/origins/{scene.ORIGIN}"):
        assert f'href="{link}"' in page


def test_country_page_tells_relays_from_origins(hub: Hub) -> None:
    page = hub.get("/countries/DE?last=7d").text
    assert "Relays here" in page
    assert "Origins here" in page
    assert f'href="/relays/{scene.RELAY}"' in page


def test_country_page_counts_different_sources_over_time(hub: Hub) -> None:
    page = hub.get("/countries/US?last=24h").text
    picture = page.partition('aria-label="Different sources over time"')[2].partition("</section>")[0]
    assert picture.count("different sources 1") > 20


def test_country_page_leads_to_all_its_relays_and_origins(hub: Hub) -> None:
    page = hub.get("/countries/DE?last=7d").text
    assert 'href="/relays?country=DE"' in page
    assert f'href="/relays/{scene.RELAY}"' in hub.get("/relays?country=DE").text


@pytest.mark.parametrize(
    "given", ["country=de", "asn=AS64504", "network=203.0.113.48/28", "country=DE&asn=64504&network=203.0.113.60"]
)
def test_relays_page_shows_those_of_a_place_and_carries_it_on(hub: Hub, given: str) -> None:
    page = hub.get(f"/relays?{given}&sort=origins").text.replace("&amp;", "&")
    assert f'href="/relays/{scene.RELAY}"' in page
    asked = urlencode(parse_qsl(given))
    assert f'href="/api/relays?sort=origins&limit=100&{asked}"' in page
    assert all(f"sort={name}" in page for name in ("messages", "last_seen"))
    links = [link for link in re.findall(r'href="/relays\?([^"]+)"', page) if "sort=" in link and "last=" in link]
    assert links
    assert all(parse_qs(link).items() >= parse_qs(given).items() for link in links)
    hub_rows = hub.rows("relays", **dict(parse_qsl(given)))
    assert [row["address"] for row in hub_rows] == [scene.RELAY]


@pytest.mark.parametrize("page", ["relays", "origins", "campaigns"])
def test_findings_of_late_are_asked_for_at_every_door(hub: Hub, page: str) -> None:
    (row, *_) = hub.rows(page, sort="last_seen") if page != "origins" else hub.rows(page)
    for since, found in ((row["last_seen"], True), ("2100-01-01", False)):
        shown = hub.get(f"/{page}", params={"since": since, "sort": "last_seen"}).text
        assert (f'href="/{page}/{row.get("address") or row["id"]}"' in shown) is found
        assert (f"No {page[:-1]} fits." in shown) is not found
        assert f'name="since" value="{since}"' in shown
        assert bool(hub.rows(page, since=since)) is found
    assert "since: &#39;soon&#39; is not understood" in hub.get(f"/{page}?since=soon").text


@pytest.mark.parametrize("page", ["relays", "origins"])
def test_place_without_findings_says_which_condition_finds_nothing(hub: Hub, page: str) -> None:
    shown = hub.get(f"/{page}?asn=AS64999&network=203.0.113.0/24").text
    assert f"No {page[:-1]} fits." in shown
    assert "None is known in <bdi>AS64999</bdi>." in shown
    assert "None is known in <bdi>203.0.113.0/24</bdi>" not in shown
    assert hub.rows(page, asn="64999") == []


@pytest.mark.parametrize("page", ["relays", "origins"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("country", "<script>alert(1)</script>"),
        ("asn", "1 OR 1"),
        ("network", "10.0.0.0/8'; DROP"),
        ("network", "::%x"),
    ],
)
def test_place_that_is_none_is_one_sentence_beside_the_form(hub: Hub, page: str, name: str, value: str) -> None:
    shown = hub.get(f"/{page}", params={name: value})
    assert shown.status_code == 400
    assert f"<bdi>{name}: " in shown.text
    assert f'<form class="filters" action="/{page}"' in shown.text
    assert "<script>alert" not in shown.text
    answer = hub.get(f"/api/{page}", params={name: value})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(f"{name}: ")


def test_overview_shows_what_is_behind_the_relays(hub: Hub, empty_hub: Hub) -> None:
    assert "Behind the relays</h2><span" in hub.get("/").text
    assert "Behind the relays</h2><span" not in empty_hub.get("/").text


def test_relays_by_time_count_each_address_once_an_hour(hub: Hub) -> None:
    rows = hub.rows("relays_by_time")
    assert [(row["country"], row["relays"], row["messages"]) for row in rows] == [("DE", 1, 1)]
    assert hub.rows("relays_by_time", since="1h", until="now", step_s=60)[0]["relays"] == 1


@pytest.mark.parametrize(
    ("file", "kind"), [("sweep.svg", "image/svg+xml"), ("fan.svg", "image/svg+xml"), ("sweep.png", "image/png")]
)
def test_pictures_of_a_campaign_are_files_too(hub: Hub, file: str, kind: str) -> None:
    answer = hub.get(f"/campaigns/{campaign_of(hub)}/{file}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize("file", ["sweep.pdf", "other.svg", "sweep", "%2e%2e"])
def test_picture_that_is_none_is_a_404_page(hub: Hub, file: str) -> None:
    assert hub.get(f"/campaigns/{campaign_of(hub)}/{file}").status_code == 404
