"""Tables that follow what comes in, in a real browser over a hub that takes messages."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from relaytrap.hub.database import HubDatabase
from relaytrap.hub.keys import Keys
from tests.browser.conftest import Watched
from tests.web.conftest import Hub
from tests.web.conftest import taker as taker
from tests.web.scene import request, seen
from tests.web.test_uplink import segment, send

SOURCE = "192.0.2.30"
NUMBERS = itertools.count(1)
ROWS = "table.messages tbody tr"
HIDDEN = "Object.defineProperty(document, 'hidden', { configurable: true, get: () => %s });"
TOLD = "document.dispatchEvent(new Event('visibilitychange'));"

Arrive = Callable[..., None]


@pytest.fixture(scope="module")
def arrive(taker: Hub) -> Arrive:
    """Has messages of a method come in at a sensor."""
    with contextlib.closing(HubDatabase(taker.data_dir)) as database:
        token = Keys(database).add("live-browser")

    def come(method: str, count: int = 1, ago_s: float = 0) -> None:
        number, at_ns = next(NUMBERS), time.time_ns() - int(ago_s * 1e9)
        made = [
            seen(
                request(method, b"sip:100@198.51.100.7", SOURCE, call_id=b"c-%d-%d" % (number, each)),
                SOURCE,
                at_ns + each,
            )
            for each in range(count)
        ]
        send(taker, token, number, segment(*made))

    come("OPTIONS")
    return come


@pytest.fixture
def follower(browser: Browser, taker: Hub, arrive: Arrive) -> Iterator[Watched]:
    """A page over a hub that takes messages."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    made = Watched(context, taker.url)
    yield made
    context.close()
    assert made.complaints == []


def open_live(follower: Watched, path: str) -> Page:
    """The page once it follows, with the pointer away from its rows."""
    page = follower.page
    page.goto(follower.url + path)
    page.mouse.move(0, 0)
    expect(page.locator("[data-live]")).to_have_text("live")
    return page


@pytest.mark.parametrize("path", ["/", "/messages"])
def test_message_that_comes_in_stands_first(follower: Watched, arrive: Arrive, path: str) -> None:
    page = open_live(follower, path)
    arrive("INFO")
    expect(page.locator(ROWS).first.locator(".method")).to_contain_text("INFO")


def test_late_message_takes_its_place_by_time(follower: Watched, arrive: Arrive) -> None:
    page = open_live(follower, "/messages")
    arrive("NOTIFY", ago_s=3600)
    expect(page.locator(ROWS).last.locator(".method")).to_contain_text("NOTIFY")


def test_filtered_list_follows_what_fits_alone_also_when_nothing_did(follower: Watched, arrive: Arrive) -> None:
    page = open_live(follower, "/messages?method=PUBLISH")
    assert page.locator(ROWS).count() == 0
    arrive("OPTIONS")
    arrive("PUBLISH")
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(ROWS).locator(".method")).to_contain_text("PUBLISH")


def test_live_list_stays_as_it_is_after_a_reload_and_its_next_page_goes_on_where_it_ends(
    follower: Watched, arrive: Arrive
) -> None:
    arrive("MESSAGE", 58)
    page = open_live(follower, "/messages?method=MESSAGE")
    arrive("MESSAGE", 4)
    expect(page.locator(ROWS)).to_have_count(60)
    expect(page.locator("a[data-older]")).to_be_visible()
    hrefs = "[...document.querySelectorAll('.when a')].map((link) => link.pathname)"
    live, address = page.evaluate(hrefs), page.locator("a[data-older]").get_attribute("href") or ""
    page.reload()
    assert page.evaluate(hrefs) == live
    page.goto(address)
    assert page.locator(ROWS).count() == 2


def test_pages_that_nobody_looks_at_leave_the_connections_to_the_one_that_is_read(
    browser: Browser, taker: Hub, arrive: Arrive
) -> None:
    context = browser.new_context()
    for _ in range(8):
        page = context.new_page()
        page.add_init_script(HIDDEN % "true")
        page.goto(taker.url, wait_until="domcontentloaded", timeout=15_000)
    context.close()


def test_page_that_is_looked_at_again_has_what_came_meanwhile(follower: Watched, arrive: Arrive) -> None:
    page = open_live(follower, "/messages")
    page.evaluate(HIDDEN % "true" + TOLD)
    arrive("REFER")
    page.wait_for_timeout(2500)
    assert "REFER" not in page.locator(ROWS).first.inner_text()
    page.evaluate(HIDDEN % "false" + TOLD)
    expect(page.locator(ROWS).first).to_contain_text("REFER")


def test_list_holds_while_a_row_is_pointed_at_or_the_light_is_pressed(follower: Watched, arrive: Arrive) -> None:
    page = open_live(follower, "/messages")
    page.locator(ROWS).first.hover()
    arrive("UPDATE")
    expect(page.locator("[data-live]")).to_have_text("live, 1 wait")
    assert "UPDATE" not in page.locator(ROWS).first.inner_text()
    page.mouse.move(0, 0)
    expect(page.locator(ROWS).first).to_contain_text("UPDATE")
    page.locator("[data-live]").click()
    expect(page.locator("[data-live]")).to_have_text("paused")


def test_older_pages_and_stretches_that_ended_do_not_follow(follower: Watched) -> None:
    for path in ("/messages?until=2020-01-01", "/messages?before=2020-01-01T00:00:00Z_0000000000000000"):
        follower.page.goto(follower.url + path)
        assert follower.page.locator("[data-live]").count() == 0
