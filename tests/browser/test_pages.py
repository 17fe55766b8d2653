"""Pages in a real browser."""

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import NARROW, WIDE, Watched
from tests.web import scene
from tests.web.conftest import Hub

PAGES = (
    "/",
    "/countries",
    "/countries/US",
    "/messages",
    "/sources",
    "/numbers",
    "/sensors",
    "/api",
    "/relays",
    "/origins",
    "/campaigns",
    "/feeds",
)
DARK = {"color_scheme": "dark"}


@pytest.mark.parametrize(
    "watched", [{"viewport": WIDE}, {"viewport": NARROW}, {"viewport": NARROW, **DARK}], indirect=True
)
def test_every_page_is_quiet_local_and_fits_the_screen(watched: Watched, hub: Hub) -> None:
    relayed = hub.rows("messages", call_id="relayed-1", limit=1)[0]["id"]
    campaign = hub.rows("origin", address=scene.ORIGIN)[0]["campaign"]
    single = f"/messages/{relayed}", f"/relays/{scene.RELAY}", f"/origins/{scene.ORIGIN}", f"/campaigns/{campaign}"
    for path in (*PAGES, *single, f"/sources/{scene.HOSTILE}"):
        page = watched.open(path)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, path
        assert watched.complaints == [], path


def test_hostile_text_is_shown_and_not_run(watched: Watched, hub: Hub) -> None:
    for row in hub.rows("messages", source=scene.HOSTILE, limit=20):
        page = watched.open(f"/messages/{row['id']}")
        assert page.evaluate("window.hacked") is None
    page = watched.open(f"/messages?source={scene.HOSTILE}")
    assert page.evaluate("window.hacked") is None
    assert page.get_by_text("<script>window.hacked=1</script>").count() > 0


@pytest.mark.parametrize("watched", [{"viewport": NARROW}], indirect=True)
def test_hostile_text_does_not_stretch_a_narrow_page(watched: Watched, hub: Hub) -> None:
    for row in hub.rows("messages", source=scene.HOSTILE, limit=20):
        page = watched.open(f"/messages/{row['id']}")
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_combining_marks_stay_in_the_cell_of_their_text(watched: Watched) -> None:
    page = watched.open(f"/messages?source={scene.HOSTILE}")
    assert page.evaluate("getComputedStyle(document.querySelector('td.what')).overflowY") == "clip"


@pytest.mark.parametrize("watched", [{"viewport": {"width": 1280, "height": 900}}], indirect=True)
def test_tables_fit_a_laptop_whatever_their_text_is(watched: Watched) -> None:
    for path in ("/", "/messages", "/sources", "/numbers", "/relays", "/origins", f"/relays/{scene.RELAY}"):
        page = watched.open(path)
        beyond = "[...document.querySelectorAll('.scroll')].map((box) => box.scrollWidth - box.clientWidth)"
        assert max(page.evaluate(beyond)) <= 0, path


@pytest.mark.parametrize("watched", [{"viewport": NARROW}], indirect=True)
def test_names_of_a_ladder_stay_within_it_on_a_narrow_page(watched: Watched, hub: Hub) -> None:
    row = hub.rows("messages", call_id="relayed-1", limit=1)[0]
    page = watched.open(f"/messages/{row['id']}")
    beyond = page.evaluate(
        "(() => { const frame = document.querySelector('svg.ladder').getBoundingClientRect();"
        " return [...document.querySelectorAll('.ladder .name')].map((each) => each.getBoundingClientRect())"
        ".filter((box) => box.left < frame.left || box.right > frame.right).length; })()"
    )
    assert beyond == 0


def test_reason_leads_to_its_bytes(watched: Watched, hub: Hub) -> None:
    row = hub.rows("messages", call_id="relayed-1", limit=1)[0]
    page = watched.open(f"/messages/{row['id']}")
    page.locator("#path a[data-byte]").first.click()
    line = page.locator(".raw .line.target")
    line.wait_for()
    assert line.count() == 1
    assert line.locator("mark.path").count() >= 1


def test_hex_view_takes_the_place_of_the_annotated_one(watched: Watched, hub: Hub) -> None:
    row = hub.rows("messages", call_id="dial-1", limit=1)[0]
    page = watched.open(f"/messages/{row['id']}")
    page.get_by_role("button", name="Hex").click()
    assert page.locator("pre.hex").is_visible()
    assert not page.locator("#annotated").is_visible()


