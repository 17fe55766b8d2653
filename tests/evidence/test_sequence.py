"""Sweeps, holes, and beats."""

import random

from hypothesis import given
from hypothesis import strategies as st

from relaytrap.evidence.sequence import ON_BEAT, Rhythm, Trial, find_clusters, split_sweeps

SECOND = 10**9


def sweep(targets, start=0, step=SECOND):
    return [Trial(start + number * step, target) for number, target in enumerate(targets)]


def shuffled(targets, seed=1):
    order = list(targets)
    random.Random(seed).shuffle(order)
    return order


def test_a_hole_in_a_dense_sweep_speaks_strongly_for_it():
    order = shuffled(range(100, 500))
    (found,) = split_sweeps(sweep(order[:340]))
    hole = found.fit(order[350])
    assert (hole.taken, hole.inside) == (False, True)
    assert 1.5 < hole.log_odds < 2.5


def test_a_target_that_was_tried_speaks_against_it():
    order = shuffled(range(100, 500))
    (found,) = split_sweeps(sweep(order[:340]))
    assert found.fit(order[0]).log_odds < -3


def test_a_sparse_sweep_says_little():
    (found,) = split_sweeps(sweep(range(100, 500, 10)))
    assert 0 < found.fit(105).log_odds < 0.2


def test_a_target_far_outside_speaks_against_and_one_next_to_it_less():
    (found,) = split_sweeps(sweep(range(100, 200)))
    assert found.fit(5000).log_odds < found.fit(230).log_odds < 0
    assert found.fit(230).near
    assert not found.fit(5000).near


def test_density_matters_little_between_hosts():
    (dense,), (thin,) = split_sweeps(sweep(shuffled(range(400))[:380])), split_sweeps(sweep(shuffled(range(400))[:200]))
    hole = next(t for t in range(1, 399) if t not in dense.targets and t not in thin.targets)
    assert dense.fit(hole).log_odds - thin.fit(hole).log_odds > 1.5
    assert dense.fit(hole).rank - thin.fit(hole).rank < 1.0


def test_a_sweep_that_begins_anew_is_another_sweep():
    first, second = shuffled(range(100, 300), 1), shuffled(range(100, 300), 2)
    found = split_sweeps(sweep(first[:170]) + sweep(second[:170], 300 * SECOND))
    assert len(found) == 2
    assert found[1].first >= 300 * SECOND
    assert abs(len(found[1].targets) - 170) <= 2


def test_one_odd_repeat_does_not_begin_a_sweep():
    order = shuffled(range(100, 300))
    found = split_sweeps(sweep(order[:80] + order[:1] + order[80:150]))
    assert len(found) == 1


def test_a_campaign_that_dials_the_same_numbers_over_and_over_is_one_sequence():
    numbers = [441904911122, 972592277524, 46812121212]
    (found,) = split_sweeps(sweep(numbers * 12))
    assert found.fit(numbers[0]).log_odds > 2
    assert found.fit(33155667788).log_odds < 0


def test_ranges_are_cut_at_wide_gaps():
    clusters = find_clusters([*range(100, 120), *range(1000, 1050)])
    assert [(cluster.low, cluster.high, cluster.count) for cluster in clusters] == [(100, 119, 20), (1000, 1049, 50)]


def test_a_missing_beat_is_told_from_one_that_is_there():
    times = [number * SECOND for number in range(60) if number not in (20, 21, 40)]
    rhythm = Rhythm(times)
    assert rhythm.fit(20 * SECOND + SECOND // 20) == ON_BEAT
    assert rhythm.fit(40 * SECOND) == ON_BEAT
    assert rhythm.fit(30 * SECOND + SECOND // 2) == -ON_BEAT
    assert rhythm.fit(40 * SECOND + SECOND // 2) == -ON_BEAT


def test_without_a_beat_nothing_is_said():
    drawn = random.Random(3)
    times = sorted(drawn.randrange(3600 * SECOND) for _ in range(200))
    assert {Rhythm(times).fit(drawn.randrange(3600 * SECOND)) for _ in range(50)} == {0.0}


def test_outside_of_its_time_a_rhythm_says_nothing():
    rhythm = Rhythm([number * SECOND for number in range(60)])
    assert rhythm.fit(-5) == rhythm.fit(100 * SECOND) == 0.0


@given(st.lists(st.tuples(st.integers(0, 10**12), st.integers(1, 2**64 - 1)), max_size=60), st.integers(1, 2**64 - 1))
def test_any_trials_split_into_sweeps_that_hold_them_all(given, target):
    trials = sorted(Trial(*each) for each in given)
    found = split_sweeps(trials)
    assert {trial.target for trial in trials} == set().union(*(each.targets for each in found))
    for each in found:
        assert -4 <= each.fit(target).log_odds <= 4
