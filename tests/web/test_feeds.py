"""GET /feeds/NAME.FORMAT: the lists of a running hub, for programs that come again and again."""

import gzip
import subprocess

import pytest

from relaytrap.feeds import FORMATS, TITLES
from tests.web.conftest import Hub, relaytrap
from tests.web.scene import HOSTILE

SEEN = {"sensor": "edge", "evidence": "any", "sample": "yes", "since": "365d"}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", TITLES)
def test_every_feed_is_served_in_every_format(hub: Hub, name: str, form: str) -> None:
    answer = hub.get(f"/feeds/{name}.{form}", params=SEEN)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == FORMATS[form].media_type.partition(";")[0]


def test_what_is_unchanged_is_not_sent_again(hub: Hub) -> None:
    first = hub.get("/feeds/attackers.txt", params=SEEN)
    for condition in (
        {"if-none-match": first.headers["etag"]},
        {"if-none-match": f'"other", W/{first.headers["etag"]}'},
        {"if-modified-since": first.headers["last-modified"]},
    ):
        assert hub.get("/feeds/attackers.txt", params=SEEN, headers=condition).status_code == 304
    for condition in ({"if-none-match": '"other"'}, {"if-modified-since": "Thu, 01 Jan 1970 00:00:00 GMT"}):
        assert hub.get("/feeds/attackers.txt", params=SEEN, headers=condition).status_code == 200


@pytest.mark.parametrize(
    "moment", ["yesterday", "", "Thu, 99 Jan 1970 00:00:00 GMT", "Thu, 01 Jan 99999999999 00:00:00 GMT"]
)
def test_a_date_that_is_none_is_passed_over(hub: Hub, moment: str) -> None:
    assert hub.get("/feeds/attackers.txt", params=SEEN, headers={"if-modified-since": moment}).status_code == 200


def test_a_large_list_is_compressed_for_those_who_can_read_it(hub: Hub) -> None:
    with hub.client.stream("GET", "/feeds/attackers.nft", params=SEEN, headers={"accept-encoding": "gzip"}) as answer:
        data = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert b"table inet relaytrap" in gzip.decompress(data)


def test_where_no_honeypot_sent_anything_is_no_list_that_would_empty_a_firewall(hub: Hub) -> None:
    answer = hub.get("/feeds/attackers.txt")
    assert answer.status_code == 400
    assert "No honeypot of this hub has sent anything" in answer.json()["error"]


def test_what_attackers_wrote_reaches_no_list_as_it_was(hub: Hub) -> None:
    for form in FORMATS:
        text = hub.get(f"/feeds/sources.{form}", params=SEEN).text
        assert HOSTILE in text
        assert "<script>" not in text
        assert "\x1b" not in text


@pytest.mark.parametrize("path", ["/feeds/attackers.exe", "/feeds/everybody.txt", "/feeds/attackers", "/feeds/.txt"])
def test_a_feed_that_is_none_is_not_found(hub: Hub, path: str) -> None:
    assert hub.get(path).status_code == 404


@pytest.mark.parametrize("given", [{"evidence": "hope"}, {"colour": "red"}, {"limit": "x"}])
def test_a_wrong_option_is_refused(hub: Hub, given: dict[str, str]) -> None:
    assert hub.get("/feeds/attackers.txt", params=given).status_code == 400


def test_an_error_is_told_as_programs_read_it(hub: Hub) -> None:
    answer = hub.get("/feeds/attackers.txt", params={"limit": "x"})
    assert "limit" in answer.json()["error"]


def test_the_page_of_the_feeds_counts_lists_and_says_who_was_left_out(hub: Hub) -> None:
    text = hub.get("/feeds").text
    assert all(f'href="/feeds/{name}.{form}"' in text for name in TITLES for form in FORMATS)
    assert "No honeypot of this hub has sent anything" in text


@pytest.mark.parametrize("path", ["/sources", "/origins"])
def test_pages_of_attackers_lead_to_the_lists(hub: Hub, path: str) -> None:
    assert 'href="/feeds"' in hub.get(path).text


def test_the_page_hands_its_conditions_on_to_the_lists(hub: Hub) -> None:
    text = hub.get("/feeds", params=SEEN).text
    assert 'href="/feeds/sources.nft?since=365d&amp;evidence=any&amp;sensor=edge&amp;sample=yes"' in text
    assert hub.get("/feeds", params={"evidence": "<script>"}).status_code == 400


def test_the_command_asks_the_hub_and_gets_the_same_list(hub: Hub) -> None:
    given = [part for name, value in SEEN.items() for part in (f"--{name}", value) if name != "sample"]
    command = relaytrap("feed", "nft", "--what", "sources", "--sample", *given, data=hub.data_dir)
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == hub.get("/feeds/sources.nft", params=SEEN).content
    wrong = subprocess.run(relaytrap("feed", "--sensor", "nobody", data=hub.data_dir), capture_output=True, check=False)
    assert wrong.returncode == 4
    assert wrong.stderr.startswith(b"relaytrap: sensor: no message of 'nobody' is stored")
