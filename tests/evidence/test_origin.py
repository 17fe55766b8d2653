"""Whose word counts: witnesses, liars, chains, and what looks direct."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.evidence.origin import settle
from relaytrap.evidence.testimony import Testimony as Words
from relaytrap.evidence.testimony import Vouch
from relaytrap.evidence.visits import GroupFit, GroupKey

ORIGIN, INNOCENT, LIAR = "198.51.100.66", "198.51.100.200", "203.0.113.99"


def relays(count: int, origin: str = ORIGIN, networks: int = 1) -> list[Vouch]:
    return [
        Vouch(f"203.0.113.{number}", origin, network=str(number % networks), country="DE", confidence=50)
        for number in range(1, count + 1)
    ]


def fit(source: str, origin: str, host: str = ORIGIN, *, odds: float = 30.0, fitting: int = 20, **given) -> GroupFit:
    numbers = {"visits": 20, "inside": 20, "pairs": 19, "between": 19, "claims": 0, **given}
    return GroupFit(
        GroupKey(source, 7, 8, origin),
        "relayed" if origin else "direct",
        host,
        numbers["visits"],
        numbers["inside"],
        fitting,
        numbers["pairs"],
        numbers["between"],
        odds,
        numbers["claims"],
    )


def settled(vouches, groups=()):
    return settle(Words.of(vouches), groups)


def test_confidence_grows_with_relays_and_with_networks():
    lone, many, spread = (settled(relays(n, networks=k)).origins[ORIGIN] for n, k in ((1, 1), (16, 1), (16, 8)))
    assert lone.confidence < many.confidence < spread.confidence <= 99
    assert (spread.relays, spread.networks, spread.countries) == (16, 8, 1)


def test_a_lone_relay_that_fills_the_holes_of_many_others_campaign_is_not_believed():
    found = settled([*relays(5), Vouch(LIAR, INNOCENT)], [fit(LIAR, INNOCENT)])
    assert found.lying == {LIAR: {INNOCENT}}
    assert INNOCENT not in found.origins
    assert found.believed(INNOCENT) == ""
    assert found.origins[ORIGIN].contradictions == 1


def test_nothing_that_a_liar_alone_says_makes_an_origin():
    other = "198.51.100.201"
    found = settled([*relays(5), Vouch(LIAR, INNOCENT), Vouch(LIAR, other)], [fit(LIAR, INNOCENT)])
    assert not {INNOCENT, other} & found.origins.keys()


def test_a_lone_relay_that_contradicts_nobody_is_believed_a_little():
    found = settled([*relays(5), Vouch(LIAR, INNOCENT)])
    assert 0 < found.origins[INNOCENT].confidence < found.origins[ORIGIN].confidence


def test_a_relay_that_agrees_with_others_is_not_called_a_liar_for_a_weak_fit():
    vouches = [*relays(5), Vouch("203.0.113.1", INNOCENT), *relays(3, "198.51.100.70")]
    found = settled(vouches, [fit("203.0.113.1", INNOCENT, "198.51.100.71", odds=9.0)])
    assert found.lying == {}


def test_a_relay_that_vouches_for_the_host_itself_does_not_contradict_it():
    found = settled([*relays(5), Vouch("203.0.113.1", INNOCENT)], [fit("203.0.113.1", INNOCENT)])
    assert found.lying == {}


@pytest.mark.parametrize(("odds", "lying"), [(70.0, {LIAR: {INNOCENT}}), (15.0, {})])
def test_two_relays_word_against_one_counts_only_where_the_fit_leaves_no_doubt(odds, lying):
    found = settled([*relays(2), Vouch(LIAR, INNOCENT)], [fit(LIAR, INNOCENT, odds=odds)])
    assert found.lying == lying


def test_claims_that_name_the_vouched_origin_expose_a_liar_too():
    found = settled([*relays(5), Vouch(LIAR, INNOCENT)], [fit(LIAR, INNOCENT, odds=1.0, claims=12)])
    assert found.lying == {LIAR: {INNOCENT}}


@pytest.mark.parametrize("given", [{"odds": 5.0}, {"fitting": 10}, {"inside": 5, "fitting": 5}, {"between": 2}])
def test_what_looks_direct_stays_so_unless_everything_fits(given):
    assert settled(relays(5), [fit("203.0.113.50", "", **given)]).hiding == {}


@pytest.mark.parametrize(("odds", "between", "hiding"), [(30, 5, True), (20, 5, False), (30, 3, False)])
def test_a_fit_beyond_doubt_need_not_alternate_so_much(odds, between, hiding):
    group = fit("203.0.113.31", "", odds=odds, pairs=19, between=between + 1)
    assert bool(settled(relays(5), [group]).hiding) == hiding


@pytest.mark.parametrize(("witnesses", "claims", "hiding"), [(5, 20, True), (2, 20, False), (5, 12, False)])
def test_what_names_the_host_in_every_request_is_a_relay_of_one_that_many_vouch_for(witnesses, claims, hiding):
    group = fit("203.0.113.31", "", odds=4, between=0, claims=claims)
    assert bool(settled(relays(witnesses), [group]).hiding) == hiding


def test_what_fits_but_has_no_place_in_any_campaign_is_no_relays():
    assert settled(relays(5), [fit("203.0.113.31", "", host="", pairs=0, between=0)]).hiding == {}


def test_a_relay_that_passes_a_lie_on_does_not_cover_for_the_liar():
    innocent, other = INNOCENT, "198.51.100.77"
    known = [*relays(9), *[Vouch(f"203.0.113.{n}", other) for n in range(2, 9)]]
    lie = [Vouch(LIAR, innocent), Vouch("203.0.113.1", innocent)]
    groups = [fit(LIAR, innocent), fit("203.0.113.1", innocent, other, odds=2.0, fitting=2, visits=2, inside=2)]
    found = settled([*known, *lie], groups)
    assert innocent not in found.origins
    assert found.believed(innocent) == ""  # neither from the liar nor from the other


def test_what_fits_into_every_hole_is_a_relay_that_makes_requests_anew():
    assert settled(relays(5), [fit("203.0.113.50", "")]).hiding == {("203.0.113.50", 7): 90}


def small(number: int, fitting: int = 4) -> GroupFit:
    return fit(f"203.0.113.{number}", "", odds=1.5 * fitting, fitting=fitting, visits=4, inside=4, pairs=3, between=3)


def test_many_small_groups_of_one_stack_fit_together():
    assert settled(relays(5), [small(50)]).hiding == {}
    assert len(settled(relays(5), [small(number) for number in range(50, 60)]).hiding) == 10


def test_a_pool_with_misfits_is_a_pool_of_strangers():
    groups = [small(number, fitting=4 if number % 2 else 1) for number in range(50, 70)]
    assert settled(relays(5), groups).hiding == {}


BEHIND = "203.0.113.50"


def test_what_fills_every_hole_behind_a_proxy_that_tells_the_truth_is_no_origin():
    found = settled([*relays(5), Vouch("203.0.113.1", BEHIND)], [fit("203.0.113.1", BEHIND)])
    assert (found.lying, found.fronting, found.inner) == ({}, {"203.0.113.1": {BEHIND}}, {BEHIND})
    assert found.origins.keys() == {ORIGIN}
    assert found.believed(BEHIND) == ""


@pytest.mark.parametrize("given", [{"odds": 5.0}, {"fitting": 10}, {"inside": 5, "fitting": 5}, {"between": 2}])
def test_behind_a_proxy_an_address_is_the_origin_unless_everything_fits(given):
    found = settled([*relays(5), Vouch("203.0.113.1", BEHIND)], [fit("203.0.113.1", BEHIND, **given)])
    assert (found.fronting, found.believed(BEHIND)) == ({}, BEHIND)


def test_what_names_its_own_upstream_for_which_others_vouch_hides_nobody():
    vouches = [*relays(5), Vouch("203.0.113.1", BEHIND, deeper=ORIGIN)]
    found = settled(vouches, [fit("203.0.113.1", BEHIND)])
    assert (found.fronting, found.believed(BEHIND, "", ORIGIN)) == ({}, ORIGIN)


def chain(relay: str, inner: str, origin: str, *further: str) -> Vouch:
    return Vouch(relay, origin, (inner, *further), confidence=36)


def test_a_hop_that_handed_on_what_several_vouch_for_is_believed_about_others():
    other, inner = "198.51.100.70", "192.88.99.80"
    vouches = [*relays(2), chain("203.0.113.1", inner, ORIGIN), chain("203.0.113.1", inner, other)]
    found = settled(vouches)
    assert found.believed(other, inner) == other
    assert found.origins[other].confidence < found.origins[ORIGIN].confidence
    assert settled(vouches[1:]).believed(other, inner) == ""
    own = settled([*vouches, Vouch("203.0.113.3", inner)])  # it sends requests of its own
    assert own.believed(other, inner) == ""
    chosen = settled([*vouches, chain("203.0.113.2", inner, other)])  # it chooses through whom
    assert chosen.believed(other, inner) == inner


@pytest.mark.parametrize(
    ("inner", "believed"), [("203.0.113.80", ""), ("203.0.200.80", ""), ("192.88.99.80", "192.88.99.80")]
)
def test_what_the_edges_of_one_operator_took_from_its_inner_proxy_does_not_make_that_the_sender(inner, believed):
    edges = [chain(f"203.0.113.{number}", inner, INNOCENT) for number in range(1, 4)]
    assert settled(edges).believed(INNOCENT, inner) == believed
    if not believed:
        known = [*relays(2), chain("203.0.113.1", inner, ORIGIN)]
        assert settled([*edges, *known]).believed(INNOCENT, inner) == INNOCENT


def test_a_chain_is_as_good_as_its_worst_hop():
    """A sender that imitates a proxy may put a real relay below itself, which is seen forwarding elsewhere."""
    real = Vouch("203.0.113.80", "198.51.100.70")
    made_up = [chain(f"203.0.113.{n}", ORIGIN, INNOCENT, "203.0.113.80") for n in range(1, 4)]
    assert settled([real, made_up[0]]).believed(INNOCENT, ORIGIN) == ""
    found = settled([real, *made_up])
    assert found.believed(INNOCENT, ORIGIN) == ORIGIN
    assert INNOCENT not in found.origins
    assert settled([real, Vouch(ORIGIN, "198.51.100.71"), *made_up]).believed(INNOCENT, ORIGIN) == INNOCENT


def test_a_chain_is_believed_when_others_vouch_for_its_end():
    found = settled([*relays(2), chain("203.0.113.1", "203.0.113.80", ORIGIN)])
    assert found.believed(ORIGIN, "203.0.113.80") == ORIGIN
    assert found.inner == {"203.0.113.80"}


def test_a_chain_is_believed_when_its_inner_hop_is_seen_forwarding_elsewhere():
    found = settled([Vouch("203.0.113.80", "198.51.100.70"), chain("203.0.113.1", "203.0.113.80", ORIGIN)])
    assert found.believed(ORIGIN, "203.0.113.80") == ORIGIN


def test_a_chain_that_nothing_supports_names_nobody():
    found = settled([chain("203.0.113.1", "203.0.113.80", INNOCENT)])
    assert found.believed(INNOCENT, "203.0.113.80") == ""
    assert INNOCENT not in found.origins


def test_an_address_that_only_a_liar_names_does_not_come_back_through_another_relay():
    through = Vouch("203.0.113.1", INNOCENT, (LIAR,), confidence=50)
    found = settled([*relays(6), Vouch(LIAR, INNOCENT), through], [fit(LIAR, INNOCENT)])
    assert found.lying == {LIAR: {INNOCENT}}
    assert INNOCENT not in found.origins
    assert found.believed(INNOCENT, LIAR) == ""


def test_a_sender_that_imitates_a_proxy_before_many_relays_is_the_origin_itself():
    vouches = [chain(f"203.0.113.{n}", ORIGIN, INNOCENT) for n in range(1, 6)]
    found = settled(vouches)
    assert found.believed(INNOCENT, ORIGIN) == ORIGIN
    assert INNOCENT not in found.origins
    assert ORIGIN in found.origins


def test_behind_an_address_that_is_a_relay_itself_only_others_word_counts():
    inner = "203.0.113.80"
    through = Vouch("203.0.113.1", inner, deeper=ORIGIN)
    alone = settled([through, Vouch(inner, "198.51.100.70")])
    assert alone.believed(inner, "", ORIGIN) == ""
    shared = settled([through, Vouch(inner, "198.51.100.70"), *relays(2)])
    assert shared.believed(inner, "", ORIGIN) == ORIGIN


def test_behind_a_hop_that_one_relay_alone_names_nobody_is_believed_but_whom_others_name():
    inner = "203.0.113.80"
    through = Vouch("203.0.113.1", inner, deeper=ORIGIN)
    alone, shared = settled([through]), settled([through, *relays(2)])
    assert alone.believed(inner, "", ORIGIN) == ""
    assert shared.believed(inner, "", ORIGIN) == ORIGIN
    many = settled([Vouch(f"203.0.113.{n}", inner, deeper=INNOCENT) for n in range(1, 4)])
    assert many.believed(inner, "", INNOCENT) == inner  # a sender that makes up a hop


addresses = st.sampled_from([f"198.51.100.{n}" for n in range(1, 6)])
hosts = st.sampled_from([f"203.0.113.{n}" for n in range(1, 8)])
vouches = st.builds(
    Vouch,
    relay=hosts,
    origin=addresses,
    hops=st.lists(st.sampled_from(["203.0.113.90", "203.0.113.91", "203.0.113.1"]), max_size=2).map(tuple),
    deeper=st.sampled_from(["", "198.51.100.9"]),
    confidence=st.integers(5, 75),
)
groups = st.builds(
    fit,
    source=hosts,
    origin=st.one_of(st.just(""), addresses),
    host=addresses,
    odds=st.floats(-20, 40),
    fitting=st.integers(0, 20),
)


@given(st.lists(vouches, max_size=12), st.lists(groups, max_size=6), st.randoms(use_true_random=False))
def test_conclusions_do_not_depend_on_order(said, fits, draw):
    expected = settled(said, fits)
    draw.shuffle(said)
    draw.shuffle(fits)
    assert settled(said, fits) == expected


@given(st.lists(vouches, max_size=12), st.lists(groups, max_size=6))
def test_no_address_that_nobody_vouches_for_becomes_an_origin(said, fits):
    found = settled(said, fits)
    named = set(itertools.chain.from_iterable((vouch.origin, *vouch.hops) for vouch in said))
    assert found.origins.keys() <= named
    assert all(1 <= origin.confidence <= 99 for origin in found.origins.values())
