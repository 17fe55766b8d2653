"""What the first page tells in words is true, however little or much there is."""

import html
import re
from typing import Any

import pytest

from relaytrap.clock import rfc3339
from relaytrap.web.biggest import LATEST, biggest_campaign
from relaytrap.web.render import environment
from relaytrap.web.window import choose_window

NOW = 1_790_000_000 * 10**9
HOUR = 3600 * 10**9
WINDOW = choose_window("24h", NOW, None, None)


def campaign(messages: int, age_ns: int) -> dict[str, Any]:
    return {"messages": messages, "first_seen": rfc3339(NOW - age_ns - HOUR), "last_seen": rfc3339(NOW - age_ns)}


def biggest(*campaigns: dict[str, Any]) -> dict[str, Any] | None:
    def ask(name: str, *, limit: int, sort: str, relayed: bool) -> list[dict[str, Any]]:
        return sorted(campaigns, key=lambda row: row[sort], reverse=True)[:limit]

    return biggest_campaign(ask, WINDOW, relayed=False)


def test_biggest_campaign_is_one_that_was_seen_in_the_window() -> None:
    assert biggest(campaign(9, 48 * HOUR), campaign(2, HOUR), campaign(3, 2 * HOUR)) == campaign(3, 2 * HOUR)
    assert biggest(campaign(9, 48 * HOUR)) is None


def test_biggest_campaign_is_none_that_began_after_the_window() -> None:
    assert biggest(campaign(9, -3 * HOUR), campaign(2, HOUR)) == campaign(2, HOUR)


def test_campaigns_of_one_request_each_do_not_hide_the_biggest() -> None:
    small = [campaign(1, HOUR)] * 2 * LATEST
    assert biggest(*small, campaign(3, 2 * HOUR), campaign(9, 48 * HOUR)) == campaign(3, 2 * HOUR)


def told(totals: dict[str, int], **more: Any) -> str:
    """The page's sentences as text."""
    given = {"totals": totals, "window": WINDOW, "leaders": {"dialled_country": []}, "biggest": None, "behind": []}
    page = environment().get_template("parts/told.html").render(given | more)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", "", page))).strip()


@pytest.mark.parametrize(
    ("messages", "through", "wanted"),
    [
        (0, 0, "Nothing arrived in the last 24 hours. Look at all time"),
        (1, 0, "sent 1 message. It is not known to have come through somebody else's server."),
        (1, 1, "sent 1 message. It came through somebody else's server: the map shows the victim, not the sender."),
        (2, 0, "sent 2 messages. None of them is known to have come through somebody else's server."),
        (3000, 1, "sent 3,000 messages. <0.1 % of them came through other people's servers: for these the map shows"),
    ],
)
def test_sentence_fits_one_message_and_many(messages: int, through: int, wanted: str) -> None:
    assert (
        told({"messages": messages, "sources": 1, "countries": 0, "through_others": through})
        .removeprefix("1 source ")
        .startswith(wanted)
    )


@pytest.mark.parametrize(
    ("countries", "wanted"),
    [(1, "numbers in United Kingdom (7)."), (2, "numbers in 2 countries, led by United Kingdom (7).")],
)
def test_one_country_leads_nobody(countries: int, wanted: str) -> None:
    totals = {"messages": 7, "sources": 1, "countries": 0, "through_others": 0, "dialled_countries": countries}
    leaders = {"dialled_country": [{"value": "GB", "messages": 7}]}
    assert told(totals, leaders=leaders).endswith(f"Calls were tried to {wanted}")


@pytest.mark.parametrize(
    ("origin", "behind", "relays", "wanted"),
    [
        ("2001:db8::7", None, 0, ": Extension 100 from 2001:db8::7; 1 request to 1 sensor since 2026-01-02."),
        ("192.0.2.7", None, 1, " behind relays: Extension 100 from 192.0.2.7 through 1 open relay; 1 request to"),
        (None, "192.0.2.9", 1, " behind relays: Extension 100, whose origin stays hidden behind 192.0.2.9; 1 request"),
    ],
)
def test_biggest_campaign_is_told_by_whose_it_is(
    origin: str | None, behind: str | None, relays: int, wanted: str
) -> None:
    row: dict[str, Any] = {
        "id": "0" * 12,
        "title": "Extension 100",
        "origin": origin,
        "behind": behind,
        "relays": relays,
    }
    row |= {"messages": 1, "sensors": ["edge"], "first_seen": "2026-01-02T03:04:05Z"}
    totals = {"messages": 1, "sources": 1, "countries": 0, "through_others": relays}
    assert f"The biggest campaign{wanted}" in told(totals, biggest=row)
