"""Identifiers, goals and schedules of campaigns; kinds and products of relays."""

import pytest

from relaytrap.evidence.campaign import (
    GOALS,
    Deeds,
    Tried,
    campaign_id,
    goal_of_campaign,
    schedule_of,
    title_of_campaign,
)
from relaytrap.evidence.product import KINDS, product_of, relay_kind

DAY, HOUR = 86_400, 3_600


def test_an_identifier_depends_on_base_and_address_alone():
    assert campaign_id("origin", "198.51.100.66") == campaign_id("origin", "198.51.100.66") == "5766427be1f4"
    assert campaign_id("behind", "198.51.100.66") != campaign_id("origin", "198.51.100.66")


@pytest.mark.parametrize(
    ("goals", "methods", "targets", "coverage", "goal"),
    [
        ({"extension": 900}, {"INVITE": 900}, 900, 1.0, "extension"),
        ({"host": 4}, {"OPTIONS": 4}, 1, None, "host"),
        ({"host": 160}, {"OPTIONS": 160}, 160, 0.9, "extension"),
        ({"host": 12}, {"OPTIONS": 12}, 12, 0.0001, "host"),
        ({"extension": 2, "password": 40}, {"REGISTER": 42}, 1, None, "password"),
        ({"extension": 170}, {"REGISTER": 170}, 1, None, "password"),
        ({"extension": 170}, {"REGISTER": 170}, 100, 0.5, "extension"),
        ({"toll": 18}, {"INVITE": 18}, 3, None, "toll"),
        ({"relay": 5, "host": 5}, {"OPTIONS": 10}, 2, None, "relay"),
        ({"extension": 1}, {"REGISTER": 1}, 1, None, "registration"),
        ({"extension": 1}, {"INVITE": 1}, 1, None, "call"),
        ({}, {}, 0, None, "call"),
    ],
)
def test_the_goal_follows_from_what_the_requests_are_for(goals, methods, targets, coverage, goal):
    assert goal_of_campaign(Deeds(goals, methods, targets, sensors=4, coverage=coverage)) == goal
    assert goal in GOALS


def tried(extensions, others=0):
    smallest = sorted(extensions)[:5]
    low, high = min(extensions, default=0), max(extensions, default=0)
    return Tried(len(extensions) + others, len(extensions), low, high, smallest)


@pytest.mark.parametrize(
    ("goal", "targets", "title"),
    [
        ("extension", tried({100}), "Extension 100"),
        ("extension", tried({9999, 100, 1000, 200}), "Extensions 100, 200, 1000 and 9999"),
        ("extension", tried({100, 9999}, others=1), "3 extensions 100–9999"),
        ("extension", tried(set(), others=2), "2 extensions"),
        ("extension", tried(set(range(100, 104))), "Extensions 100, 101, 102 and 103"),
        ("extension", tried(set(range(100, 105))), "Extension sweep 100–104"),
        ("extension", tried(set(range(1000, 21_000, 1000))), "20 extensions 1000–20000"),
        ("extension", tried(set(range(1000, 22_000, 1000))), "Extension sweep 1000–21000"),
        ("toll", tried({100, 9999}, others=2), "Toll-fraud probing"),
    ],
)
def test_a_title_says_sweep_only_of_many_or_of_most_of_a_range(goal, targets, title):
    assert title_of_campaign(goal, targets) == title


def test_coverage_is_of_a_range_of_two_numbers_at_least():
    assert tried({100}).coverage is None
    assert tried(set(), others=3).coverage is None
    assert tried({100, 103}).coverage == 0.5


def test_a_campaign_that_comes_every_day_for_some_hours_is_daily():
    hours = [(day * DAY + hour * HOUR, 30) for day in range(10) for hour in (2, 3, 4)]
    found = schedule_of(hours)
    assert (found.daily, found.continuous, found.days, found.per_hour) == (True, False, 10, 30.0)
    assert [hour for hour, requests in enumerate(found.hours_of_day) if requests] == [2, 3, 4]


def test_a_campaign_that_never_rests_is_continuous():
    found = schedule_of([(hour * HOUR, 5) for hour in range(72)])
    assert (found.continuous, found.daily) == (True, False)


def test_no_hours_make_an_empty_schedule():
    assert schedule_of([]).active_hours == 0


@pytest.mark.parametrize(
    ("seen", "marks", "kind"),
    [
        ({"stateful": 10}, {"lying": True}, "lying"),
        ({}, {"b2bua": True}, "b2bua"),
        ({"stateful": 3}, {"masked": True}, "hiding"),
        ({"stripping": 3}, {}, "stripping"),
        ({"rewriting": 8, "stateless": 5}, {}, "rewriting"),
        ({"in-dialog": 8}, {}, "in-dialog"),
        ({"stateful": 8, "in-dialog": 2}, {}, "stateful"),
        ({"stateless": 8}, {}, "stateless"),
        ({}, {}, "proxy"),
    ],
)
def test_a_relays_kind_is_what_its_messages_show(seen, marks, kind):
    assert relay_kind(seen, **{"lying": False, "b2bua": False, "masked": False, **marks}) == kind
    assert kind in KINDS


@pytest.mark.parametrize(
    ("agents", "rewritten", "genuine", "product"),
    [
        (["Ingate-SIParator/4.6.2"], True, True, "Ingate-SIParator/4.6.2"),
        (["Ingate-SIParator/4.6.2"], False, True, "Kamailio (by its branches)"),
        (["Cisco-CUCM8.6"], False, False, ""),
        (["friendly-scanner"], True, False, ""),
        (["friendly-scanner"], True, True, "Kamailio (by its branches)"),
        (["PBX", "IceWarp SIP 11.4.1.0 RHEL6 x64"], True, False, "IceWarp SIP 11.4.1.0 RHEL6 x64"),
        (["Cisco-CUCM8.6", "3CXPhone 6.0"], True, False, ""),
        ([""], True, False, ""),
    ],
)
def test_a_product_is_named_only_by_the_relays_own_bytes(agents, rewritten, genuine, product):
    assert product_of(agents, rewritten=rewritten, genuine=genuine) == product
