"""The open-relay test's forms in a real browser, whose headers no test client sends by itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import WIDE, Watched
from tests.probe.answering import answering_server, reply
from tests.web.conftest import start_hub

HOSTILE = "<script>alert(1)</script>\x1b\u202e"


@pytest.fixture
def owner(browser: Browser, tmp_path: Path) -> Iterator[Watched]:
    """A page of a hub that may test loopback, opened from 127.0.0.1: the owner of what runs there."""
    (tmp_path / "hub.toml").write_text("[probe]\nprivate_targets = true\n")
    hub = start_hub(tmp_path / "data", tmp_path / "hub.toml")
    context = browser.new_context(viewport=WIDE)
    watched = Watched(context, hub.url)
    yield watched
    context.close()
    hub.stop()
    assert watched.complaints == []


@pytest.mark.peer
def test_form_is_taken_and_asks_for_a_proof_first(watched: Watched) -> None:
    page = watched.open("/probe")
    page.fill("#host", "127.0.43.9")
    page.click("button.primary")
    page.wait_for_selector("main [role=alert]")
    assert "private or reserved" in page.inner_text("main [role=alert]")
    assert all("400" in complaint for complaint in watched.complaints)  # the browser's own note of the refusal
    watched.complaints.clear()


@pytest.mark.peer
def test_page_on_loopback_offers_no_opt_out_for_an_address_it_cannot_know(watched: Watched) -> None:
    page = watched.open("/probe/opt-out")
    assert page.query_selector("main button") is None
    assert "relaytrap probe opt-out add" in page.inner_text("main")


@pytest.mark.peer
@pytest.mark.timeout(180)
def test_owner_watches_a_test_reads_its_result_and_has_it_repeated(owner: Watched) -> None:
    with answering_server("127.0.0.1", lambda request: reply(request, "403 No", f"Server: {HOSTILE}")) as server:
        page = owner.open("/probe")
        page.fill("#host", f"127.0.0.1:{server.port}")
        page.check("input[value=udp]")
        page.click("button.primary")
        page.wait_for_selector("#progress progress[value]")
        page.wait_for_selector("[data-left]:has-text('s left')")
        page.wait_for_selector("text=Closed.", timeout=120_000)
    assert "alert(1)" in page.inner_text("main")
    page.click("text=Test every week")
    page.wait_for_selector("text=tested every 7 days")
    assert "refused" in page.inner_text("table")
