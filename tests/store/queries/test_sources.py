import pytest

from relaytrap.errors import InputError
from relaytrap.store.queries import run_query, sources
from tests.storing import address, row

SPANS = [{}, {"since": "2026-09-22T12:00:00Z", "until": "2026-09-22T13:00:00Z"}]


@pytest.fixture
def three(kept):
    near, far = address("192.0.2.1"), address("192.0.2.2")
    return kept(
        row(0, source=near, country=b"FR", asn=1, as_name=b"One", method=b"OPTIONS", tool=b"sipp", target=b"100"),
        row(1, source=near, country=b"FR", asn=1, as_name=b"One", method=b"INVITE", target=b"200"),
        row(2, source=far, country=b"DE", asn=2, as_name=b"Two", path_verdict=b"relayed"),
        row(3, source=far, kind=2),
    )


@pytest.mark.parametrize("span", SPANS, ids=["rollup", "messages"])
def test_sources_come_busiest_first_with_what_they_did(three, span):
    found = list(run_query(three, "sources", span))
    assert [(each["address"], each["messages"], each["relayed"]) for each in found] == [
        ("192.0.2.1", 2, 0),
        ("192.0.2.2", 1, 1),
    ]
    assert found[0] == {
        "address": "192.0.2.1",
        "country": "FR",
        "asn": 1,
        "as_name": "One",
        "messages": 2,
        "relayed": 0,
        "first_seen": "2026-09-22T12:00:00.000000000Z",
        "last_seen": "2026-09-22T12:00:01.000000000Z",
        "sensors": ["trap"],
        "methods": ["INVITE", "OPTIONS"],
        "tools": ["sipp"],
        "user_agents": [],
        "targets": 2,
    }


@pytest.mark.parametrize("given", [{"country": "DE"}, {"asn": "2"}, {"source": "192.0.2.2"}, {"verdict": "relayed"}])
def test_sources_narrow_by_rollup_and_by_message_columns(three, given):
    assert [each["address"] for each in run_query(three, "sources", given)] == ["192.0.2.2"]


def test_sources_sort_and_page(three):
    assert [each["address"] for each in run_query(three, "sources", {"sort": "last_seen", "limit": 1})] == ["192.0.2.2"]
    assert [each["address"] for each in run_query(three, "sources", {"limit": 1, "offset": 1})] == ["192.0.2.2"]


@pytest.mark.parametrize("span", SPANS, ids=["rollup", "messages"])
def test_more_sources_than_one_question_takes_are_asked_for_in_parts(three, span, monkeypatch):
    whole = list(run_query(three, "sources", {**span, "limit": 0}))
    monkeypatch.setattr(sources, "AT_ONCE", 1)
    assert list(run_query(three, "sources", {**span, "limit": 0})) == whole


def test_an_unknown_order_is_refused(store):
    with pytest.raises(InputError, match="sort: 'size' is none of"):
        run_query(store, "sources", {"sort": "size"})


def test_one_source_or_none(three):
    assert [each["messages"] for each in run_query(three, "source", {"address": "192.0.2.1"})] == [2]
    assert run_query(three, "source", {"address": "192.0.2.77"}) == []


def test_what_sources_did_over_days_is_what_their_messages_say(kept):
    def deeds(given):
        kinds = ("address", "sensors", "methods", "tools", "user_agents", "targets")
        return [tuple(each[kind] for kind in kinds) for each in run_query(store, "sources", given)]

    store = kept(
        *(
            row(
                n * 3600,
                source=address(f"192.0.2.{1 + n % 3}"),
                sensor=b"trap-%d" % (n % 4),
                tool=(b"", b"sipp", b"nmap")[n // 7 % 3],
                user_agent=b"agent %d" % (n // 12),
                target=b"%d" % (n % 11),
                method=b"INVITE" if n % 2 else b"OPTIONS",
            )
            for n in range(90)
        )
    )
    for since, until in (("2026-09-22", "2026-09-26"), ("2026-09-23T05:00:00Z", "2026-09-25T17:00:00Z")):
        window = {"since": since, "until": until}
        # Every message is of this transport: a condition that the rollup does not know.
        assert deeds(window) == deeds(window | {"transport": "udp"})
        assert len(deeds(window)) == 3
    assert deeds({"source": "192.0.2.2"}) == deeds({"source": "192.0.2.2", "transport": "udp"})
