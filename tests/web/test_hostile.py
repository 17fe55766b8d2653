"""Text written by attackers leaves through every door of the web room harmless and visible."""

import json
from html.parser import HTMLParser

import pytest

from relaytrap.web.file_names import safe_name
from relaytrap.web.render import environment, script_json, shown
from tests.web import scene
from tests.web.conftest import Hub

ALLOWED_SCRIPTS = ("/static/theme.js", "/static/app.js", "/static/map.js")


class Page(HTMLParser):
    """What a browser would run or load: scripts, event attributes, addresses, and all visible text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.scripts: list[dict[str, str | None]] = []
        self.events: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "script":
            self.scripts.append(dict(attrs))
        for name, value in attrs:
            if name.startswith("on") or name == "style":
                self.events.append(f"{tag} {name}={value}")
            if name in ("href", "src", "action", "formaction", "xlink:href", "data"):
                self.addresses.append(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Page:
    page = Page()
    page.feed(text)
    return page


def hostile_pages(hub: Hub) -> list[str]:
    rows = hub.rows("messages", source=scene.HOSTILE, limit=20)
    assert len(rows) == 8
    paths = [f"/messages/{row['id']}" for row in rows]
    lists = [
        "/",
        "/messages?source=" + scene.HOSTILE,
        f"/sources/{scene.HOSTILE}",
        "/sources",
        "/countries/US",
        "/numbers",
    ]
    return [*paths, *lists]


def test_no_page_runs_or_loads_what_a_message_says(hub: Hub) -> None:
    for path in hostile_pages(hub):
        page = read(hub.get(path).text)
        assert page.events == [], path
        for script in page.scripts:
            source = script.get("src")
            assert script.get("type") == "application/json" or (source and source.startswith(ALLOWED_SCRIPTS)), path
        for address in page.addresses:
            assert address.startswith(("/", "#")), (path, address)


def test_no_page_shows_a_control_or_direction_mark_raw(hub: Hub) -> None:
    for path in hostile_pages(hub):
        text = hub.get(path).text
        assert not set(text) & set("\x00\x07\x1b\u202e\u2066"), path


def test_markup_in_a_header_is_shown_as_text(hub: Hub) -> None:
    row = hub.rows("messages", source=scene.HOSTILE, text="hacked=1", limit=1)[0]
    assert "<script>window.hacked=1</script>" in read(hub.get(f"/messages/{row['id']}").text).text


def test_escape_sequence_is_shown_by_its_numbers(hub: Hub) -> None:
    row = hub.rows("messages", source=scene.HOSTILE, text="[31mred", limit=1)[0]
    assert '<span class="esc">\\x1b</span>[31mred' in hub.get(f"/messages/{row['id']}").text


def test_value_of_64_kib_is_cut_and_says_so(hub: Hub) -> None:
    row = max(hub.rows("messages", source=scene.HOSTILE, limit=20), key=lambda each: each["size"])
    answer = hub.get(f"/messages/{row['id']}")
    assert "more bytes in this line" in answer.text
    assert len(answer.text) < 400_000
    assert "characters</span>" in hub.get("/messages", params={"source": scene.HOSTILE}).text


def test_live_rows_are_escaped_as_pages_are() -> None:
    row = dict.fromkeys(
        ("sensor", "request_uri", "user_agent", "tool", "tool_claimed", "dialled", "target", "as_name", "method"),
        "<b>\x1b",
    )
    row |= {"id": "0" * 16, "received_at": "2026-01-01T00:00:00.000000000Z", "direction": "in", "kind": "request"}
    row |= {
        "source": "192.0.2.1",
        "country": "",
        "tool_faked": True,
        "path_verdict": "relayed",
        "origin": "192.0.2.9",
        "dialled_country": "<b>",
    }
    row |= {"anomalies": [], "status_code": None, "cseq_method": "<b>"}
    made = environment().get_template("parts/rows.html").render(rows=[row], now_ns=0)
    assert "<b>" not in made
    assert "\x1b" not in made


def test_messages_in_the_api_are_plain_json(hub: Hub) -> None:
    answer = hub.get("/api/messages", params={"source": scene.HOSTILE, "limit": 20})
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["x-content-type-options"] == "nosniff"
    agents = {row["user_agent"] for row in json.loads(answer.text)["rows"]}
    assert scene.MARKUP.decode() in agents


@pytest.mark.parametrize("value", ["</script><script>x", "<!--", "\u2028\u2029", "]]>", "&lt;"])
def test_data_block_cannot_be_ended_by_its_data(value: str) -> None:
    made = str(script_json({"name": value}))
    assert not set(made) & set("<>&\u2028\u2029")
    assert json.loads(made) == {"name": value}


@pytest.mark.parametrize(
    "value", ["../../etc/passwd", 'a"b', "a\r\nSet-Cookie: x", "\u202egnp", "", ".", "-" * 300, "CON"]
)
def test_download_name_is_a_plain_file_name(value: str) -> None:
    name = safe_name(value)
    assert name
    assert len(name) <= 80
    assert not name.startswith((".", "-"))
    assert all(letter.isascii() and (letter.isalnum() or letter in ".-") for letter in name)


def test_download_of_hostile_values_has_a_safe_name(hub: Hub) -> None:
    answer = hub.get("/messages.pcapng", params={"call_id": '../"\r\nx: y'})
    assert answer.headers["content-disposition"] == 'attachment; filename="relaytrap-..-x-y.pcapng"'


@pytest.mark.parametrize("value", ["<b>", "a\x00b", "\u202e", "\ufeff", 'x" onload="y', "\u2028"])
def test_shown_text_is_inert(value: str) -> None:
    made = str(shown(value))
    assert "<b>" not in made
    assert not set(made) & set("\x00\u202e\ufeff\u2028")
    assert '" onload' not in made


def test_shown_text_is_cut_before_it_is_escaped() -> None:
    assert str(shown("<" * 500, 3)) == '<bdi>&lt;&lt;&lt;</bdi><span class="cut"> … 500 characters</span>'


def test_plain_text_keeps_attributes_closed() -> None:
    made = environment().from_string('<a title="{{ value|plain }}">').render(value='"><script>\x1b')
    assert made == '<a title="&#34;&gt;&lt;script&gt;\\x1b">'


def test_template_syntax_in_a_message_is_text() -> None:
    assert environment().from_string("{{ value|shown }}").render(value="{{7*7}}") == "<bdi>{{7*7}}</bdi>"


def test_search_text_comes_back_inert(hub: Hub) -> None:
    page = hub.get("/messages", params={"text": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in page
