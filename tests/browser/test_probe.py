"""The open-relay test's forms in a real browser, whose headers no test client sends by itself."""

import pytest

from tests.browser.conftest import Watched


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
def test_address_opts_out_and_back_in(watched: Watched) -> None:
    page = watched.open("/probe/opt-out")
    page.click("main button")
    page.wait_for_selector("main [role=status]")
    assert "not tested from here" in page.inner_text("main [role=status]")
    page.click("main button")
    page.wait_for_selector("button.primary")
