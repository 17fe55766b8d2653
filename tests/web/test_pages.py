"""Every page answers, empty and full, and shows what the store holds."""

import pytest

from tests.web import scene
from tests.web.conftest import Hub

PAGES = ("/", "/countries", "/countries/US", "/messages", "/sources", "/numbers", "/sensors", "/api")


@pytest.mark.parametrize("path", PAGES)
def test_page_answers_over_a_full_store(hub: Hub, path: str) -> None:
    answer = hub.get(path)
    assert answer.status_code == 200
    assert "<h1" in answer.text


@pytest.mark.parametrize("path", PAGES)
def test_page_answers_over_an_empty_store(empty_hub: Hub, path: str) -> None:
    assert empty_hub.get(path).status_code == 200


@pytest.mark.parametrize("path", ["/", "/countries", "/messages", "/sensors"])
def test_empty_store_says_how_to_send_a_first_message(empty_hub: Hub, path: str) -> None:
    assert "No messages yet." in empty_hub.get(path).text


@pytest.mark.parametrize("last", ["1h", "24h", "7d", "30d", "all", "nonsense"])
def test_every_stretch_of_time_is_shown(hub: Hub, last: str) -> None:
    assert hub.get("/", params={"last": last}).status_code == 200


def test_empty_store_is_said_once(empty_hub: Hub) -> None:
    assert empty_hub.get("/messages").text.count("No messages yet.") == 1


def test_messages_page_says_that_our_answers_are_counted_and_how_to_leave_them_out(hub: Hub) -> None:
    said = "our answers among them"
    assert said in hub.get("/messages").text
    assert 'href="/messages?direction=in&amp;source=' in hub.get("/messages", params={"source": scene.FR}).text
    assert said not in hub.get("/messages", params={"direction": "in"}).text


def test_api_page_shows_no_quotes_of_the_source_text(hub: Hub) -> None:
    page = hub.get("/api").text
    assert "`" not in page
    assert "list_" not in page


def test_overview_names_the_busiest_country(hub: Hub) -> None:
    assert 'href="/countries/US?last=7d"' in hub.get("/").text


def test_overview_tells_in_words_who_is_behind_the_relays(hub: Hub) -> None:
    told = hub.get("/").text.partition('class="card lead"')[2].partition("</section>")[0]
    assert "came through other people's servers" in told
    assert "The biggest campaign behind relays: <a" in told
    assert f'href="/origins/{scene.ORIGIN}"' in told


def test_page_of_an_error_has_a_heading(hub: Hub) -> None:
    assert "<h1>" in hub.get("/nothing").text


def test_condition_that_is_not_understood_counts_nothing(hub: Hub) -> None:
    answer = hub.get("/messages", params={"since": "yesterday evening"})
    assert answer.status_code == 400
    assert "data-count" not in answer.text


def test_our_answer_is_made_with_no_tool(hub: Hub) -> None:
    page = hub.get("/messages", params={"kind": "response"}).text
    assert "our answer" in page
    assert page.partition('<td class="tool')[2].partition("</td>")[0].count("unknown") == 0


def test_sample_sensors_raise_the_banner_with_the_command_that_removes_them(hub: Hub, empty_hub: Hub) -> None:
    assert "relaytrap sample remove" in hub.get("/").text
    assert "This is a sample." not in empty_hub.get("/").text


def test_footer_names_the_date_of_the_address_tables(hub: Hub) -> None:
    assert "Countries and networks as of 20" in hub.get("/").text


def test_country_page_lists_its_sources_and_networks(hub: Hub) -> None:
    page = hub.get("/countries/fr").text
    assert "<h1>France</h1>" in page
    assert scene.FR in page
    assert "Exemple Télécom" in page


def test_country_without_messages_says_so(hub: Hub) -> None:
    assert "Nothing from Japan" in hub.get("/countries/JP").text


def test_source_page_shows_its_messages(hub: Hub) -> None:
    page = hub.get(f"/sources/{scene.FR}").text
    assert "REGISTER" in page
    assert "INVITE" in page


def test_source_that_sent_nothing_is_404_with_a_way_on(hub: Hub) -> None:
    answer = hub.get("/sources/192.0.2.1")
    assert answer.status_code == 404
    assert "sent nothing" in answer.text


def test_text_anywhere_in_the_bytes_is_a_condition_of_the_messages_page(hub: Hub) -> None:
    found = hub.get("/messages", params={"raw": "INVITE sip:"})
    assert found.status_code == 200
    assert "INVITE" in found.text
    assert "No message fits." in hub.get("/messages", params={"raw": "no such bytes"}).text


@pytest.mark.parametrize("path", ["/sources/nonsense", "/countries/FRA", "/messages/0123456789abcdef", "/nothing"])
def test_wrong_address_is_a_404_page(hub: Hub, path: str) -> None:
    answer = hub.get(path)
    assert answer.status_code == 404
    assert "Relaytrap" in answer.text


def test_numbers_page_shows_prefix_and_destination(hub: Hub) -> None:
    page = hub.get("/numbers").text
    assert "+33155123456" in page
    assert "France" in page
    assert ">0011<" in page


def test_sensors_page_lists_every_sensor(hub: Hub) -> None:
    page = hub.get("/sensors").text
    for name in ("edge", "edge-2", "sample-old"):
        assert f"sensor={name}" in page


def test_unchanged_page_is_answered_with_304(hub: Hub) -> None:
    first = hub.get("/api")
    again = hub.get("/api", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert not again.content


@pytest.mark.parametrize("path", ["/", "/nowhere", "/sources/nobody", "/messages?since=yesteryear"])
def test_pages_are_compressed_also_those_that_tell_of_an_error(hub: Hub, path: str) -> None:
    assert hub.get(path).headers["content-encoding"] == "gzip"


@pytest.mark.parametrize("path", ["/", "/nowhere", "/static/app.css", "/static/app.js"])
def test_a_page_names_its_encoding_once(hub: Hub, path: str) -> None:
    assert hub.get(path).headers["content-type"].count("charset=utf-8") == 1


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("203.0.113.5", "/sources/203.0.113.5"),
        ("1341f8ed9e4b", "/campaigns/1341f8ed9e4b"),
        ("442079460123", "/messages?dialled=442079460123"),
        ("203.0.113.0/24", "/messages?source=203.0.113.0%2F24"),
        ("France", "/countries/FR"),
        ("de", "/countries/DE"),
        ("AS64501", "/messages?asn=64501"),
        ("+33 1 55 12 34 56", "/messages?dialled=%2B33155123456"),
        ("friendly-scanner", "/messages?text=friendly-scanner"),
        ("00112233445566aa", "/messages/00112233445566aa"),
        ("", "/messages"),
    ],
)
def test_search_goes_where_the_text_leads(hub: Hub, text: str, wanted: str) -> None:
    answer = hub.get("/search", params={"q": text})
    assert answer.status_code == 303
    assert answer.headers["location"] == wanted
