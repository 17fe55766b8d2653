"""The messages explorer and the page of one message."""

import io
import re
import subprocess
from pathlib import Path

import pytest

from relaytrap.capture.pcapng import write_capture
from relaytrap.capture.segment import read_segment
from relaytrap.observation import Observation
from relaytrap.store.queries import FIELDS
from relaytrap.web.pages.messages import BAR, MORE
from tests.web import scene
from tests.web.conftest import Hub, relaytrap


def ids_on(page: str) -> list[str]:
    return re.findall(r'<td class="nowrap when"><a href="/messages/([0-9a-f]{16})">', page)


def page_of(hub: Hub, **given: str) -> str:
    row = hub.rows("messages", **given, limit=1)[0]
    return hub.get(f"/messages/{row['id']}").text


def test_every_field_of_the_filter_has_a_control() -> None:
    assert set(BAR) | set(MORE) == set(FIELDS)
    assert not set(BAR) & set(MORE)


def test_newest_message_stands_first(hub: Hub) -> None:
    rows = hub.rows("messages", limit=10)
    assert ids_on(hub.get("/messages").text)[:10] == [row["id"] for row in rows]


def test_older_and_newer_lead_through_every_message_once(hub: Hub) -> None:
    every, path = [], "/messages"
    while path:
        page = hub.get(path).text
        every += ids_on(page)
        older = re.search(r'rel="next" href="([^"]+)"', page)
        path = older[1].replace("&amp;", "&") if older else ""
    assert len(every) == len(set(every)) == hub.rows("count")[0]["messages"]
    newer = re.search(r'rel="prev" href="([^"]+)"', page)
    assert newer
    before = ids_on(hub.get(newer[1].replace("&amp;", "&")).text)
    assert before == every[: len(before)]


def test_filter_in_the_address_narrows_and_stands_in_the_form(hub: Hub) -> None:
    page = hub.get("/messages", params={"method": "REGISTER"}).text
    assert len(ids_on(page)) == 1
    assert "<option selected>REGISTER</option>" in page


def test_condition_that_makes_no_sense_is_explained(hub: Hub) -> None:
    answer = hub.get("/messages", params={"source": "not-an-address"})
    assert answer.status_code == 400
    assert "is no address or network" in answer.text


def test_cursor_that_is_none_is_explained(hub: Hub) -> None:
    assert hub.get("/messages", params={"before": "yesterday"}).status_code == 400


def test_no_message_fits_says_so(hub: Hub) -> None:
    assert "No message fits." in hub.get("/messages", params={"method": "PUBLISH"}).text


def test_message_page_shows_the_path_and_who_vouches(hub: Hub) -> None:
    page = page_of(hub, call_id="relayed-1")
    assert ">relayed<" in page
    assert f"{scene.RELAY} wrote down that it came from here" in page
    assert f'href="/origins/{scene.ORIGIN}"' in page


def test_message_page_marks_the_bytes_that_a_reason_rests_on(hub: Hub) -> None:
    page = page_of(hub, call_id="relayed-1")
    marked = re.findall(r'<mark class="path"><bdi>([^<]*)</bdi>', page)
    assert any("received=203.0.113.70" in each for each in marked)


def test_message_page_reads_the_dialled_number(hub: Hub) -> None:
    page = page_of(hub, call_id="dial-1")
    assert '<span class="d-prefix" title="Way out of a country">0011</span>' in page
    assert "Leads to <b>France</b>" in page
    assert "Australia" in page


def test_ladder_shows_the_request_and_our_answer(hub: Hub) -> None:
    page = page_of(hub, call_id="register-1", method="REGISTER")
    assert "401 to REGISTER" in page
    assert page.count('marker-end="url(#head-') == 2


def test_message_that_is_not_sip_is_shown_in_hex(hub: Hub) -> None:
    page = page_of(hub, kind="unparsed")
    assert "00 01 02 20 6e 6f 74 68" in page


def test_download_holds_the_same_bytes(hub: Hub) -> None:
    row = hub.rows("messages", call_id="dial-1", limit=1)[0]
    answer = hub.get("/messages.pcapng", params={"id": row["id"]})
    (found,) = read_segment(io.BytesIO(answer.content))
    assert found.raw.startswith(b"INVITE sip:001133155123456@")
    assert (found.source, found.sensor) == (scene.FR, "edge")
    assert answer.headers["content-disposition"] == f'attachment; filename="relaytrap-{row["id"]}.pcapng"'


@pytest.mark.parametrize("path", ["/messages/XYZ", "/messages/%2e%2e", "/messages/00112233445566778899"])
def test_identifier_that_is_none_is_refused_in_a_sentence(hub: Hub, path: str) -> None:
    assert hub.get(path).status_code in (400, 404)


def test_fingerprint_of_a_tls_client_leads_to_what_else_it_sent(taker: Hub, tmp_path: Path) -> None:
    note = "JA4 t13i301000_1d37bd780c83_8e6e362c5eac"
    seen = [
        Observation(10**18 + n, "tls", "in", "tls", "192.0.2.77", 4711, "192.0.2.1", 5061, b"x%d" % n, notes=(note,))
        for n in range(2)
    ]
    with (tmp_path / "tls.pcapng").open("wb") as file:
        write_capture(file, seen)
    subprocess.run(relaytrap("import", file.name, data=taker.data_dir), check=True, stdout=subprocess.DEVNULL)
    page = page_of(taker, transport="tls")
    assert "tls 192.0.2.1:5061" in page
    link = re.search(r'<a href="(/messages\?note=JA4[^"]+)">', page)
    assert link
    assert len(ids_on(taker.get(link[1].replace("&amp;", "&")).text)) == 2


def test_relayed_message_leads_to_its_origin_from_the_list(hub: Hub) -> None:
    page = hub.get("/messages", params={"verdict": "relayed"}).text
    assert f'href="/origins/{scene.ORIGIN}"' in page
    assert "/origins/" not in hub.get("/messages", params={"verdict": "direct"}).text.partition("<table")[2]


def test_leaving_out_our_answers_unfolds_no_further_conditions(hub: Hub) -> None:
    assert '<details class="more" open>' not in hub.get("/messages", params={"direction": "in"}).text
    assert '<details class="more" open>' in hub.get("/messages", params={"relay": scene.RELAY}).text
