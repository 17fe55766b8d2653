"""The world map in a real browser."""

import re

import pytest

from tests.browser.conftest import NARROW, WIDE, Watched

CENTRE = """(code) => {
  const view = window.mapView;
  const item = (function find(group) {
    for (const each of group.items || []) {
      if (each.datum && each.datum.id === code && each.bounds && each.mark.marktype !== "group") {
        if (each.mark.marktype === "symbol" || each.datum.count) return each;
      }
      const inner = find(each);
      if (inner) return inner;
    }
    return null;
  })({ items: [view.scenegraph().root.items[0]] });
  if (!item) return null;
  const box = document.querySelector("#map canvas").getBoundingClientRect();
  const [x, y] = view.origin();
  const bounds = item.bounds;
  return [box.left + x + (bounds.x1 + bounds.x2) / 2, box.top + y + (bounds.y1 + bounds.y2) / 2];
}"""


def test_click_on_a_country_opens_its_page(watched: Watched) -> None:
    page = watched.open("/countries")
    x, y = page.evaluate(CENTRE, "DE")
    page.mouse.click(x, y)
    page.wait_for_url(re.compile(r"/countries/DE\?last=7d"))


def test_small_country_can_be_hit(watched: Watched) -> None:
    page = watched.open("/countries?last=all")
    x, y = page.evaluate(CENTRE, "SG")
    page.mouse.click(x, y)
    page.wait_for_url(re.compile("/countries/SG"))


def test_pointing_at_a_country_tells_its_numbers(watched: Watched) -> None:
    page = watched.open("/countries")
    x, y = page.evaluate(CENTRE, "DE")
    page.mouse.move(x, y)
    page.locator("#tip").wait_for(state="visible")
    assert page.locator("#tip").inner_text() == "Germany\n1 message, 1 source"


def test_slider_shows_one_hour_and_back(watched: Watched) -> None:
    page = watched.open("/countries?last=24h")
    slider = page.get_by_role("slider", name="Hour")
    slider.wait_for()
    slider.focus()
    for _ in range(2):  # one request an hour; all else lies in the last hour, or the one before when it just began
        page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#map[data-shown='21']")
    assert page.locator("[data-hour-label]").inner_text().endswith(" UTC · 1 message, 1 source")
    page.get_by_role("button", name="All hours").click()
    page.wait_for_selector("#map[data-shown='all']")
    assert page.locator("[data-hour-label]").inner_text() == ""


def test_address_keeps_the_hour_and_the_measure_for_a_link_and_the_way_back(watched: Watched) -> None:
    page = watched.open("/countries?last=24h")
    slider = page.get_by_role("slider", name="Hour")
    slider.wait_for()
    slider.focus()
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    page.get_by_role("button", name="Unique sources").click()
    page.wait_for_selector("#map[data-measure='sources']")
    assert re.search(r"at=\d{4}-\d\d-\d\dT\d\d%3A00%3A00Z&measure=sources$", page.url)
    page.reload()
    page.wait_for_selector("#map[data-shown='21'][data-measure='sources']")
    assert page.get_by_role("button", name="Unique sources").get_attribute("aria-pressed") == "true"


def test_click_on_a_country_in_one_hour_opens_the_messages_of_that_hour(watched: Watched) -> None:
    page = watched.open("/countries?last=24h")
    slider = page.get_by_role("slider", name="Hour")
    slider.wait_for()
    slider.focus()
    for _ in range(2):
        page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#map[data-shown='21']")
    box = page.locator("#map canvas").bounding_box() or {"x": 0, "y": 0, "width": 0, "height": 0}
    x, y = box["x"] + box["width"] * 0.22, box["y"] + box["height"] * 0.33
    page.mouse.move(x, y)
    page.locator("#tip", has_text="United States").wait_for(state="visible")
    page.mouse.click(x, y)
    page.wait_for_url(re.compile(r"/messages\?country=US&since=.*%3A00Z&until=.*%3A00Z$"))
    assert page.locator("table.messages tbody tr").count() == 1


def test_play_walks_through_the_hours(watched: Watched) -> None:
    page = watched.open("/countries?last=24h")
    page.get_by_role("button", name="Play hour by hour").click()
    page.wait_for_selector("#map[data-shown='0']")
    page.wait_for_selector("#map:not([data-shown='all'], [data-shown='0'])")
    page.get_by_role("button", name="Pause").click()
    assert page.get_by_role("button", name="Play hour by hour").is_visible()


def test_switch_from_messages_to_sources_counts_sources(watched: Watched) -> None:
    page = watched.open("/countries")
    assert page.evaluate("window.mapView.signal('counts').US") > 1
    page.get_by_role("button", name="Unique sources").click()
    page.wait_for_selector("#map[data-measure='sources']")
    assert page.evaluate("window.mapView.signal('counts').US") == 1


@pytest.mark.parametrize("watched", [{"color_scheme": "dark"}], indirect=True)
def test_map_is_drawn_in_the_theme_and_again_when_it_changes(watched: Watched) -> None:
    page = watched.open("/")
    page.wait_for_selector("#map[data-drawn='dark']")
    page.get_by_role("button", name="Switch between light and dark").click()
    page.wait_for_selector("#map[data-drawn='light']")


def test_live_ticker_is_connected(watched: Watched) -> None:
    page = watched.open("/")
    page.locator("[data-live].on").wait_for()


@pytest.mark.parametrize("watched", [{"viewport": NARROW}, {"viewport": WIDE}], indirect=True)
def test_nothing_moves_when_the_map_and_its_slider_come(watched: Watched) -> None:
    watched.page.add_init_script(
        "window.moved = 0; new PerformanceObserver((list) => { for (const each of list.getEntries())"
        " window.moved += each.value; }).observe({ type: 'layout-shift', buffered: true });"
    )
    page = watched.open("/countries")
    page.get_by_role("slider", name="Hour").wait_for()
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("window.moved") < 0.02
