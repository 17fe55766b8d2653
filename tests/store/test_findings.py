"""What the analysis over sets reads of the store."""

from relaytrap.store import findings
from tests.storing import NOON_NS, SECOND_NS, keep, row

NOON = NOON_NS // SECOND_NS


def test_all_messages_of_the_last_second_of_a_flood_are_read(store):
    flood = [row(received_at=NOON_NS - SECOND_NS + number * 50_000, id=number + 1) for number in range(20_000)]
    keep(store, flood, "flood")
    buckets = findings.read_buckets(store, NOON - 3600, NOON)
    assert [(bucket.start, bucket.messages) for bucket in buckets.values()] == [(NOON - 20, 20_000)]
    assert findings.read_buckets(store, NOON, NOON + 3600) == {}
