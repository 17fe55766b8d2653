"""Reading heartbeats, which come over the network."""

from hypothesis import given
from hypothesis import strategies as st

from relaytrap.hub.fares import Fares

KEYS = st.sampled_from(
    ["version", "listen", "last_message", "messages_a_minute", "spool", "packets", "dropped", "bytes"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)


def test_packets_that_were_missed_are_told_apart_from_messages_that_were_lost() -> None:
    fares = Fares.of({"packets": {"dropped": 7}, "spool": {"lost_observations": 2, "dropped_observations": 3}})
    assert (fares.missed, fares.lost) == (7, 5)


def test_older_sensor_that_says_less_is_understood() -> None:
    fares = Fares.of({})
    assert (fares.version, fares.waiting, fares.lost, fares.missed, fares.listen) == ("", None, 0, 0, ())


@given(st.dictionaries(KEYS, JSON, max_size=8))
def test_any_heartbeat_is_read(status: dict[str, object]) -> None:
    fares = Fares.of(status)
    assert isinstance(fares.lost, int)
    assert all(len(place) <= 120 for place in fares.listen)
