"""A real browser over a real hub: every page must stay silent, on this server, and inside the screen."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.web.conftest import Hub
from tests.web.conftest import empty_hub as empty_hub
from tests.web.conftest import hub as hub

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser(peer: Callable[[str], str]) -> Iterator[Browser]:
    """Chromium without a screen; for one module at a time, since its driver keeps an event loop running meanwhile."""
    path = peer("chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-sync"]
        )
        yield running
        running.close()


class Watched:
    """A page and everything about it that should not have happened."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.page: Page = context.new_page()
        self.url = url
        self.complaints: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        self.page.on("request", self._asked)

    def open(self, path: str) -> Page:
        self.page.goto(self.url + path)
        if self.page.query_selector("#map"):
            self.page.wait_for_selector("#map[data-drawn]")
        return self.page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, request: object) -> None:
        address = getattr(request, "url", "")
        if not address.startswith((self.url, "data:", "blob:")):
            self.complaints.append(f"asked elsewhere: {address}")


@pytest.fixture
def watched(browser: Browser, hub: Hub, request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A page over the full hub; a test's parameters may ask for options of the browser's context."""
    options = {"viewport": WIDE, **getattr(request, "param", {})}
    context = browser.new_context(**options)
    made = Watched(context, hub.url)
    yield made
    context.close()
    assert made.complaints == []
