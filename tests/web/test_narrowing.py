"""Tables of sources and numbers, narrowed by what their form asks for."""

import html
import re

import pytest

from tests.web import scene
from tests.web.conftest import Hub


@pytest.mark.parametrize(
    ("path", "has", "lacks"),
    [
        ("/sources?last=all&source=203.0.113.0/28", scene.US, scene.FR),
        ("/sources?last=all&country=FR&method=REGISTER", scene.FR, scene.US),
        ("/numbers?last=all&dialled_country=FR", "33155123456", "No number fits"),
    ],
)
def test_table_shows_what_fits_and_its_form_what_was_asked_for(hub: Hub, path: str, has: str, lacks: str) -> None:
    page = hub.get(path).text
    assert has in page
    assert lacks not in page
    for name, value in re.findall(r"(\w+)=([^&]+)", path.partition("?")[2]):
        assert f'name="{name}" value="{value}"' in page
        assert name == "last" or f"{name}: {value}</a>" in page


@pytest.mark.parametrize("path", ["/sources", "/numbers"])
def test_wrong_condition_is_one_sentence_beside_the_form(hub: Hub, path: str) -> None:
    answer = hub.get(path, params={"source": "nowhere"})
    assert answer.status_code == 400
    assert "is no address or network" in html.unescape(answer.text)
    assert 'name="source" value="nowhere"' in answer.text


@pytest.mark.parametrize("path", ["/sources?country=JP&last=24h", "/numbers?country=JP&last=24h"])
def test_table_without_rows_says_how_to_find_some(hub: Hub, path: str) -> None:
    page = html.unescape(hub.get(path).text)
    assert "Remove a condition above" in page
    assert f'href="{path.partition("?")[0]}?last=all&country=JP"' in page


@pytest.mark.parametrize("path", ["/sources", "/numbers", "/countries", "/"])
def test_page_of_an_empty_store_says_how_to_send_a_first_message(empty_hub: Hub, path: str) -> None:
    assert "No messages yet." in empty_hub.get(path).text


def test_numbers_have_further_pages(hub: Hub) -> None:
    page = html.unescape(hub.get("/numbers?last=all&page=1").text)
    assert 'rel="prev" href="/numbers?page=0&last=all"' in page
