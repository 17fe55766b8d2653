"""What conclusions are drawn from, as the store gives it."""

from relaytrap.evidence.origin import settle
from relaytrap.store import findings, testimony
from relaytrap.store.findings import Window


def test_a_relay_whose_requests_fit_nowhere_in_particular_is_a_group_like_others(store):
    """Each of its requests fits into somebody's campaign, and none was placed: the group has no host."""
    window = Window(1_790_000_000 - 1_790_000_000 % 86_400, 86_400)
    group = {"start": window.start, "width": window.width, "source": "::ffff:203.0.113.11", "stack": 1, "shape": 2}
    named = {"named": "::ffff:198.51.100.66", "verdict": "relayed", "host": "::"}
    sums = {"visits": 9, "inside": 9, "fitting": 9, "pairs": 0, "between": 0, "log_odds": 40.0, "claims": 0}
    store.insert_rows("group_fits", [{**group, **named, **sums, "version": 1}])
    findings.write_windows(store, [window], 1, alive=True)
    (read,) = groups = testimony.read_groups(store)
    assert read.host == ""
    settled = settle(testimony.read_testimony(store, groups, testimony.read_standing(store)), groups)
    assert not settled.lies