def test_row_of_a_message_opens_it(watched: Watched) -> None:
    page = watched.open("/messages?call_id=dial-1")
    page.locator("table.messages tbody tr").first.locator("td.what").click()
    page.wait_for_url("**/messages/*")
    assert "INVITE" in page.locator("h1").inner_text()


def test_choice_narrows_at_once_and_leaves_empty_fields_out_of_the_address(watched: Watched) -> None:
    page = watched.open("/messages")
    page.get_by_label("Method").select_option("REGISTER")
    page.wait_for_url("**/messages?method=REGISTER")
    assert page.locator("table.messages tbody tr").count() == 1


def test_number_of_fitting_messages_follows(watched: Watched) -> None:
    page = watched.open("/messages?method=REGISTER")
    page.get_by_text("1 message from 1 source.").wait_for()


def test_slash_goes_to_the_search_box_and_search_finds_an_address(watched: Watched) -> None:
    page = watched.open("/")
    page.keyboard.press("/")
    page.keyboard.type(scene.FR)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/sources/{scene.FR}")


@pytest.mark.parametrize("watched", [{"permissions": ["clipboard-read", "clipboard-write"]}], indirect=True)
def test_command_and_identifier_can_be_copied(watched: Watched, hub: Hub) -> None:
    page = watched.open("/messages?method=REGISTER")
    page.get_by_text("Command", exact=True).click()
    page.locator("[data-menu] [data-copy]").first.click()
    pasted = "navigator.clipboard.readText()"
    assert page.evaluate(pasted) == "relaytrap messages --method=REGISTER --limit=60"
    page.keyboard.press("Escape")
    assert not page.locator("[data-menu] code").first.is_visible()
    row = hub.rows("messages", call_id="dial-1", limit=1)[0]
    page = watched.open(f"/messages/{row['id']}")
    page.get_by_role("button", name="Copy the identifier").click()
    assert page.evaluate(pasted) == row["id"]


def test_light_and_dark_follow_the_system_and_then_the_reader(watched: Watched) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    page = watched.open("/sources")
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(ground)
    assert light != dark
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate(ground) == light
    watched.open("/numbers")
    assert page.evaluate(ground) == light


def test_page_without_scripts_has_the_map_as_a_picture(browser: Browser, hub: Hub) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(hub.url + "/countries")
    page.locator(".map img").wait_for(state="visible")
    context.close()


def test_point_of_a_campaign_tells_what_it_is_and_opens_its_message(watched: Watched, hub: Hub) -> None:
    campaign = hub.rows("origin", address=scene.ORIGIN)[0]["campaign"]
    page = watched.open(f"/campaigns/{campaign}")
    point = page.locator("#sweep use[data-m]").first
    page.locator("#sweep").scroll_into_view_if_needed()
    point.hover()
    assert f"through {scene.RELAY}" in page.locator("#tip").inner_text()
    point.click()
    page.wait_for_url("**/messages/*")


@pytest.mark.parametrize("watched", [{"viewport": NARROW}], indirect=True)
def test_names_in_the_fan_do_not_lie_over_each_other_on_a_narrow_page(watched: Watched) -> None:
    page = watched.open(f"/origins/{scene.ORIGIN}")
    boxes = page.evaluate(
        "[...document.querySelectorAll('.fan text')].map((each) => each.getBoundingClientRect()).filter((b) => b.width)"
        ".map((b) => [b.left, b.top, b.right, b.bottom])"
    )
    assert len(boxes) >= 2
    for number, one in enumerate(boxes):
        for other in boxes[number + 1 :]:
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart, (one, other)


def test_overview_keeps_as_many_newest_messages_as_it_shows_whole(watched: Watched) -> None:
    page = watched.open("/")
    hidden = page.evaluate(
        "(() => { const box = document.querySelector('[data-ticker]').parentElement;"
        " return box.scrollHeight - box.clientHeight; })()"
    )
    assert hidden <= 0
    assert int(page.locator("[data-ticker]").get_attribute("data-ticker") or 0) > 0


def test_page_without_scripts_shows_nothing_that_needs_them_and_the_bytes_in_hex(browser: Browser, hub: Hub) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(hub.url + "/")
    page.locator(".map img").wait_for(state="visible")
    for needless in ("[data-measure] >> nth=0", ".map .wait", "[data-live]"):
        assert not page.locator(needless).is_visible(), needless
    page.goto(f"{hub.url}/messages/{hub.rows('messages', call_id='dial-1', limit=1)[0]['id']}")
    assert page.locator("pre.hex").is_visible()
    context.close()
