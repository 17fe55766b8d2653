"""What a feed holds, and in which order."""

import itertools

import pytest

from relaytrap.feeds import Barrier, make_feed
from tests.feeds.made import MIXED, indicator

OPEN = Barrier({}, sample=True)


def test_addresses_come_in_their_own_order_whatever_the_order_of_findings():
    given = [indicator(each) for each in ("203.0.113.9", "198.51.100.10", "198.51.100.9", "2001:db8::1")]
    orders = {
        tuple(e.address for e in make_feed("attackers", p, OPEN).indicators) for p in itertools.permutations(given)
    }
    assert orders == {("198.51.100.9", "198.51.100.10", "203.0.113.9", "2001:db8::1")}


def test_a_source_that_is_an_origin_as_well_stands_once_with_both_reasons():
    source = indicator(reasons=("by itself",), requests=3, first_seen="2026-09-22T10:00:00Z")
    origin = indicator(role="origin", confidence=99, reasons=("through relays",), requests=4)
    (found,) = make_feed("attackers", [source, origin], OPEN).indicators
    assert found.roles == ("source", "origin")
    assert found.reasons == ("by itself", "through relays")
    assert (found.requests, found.confidence, found.first_seen) == (7, 99, "2026-09-22T10:00:00Z")


def test_a_limit_keeps_the_surest_and_says_how_many_it_left_out():
    given = [indicator(f"198.51.100.{n}", confidence=n) for n in range(1, 6)]
    made = make_feed("attackers", given, OPEN, limit=2)
    assert [each.address for each in made.indicators] == ["198.51.100.4", "198.51.100.5"]
    assert made.left_out == {"beyond the limit": 3}


def test_the_head_says_what_it_is_how_it_was_chosen_and_what_is_missing():
    assert MIXED.head == [
        "Relaytrap: attackers, and the open relays that they abuse: those are victims, and marked so",
        "Seen by 2 honeypots since 7d",
        "3 addresses, last seen 2026-09-22T13:00:00Z",
        "Left out: private (2)",
    ]


def test_victims_never_share_a_set_with_attackers():
    assert {name: [each.address for each in found] for name, found in MIXED.sets.items()} == {
        "attackers": ["198.51.100.7", "2001:db8::7"],
        "relays": ["203.0.113.9"],
    }


@pytest.mark.parametrize(
    "address", ["198.51.100.7\n", "198.51.100.07", "::ffff:1.2.3.4x", "fe80::1%x", "2001:DB8::1", ""]
)
def test_nothing_but_a_canonical_address_becomes_an_indicator(address):
    with pytest.raises(ValueError):
        indicator(address)
