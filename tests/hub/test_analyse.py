"""Findings in the store: kept up to date by what changed, whatever the order and the batches."""

import dataclasses
import random
import threading
import time
import uuid
from collections import Counter

import pytest

from relaytrap import clock
from relaytrap.config import Config, EnrichConfig, NetworkConfig, NetworkName
from relaytrap.enrich import Enricher
from relaytrap.errors import StoreError
from relaytrap.hub import analyse
from relaytrap.hub.analyse import Analysis, Analyst, split_windows
from relaytrap.hub.batch import make_batch
from relaytrap.hub.reanalyse import reanalyse
from relaytrap.hub.rows import RowSetting
from relaytrap.store import Store, findings, rebuild, sums
from relaytrap.store.findings import Bucket, Window
from relaytrap.store.findings_schema import FINDINGS
from relaytrap.store.queries import members, run_query
from relaytrap.store.retention import apply_retention
from tests.evidence.relays import Scene, b2bua, kamailio, liar, request, stripper
from tests.evidence.test_association import sweep
from tests.storing import clear

A, B, INNOCENT = "198.51.100.66", "198.51.100.67", "198.51.100.200"
HONEST = [(kamailio, f"203.0.113.{n}") for n in range(11, 17)]
RELAYS = [*HONEST, (b2bua, "203.0.113.31"), (stripper, "203.0.113.32"), (liar(INNOCENT), "203.0.113.41")]
DAY = 86_400


@pytest.fixture(scope="module")
def setting(tmp_path_factory):
    return RowSetting.of(Config(data_dir=tmp_path_factory.mktemp("tables")))


@pytest.fixture(scope="module")
def scene():
    made = Scene()
    sweep(made, A, range(100, 250), RELAYS)
    sweep(made, B, range(100, 160), HONEST[2:], seed=4, every=3.3, start=9)
    for number in range(30):
        made.send(request("198.51.100.72", str(500 + number), serial=number), "198.51.100.72", at=number)
    return made


def put(store, setting, observations):
    batch = make_batch(list(observations), setting, 0)
    store.insert_block("messages", batch.block, uuid.uuid4().hex)
    return batch.first_ns, batch.last_ns


def told(store):
    """Everything that anybody is told, without what depends on when it was worked out."""
    lists = {
        name: sorted(map(repr, run_query(store, name, {"limit": 0}))) for name in ("relays", "origins", "campaigns")
    }
    columns = ("id", "path_verdict", "relay", "origin", "origin_confidence", "campaign", "association")
    lists["messages"] = [tuple(row[column] for column in columns) for row in run_query(store, "messages", {"limit": 0})]
    return lists


@pytest.fixture(scope="module")
def expected(engine, setting, scene):
    clear(engine)
    put(engine, setting, scene.seen)
    Analysis(engine).update()
    return told(engine)


def test_a_scene_is_understood(expected, store, setting, scene):
    put(store, setting, scene.seen)
    Analysis(store).update()
    relays = {row["address"]: row for row in run_query(store, "relays", {"limit": 0})}
    assert relays.keys() == {address for _, address in RELAYS}
    assert relays["203.0.113.31"]["kind"] == "b2bua"
    assert (relays["203.0.113.41"]["kind"], relays["203.0.113.41"]["contradicts"]) == ("lying", [INNOCENT])
    assert relays["203.0.113.11"]["product"] == "Ingate-SIParator/4.6.2"
    assert relays["203.0.113.16"]["product"] == "IceWarp SIP 11.4.1.0 RHEL6 x64"
    origins = {row["address"]: row for row in run_query(store, "origins", {"limit": 0})}
    assert origins.keys() == {A, B}
    assert origins[A]["vouched"] + origins[A]["associated"] == 150
    campaigns = {row["origin"]: row for row in run_query(store, "campaigns", {"limit": 0})}
    assert campaigns.keys() == {A, B, "198.51.100.72"}
    assert (campaigns[A]["goal"], campaigns[A]["range"], campaigns[A]["coverage"]) == ("extension", [100, 249], 1.0)


def test_a_relay_seen_only_behind_others_is_one_of_the_list_and_has_its_network(store, setting):
    made, inner = Scene(), "203.0.113.77"
    sweep(made, A, range(100, 160), HONEST)
    for number in range(160, 172):
        made.send(request(A, str(number), serial=number), A, (kamailio, inner), HONEST[number % 2], at=number)
    put(store, setting, made.seen)
    network = NetworkConfig(names=(NetworkName(inner, "MY", 17971, "TMNET"),))
    Analysis(store, Enricher.open(EnrichConfig(), network)).update()
    relays = {row["address"]: row for row in run_query(store, "relays", {"limit": 0})}
    assert relays.keys() == {inner, *(address for _, address in HONEST)}
    assert (relays[inner]["kind"], relays[inner]["messages"], relays[inner]["origins"]) == ("inner", 12, 1)
    assert (relays[inner]["country"], relays[inner]["asn"]) == ("MY", 17971)
    assert relays[inner]["as_name"] == "TMNET"
    assert [len(run_query(store, "relays", {"limit": limit})) for limit in (1, 3)] == [1, 3]
    here = [{"country": "MY"}, {"asn": 17971}, {"country": "MY", "asn": "AS17971", "network": inner}]
    assert [[row["address"] for row in run_query(store, "relays", each)] for each in here] == [[inner]] * 3
    assert run_query(store, "relays", {"country": "MY", "asn": 17972}) == []
    assert run_query(store, "relay", {"address": inner})[0]["kind"] == "inner"


def test_an_address_behind_a_relay_that_fills_the_holes_of_a_campaign_is_a_relay_too(store, setting):
    made, hiding = Scene(), "203.0.113.31"
    sweep(made, A, range(100, 160), [*HONEST, *HONEST, HONEST[0]])
    for number in range(160, 200):
        route = ((b2bua, hiding), HONEST[0]) if number % 3 == 0 else (HONEST[number % len(HONEST)],)
        made.send(request(A, str(number), serial=number), A, *route, at=number)
    put(store, setting, made.seen)
    Analysis(store).update()
    relays = {row["address"]: row for row in run_query(store, "relays", {"limit": 0})}
    assert (relays[hiding]["kind"], relays[hiding]["messages"]) == ("inner", 13)
    assert relays[HONEST[0][1]]["reliable"]
    origins = {row["address"]: row for row in run_query(store, "origins", {"limit": 0})}
    assert origins.keys() == {A}
    assert origins[A]["vouched"] + origins[A]["associated"] == 100
    messages = list(run_query(store, "messages", {"limit": 0}))
    assert {row["origin"] for row in messages} == {A}
    assert sum(row["association"] for row in messages) == 13


def test_a_sender_that_puts_a_real_relay_between_itself_and_an_innocent_frames_nobody(store, setting):
    made, real = Scene(), "203.0.113.77"
    sweep(made, A, range(100, 160), [*HONEST, (kamailio, real)])
    for number in range(40):
        message = request(INNOCENT, str(500 + number), serial=number)
        kamailio(message, real, INNOCENT, 5074)
        kamailio(message, B, real, 5060)
        made.send(message, B, HONEST[number % len(HONEST)], at=number)
    put(store, setting, made.seen)
    Analysis(store).update()
    assert {row["address"] for row in run_query(store, "origins", {"limit": 0})} == {A, B}
    messages = list(run_query(store, "messages", {"limit": 0}))
    assert {row["origin"] for row in messages} == {A, B}
    campaigns = {row["id"]: row["messages"] for row in run_query(store, "campaigns", {"limit": 0})}
    assert campaigns == Counter(row["campaign"] for row in messages)


def test_a_chain_that_nobody_believes_is_counted_where_its_messages_say(store, setting):
    """Its requests fit holes of a campaign, but who names them may have made that up: they are nobody's, everywhere."""
    made, inner = Scene(), "203.0.113.77"
    sweep(made, A, [*range(100, 130), *range(140, 170)], HONEST)
    for number in range(130, 140):
        made.send(request(B, str(number), serial=number), B, (kamailio, inner), HONEST[0], at=number)
    put(store, setting, made.seen)
    Analysis(store).update()
    messages = list(run_query(store, "messages", {"limit": 0}))
    assert Counter(row["origin"] for row in messages) == {A: 60, None: 10}
    campaigns = {row["id"]: row["messages"] for row in run_query(store, "campaigns", {"limit": 0})}
    assert campaigns == Counter(row["campaign"] for row in messages)


def test_an_ack_of_a_host_that_hides_is_nobodys(store, setting, scene):
    """By its bytes it came straight from there, as what the host makes anew does; it names no campaign."""
    hiding, made = "203.0.113.31", Scene(list(scene.seen), list(scene.truth))
    made.send(request(hiding, "100", method="ACK"), hiding, at=20)
    put(store, setting, made.seen)
    Analysis(store).update()
    (ack,) = run_query(store, "messages", {"method": "ACK"})
    assert (ack["path_verdict"], ack["campaign"]) == ("unknown", None)


def test_what_comes_through_a_relays_inner_hop_is_its_senders_whatever_contact_says(store, setting):
    made = Scene()
    sweep(made, B, range(500, 560), HONEST)
    for number in range(40):
        message = request(A, str(100 + number), serial=number, contact=B)
        kamailio(message, "10.0.0.5", A, 5074)
        made.send(message, "10.0.0.5", (kamailio, "203.0.113.51"), at=number * 3)
    put(store, setting, made.seen)
    Analysis(store).update()
    through = [row for row in run_query(store, "messages", {"limit": 0}) if row["via_count"] == 3]
    assert {row["origin"] for row in through} == {A}
    relays = {row["address"] for row in run_query(store, "relays", {"limit": 0})}
    assert relays == {"203.0.113.51", *(address for _, address in HONEST)}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_batches_in_any_order_give_the_same_findings(store, setting, scene, expected, seed):
    drawn = random.Random(seed)
    order = list(scene.seen)
    drawn.shuffle(order)
    analysis = Analysis(store)
    while order:
        size = drawn.randrange(1, 90)
        analysis.update([put(store, setting, order[:size])])
        del order[:size]
    assert told(store) == expected


def test_batches_of_a_busy_hour_give_the_same_findings(store, setting, scene, expected, monkeypatch):
    monkeypatch.setattr(sums, "MESSAGES_AT_ONCE", 30)
    order = list(scene.seen)
    random.Random(1).shuffle(order)
    while order:
        Analysis(store).update([put(store, setting, order[:60])])
        del order[:60]
    assert store.row("SELECT count() AS n FROM hour_parts")["n"] > 0
    assert told(store) == expected


def test_a_restart_in_between_changes_nothing(store, setting, scene, expected):
    half = len(scene.seen) // 2
    put(store, setting, scene.seen[:half])
    Analysis(store).update()
    put(store, setting, scene.seen[half:])
    Analysis(store).update()
    assert told(store) == expected


@pytest.mark.parametrize("bound", ["TRACKS_AT_ONCE", "MESSAGES_AT_ONCE"])
def test_an_hour_of_many_tracks_or_messages_is_summed_up_in_parts(store, setting, scene, expected, monkeypatch, bound):
    monkeypatch.setattr(sums, bound, 3)
    put(store, setting, scene.seen)
    Analysis(store).update()
    assert told(store) == expected


def test_an_origin_is_listed_once_something_is_concluded_of_it(store, setting, scene, monkeypatch):
    put(store, setting, scene.seen)
    with monkeypatch.context() as patch:
        patch.setattr(Analysis, "_settle", lambda *_: None)
        Analysis(store).update()
    assert run_query(store, "origins", {}) == []
    Analysis(store).update()
    assert {row["address"]: row["confidence"] > 0 for row in run_query(store, "origins", {})} == {A: True, B: True}


class KilledError(BaseException):
    """What stands in for the end of the process."""


def test_an_update_that_was_killed_before_any_of_its_writes_is_made_good_by_the_next(
    store, setting, scene, monkeypatch
):
    """The second half comes in while it is killed over and over, each time a write later, and with it what was there
    before is put in windows and sums anew."""
    writes = iter(())

    def counted(write):
        def counting(self, statement, *rest, **more):
            if not isinstance(statement, str) or not statement.startswith("SYSTEM"):
                next(writes)
            return write(self, statement, *rest, **more)

        return counting

    monkeypatch.setattr(analyse, "WINDOW_REQUESTS", 100)
    put(store, setting, scene.seen[::2])
    Analysis(store).update()
    put(store, setting, scene.seen[1::2])
    for name in ("command", "insert_rows"):
        monkeypatch.setattr(Store, name, counted(getattr(Store, name)))
    deaths = 0
    while True:
        writes = _until_killed(deaths)
        try:
            Analysis(store).update()
        except KilledError:
            deaths += 1
        else:
            break
    assert deaths > 5
    monkeypatch.undo()
    found = told(store)
    clear(store)
    put(store, setting, scene.seen)
    monkeypatch.setattr(analyse, "WINDOW_REQUESTS", 100)
    Analysis(store).update()
    assert found == told(store)


def _until_killed(writes):
    yield from range(writes)
    raise KilledError


def test_nothing_new_is_nothing_to_do(store, setting, scene):
    span = put(store, setting, scene.seen)
    analysis = Analysis(store)
    assert analysis.update() is True
    assert analysis.update([span]) is False
    assert analysis.update() is False


def test_what_is_gone_is_forgotten(store, setting, scene):
    put(store, setting, scene.seen)
    analysis = Analysis(store)
    analysis.update()
    (campaign, *_) = run_query(store, "campaigns", {})
    store.command("TRUNCATE TABLE messages")
    analysis.update()
    assert run_query(store, "campaign", {"id": campaign["id"]}) == []
    assert run_query(store, "relays", {"limit": 0}) == []
    assert run_query(store, "origins", {"limit": 0}) == []
    assert run_query(store, "campaigns", {"limit": 0}) == []


def test_messages_that_reanalysis_joins_otherwise_count_once(store, setting, scene, expected):
    put(store, setting, scene.seen)
    analysis = Analysis(store)
    store.command("ALTER TABLE messages UPDATE track = track + 1 WHERE track != 0 SETTINGS mutations_sync = 2")
    analysis.update()
    store.command("TRUNCATE TABLE messages")
    put(store, setting, scene.seen)
    analysis.update()
    assert told(store) == expected


@pytest.mark.parametrize("times", [1, 2])
def test_findings_follow_a_reanalysis_that_leaves_every_track_as_it_is(store, setting, workers, scene, times):
    """The country of a relay's network, say, when other tables came."""
    put(store, setting, scene.seen)
    analysis = Analysis(store)
    store.command("ALTER TABLE messages UPDATE country = 'XX' WHERE 1 SETTINGS mutations_sync = 2")
    analysis.update()
    assert {row["country"] for row in run_query(store, "relays", {"limit": 0})} >= {"XX"}
    for _ in range(times):  # the first may end before its findings are worked out
        list(reanalyse(store, workers))
    analysis.update()
    assert "XX" not in {row["country"] for row in run_query(store, "relays", {"limit": 0})}


def test_findings_follow_a_day_after_which_a_reanalysis_crashed(store, setting, workers, scene, monkeypatch):
    def crash_after(store, day):
        rebuild.replace_day(store, day)
        raise StoreError("no room")

    put(store, setting, scene.seen)
    analysis = Analysis(store)
    store.command("ALTER TABLE messages UPDATE country = 'XX' WHERE 1 SETTINGS mutations_sync = 2")
    analysis.update()
    monkeypatch.setattr("relaytrap.hub.reanalyse.replace_day", crash_after)
    with pytest.raises(StoreError):
        list(reanalyse(store, workers))
    analysis.update()
    assert "XX" not in {row["country"] for row in run_query(store, "relays", {"limit": 0})}


def test_messages_of_two_days_are_two_windows(store, setting, scene):
    from msgspec.structs import replace

    put(store, setting, scene.seen)
    put(store, setting, [replace(seen, received_at_ns=seen.received_at_ns + DAY * 10**9) for seen in scene.seen])
    Analysis(store).update()
    campaigns = {row["origin"]: row for row in run_query(store, "campaigns", {"limit": 0})}
    assert campaigns[A]["messages"] == 300
    windows = findings.read_windows(store, 0, 2**31)
    assert {window.width for window in windows} == {DAY}
    assert len(windows) == 2


def test_quiet_days_in_a_row_are_worked_on_at_once(store, setting, scene, monkeypatch):
    """A capture of a quiet year took three minutes day by day."""
    from msgspec.structs import replace

    days = [*range(40), 50]
    seen = [replace(scene.seen[day], received_at_ns=scene.seen[day].received_at_ns + day * DAY * 10**9) for day in days]
    put(store, setting, seen)
    worked, work = [], Analysis._work_on
    monkeypatch.setattr(
        Analysis, "_work_on", lambda self, days, rest: (worked.append(len(days)), work(self, days, rest))
    )
    Analysis(store).update()
    assert worked == [32, 8, 1]
    assert len(findings.read_windows(store, 0, 2**31)) == 41


@pytest.mark.parametrize("seed", range(3))
def test_days_that_come_mixed_up_while_retention_drops_the_oldest_leave_what_is_left(store, setting, scene, seed):
    from msgspec.structs import replace

    drawn = random.Random(seed)
    seen = [
        replace(each, received_at_ns=each.received_at_ns + drawn.randrange(4) * DAY * 10**9)
        for each in drawn.sample(scene.seen, len(scene.seen))
    ]
    analysis, spans, dropped, kept = Analysis(store), [], [], store.config
    store.config = dataclasses.replace(kept, retention_days=2)
    try:
        for begin in range(0, len(seen), 40):
            spans.append(put(store, setting, seen[begin : begin + 40]))
            if drawn.random() < 0.4:
                # Messages of a day that went may follow: they are kept until retention looks again.
                dropped += apply_retention(store, max(each.received_at_ns for each in seen))
            if drawn.random() < 0.6:
                analysis.update(spans)
                spans.clear()
    finally:
        store.config = kept
    analysis.update()
    found = told(store)
    assert dropped
    assert found["messages"]
    for table in FINDINGS:
        store.command(f"TRUNCATE TABLE {table}")
    Analysis(store).update()
    assert found == told(store)


def test_a_day_that_grows_too_large_is_split_and_counts_once(store, setting, scene, expected, monkeypatch):
    half = len(scene.seen) // 2
    put(store, setting, scene.seen[:half])
    analysis = Analysis(store)
    analysis.update()
    monkeypatch.setattr(analyse, "WINDOW_REQUESTS", half + 10)
    put(store, setting, scene.seen[half:])
    analysis.update()
    assert {window.width for window in findings.read_windows(store, 0, 2**31)} <= {21_600, 3600, 300, 60, 20}
    relays = {row["address"] for row in run_query(store, "relays", {"limit": 0})}
    assert relays >= {address for _, address in HONEST}


def test_windows_are_as_wide_as_they_may_be(monkeypatch):
    monkeypatch.setattr(analyse, "WINDOW_REQUESTS", 100)
    day = 20_000 * DAY
    quiet = {day + 300 * n: Bucket(day + 300 * n, 1, 1, 0) for n in range(50)}
    assert list(split_windows(day, quiet)) == [Window(day, DAY)]
    busy = quiet | {day + 36_000: Bucket(day + 36_000, 90, 90, 0), day + 36_300: Bucket(day + 36_300, 90, 90, 0)}
    found = list(split_windows(day, busy))
    assert Window(day + 36_000, 300) in found
    assert Window(day, 21_600) in found
    assert sum(1 for window in found if window.width == DAY) == 0


def test_news_of_one_hour_leave_other_hours_alone_until_a_look_at_everything(store, setting, scene):
    from msgspec.structs import replace

    earlier = [replace(seen, received_at_ns=seen.received_at_ns - 5 * 3600 * 10**9) for seen in scene.seen]
    span = put(store, setting, scene.seen)
    put(store, setting, earlier)
    analysis = Analysis(store)
    analysis.update([span])
    of_one = {row["origin"]: row["messages"] for row in run_query(store, "campaigns", {"limit": 0})}
    analysis.update()
    of_both = {row["origin"]: row["messages"] for row in run_query(store, "campaigns", {"limit": 0})}
    assert of_one[A] < of_both[A] == 300


def test_a_day_that_lost_messages_in_one_hour_is_worked_on_whole(store, setting, scene):
    from msgspec.structs import replace

    earlier = [replace(seen, received_at_ns=seen.received_at_ns - 5 * 3600 * 10**9) for seen in scene.seen]
    first, last = put(store, setting, scene.seen)
    put(store, setting, earlier)
    analysis = Analysis(store)
    analysis.update()
    store.command(f"DELETE FROM messages WHERE received_at >= fromUnixTimestamp64Nano({first})")
    analysis.update([(first, last)])
    campaigns = {row["origin"]: row["messages"] for row in run_query(store, "campaigns", {"limit": 0})}
    assert campaigns[A] == 150


def test_windows_narrow_to_twenty_seconds_in_a_flood(monkeypatch):
    monkeypatch.setattr(analyse, "WINDOW_REQUESTS", 100)
    day = 20_000 * DAY
    flood = {day + 20 * n: Bucket(day + 20 * n, 90, 90, 0) for n in range(5)}
    assert list(split_windows(day, flood)) == [Window(day + 20 * n, 20) for n in range(5)]


def test_a_campaign_keeps_its_identifier_and_narrows_messages(store, setting, scene):
    put(store, setting, scene.seen)
    Analysis(store).update()
    campaign = next(row for row in run_query(store, "campaigns", {"limit": 0}) if row["origin"] == A)
    assert campaign["id"] == "5766427be1f4"
    rows = list(run_query(store, "messages", {"campaign": campaign["id"], "limit": 0}))
    assert len(rows) == campaign["messages"] == 150
    assert {row["campaign"] for row in rows} == {campaign["id"]}
    assert {row["origin"] for row in rows} == {A}


def test_pictures_show_every_request_of_a_campaign(store, setting, scene):
    put(store, setting, scene.seen)
    Analysis(store).update()
    points = run_query(store, "sweep", {"id": "5766427be1f4"})
    assert len(points) == 150
    assert {point["number"] for point in points} == set(range(100, 250))
    assert {point["relay"] for point in points} == {address for _, address in RELAYS}
    assert sum(point["association"] for point in points) == 48
    assert sum(row["requests"] for row in run_query(store, "relay_hours", {"id": "5766427be1f4"})) == 150
    edges = run_query(store, "fan", {"id": "5766427be1f4"})
    assert sum(edge["requests"] for edge in edges) == 150
    assert {edge["origin"] for edge in edges} == {A}


def test_a_campaign_too_large_to_list_is_told_the_same(store, setting, scene, monkeypatch):
    put(store, setting, scene.seen)
    Analysis(store).update()
    questions = ("campaign", "sweep", "fan", "relay_hours")
    listed = [run_query(store, name, {"id": "5766427be1f4"}) for name in questions]
    monkeypatch.setattr(members, "LISTED_MAX", 0)
    assert [run_query(store, name, {"id": "5766427be1f4"}) for name in questions] == listed


def test_one_page_of_relays_or_campaigns_is_a_piece_of_the_whole_list(store, setting, scene):
    put(store, setting, scene.seen)
    Analysis(store).update()
    for question, given in (
        ("relays", {"sort": "messages"}),
        ("relays", {"sort": "origins"}),
        ("relays", {"sort": "last_seen"}),
        ("campaigns", {"sort": "messages"}),
        ("campaigns", {"sort": "relays"}),
        ("campaigns", {"sort": "first_seen", "relayed": True}),
    ):
        whole = run_query(store, question, {**given, "limit": 0})
        assert whole
        pages = [run_query(store, question, {**given, "limit": 2, "offset": n}) for n in range(0, len(whole), 2)]
        assert [_unordered(row) for page in pages for row in page] == [_unordered(row) for row in whole]


def _unordered(row):
    return {name: sorted(value) if isinstance(value, list) else value for name, value in row.items()}


def test_one_campaign_relay_and_origin_say_why(store, setting, scene):
    put(store, setting, scene.seen)
    Analysis(store).update()
    (campaign,) = run_query(store, "campaign", {"id": "5766427be1f4"})
    assert campaign["schedule"]["active_hours"] == campaign["active_hours"]
    assert any(each["association"] for each in campaign["evidence"])
    (relay,) = run_query(store, "relay", {"address": "203.0.113.32"})
    assert [(each["origin"], each["how"]) for each in relay["for_origins"]] == [(A, "association")]
    (origin,) = run_query(store, "origin", {"address": A})
    assert {each["how"] for each in origin["by_relays"]} == {"vouched", "association"}
    assert len({each["relay"] for each in origin["by_relays"]}) == len(origin["by_relays"])
    assert sum(each["how"] == "vouched" for each in origin["by_relays"]) == origin["relays"]
    assert origin["contradicted_by"] == ["203.0.113.41"]
    assert run_query(store, "relay", {"address": "192.0.2.77"}) == []
    assert run_query(store, "campaign", {"id": "000000000000"}) == []


def test_a_hub_finds_in_the_background(store, setting, scene, monkeypatch):
    monkeypatch.setattr(analyse, "PAUSE_S", 0.01)
    analyst = Analyst(Analysis(store))
    analyst.start()
    span = put(store, setting, scene.seen)
    analyst.take(*span)
    for _ in range(600):
        if len(run_query(store, "relays", {"limit": 0})) == len(RELAYS):
            break
        time.sleep(0.05)
    analyst.close()
    assert len(run_query(store, "relays", {"limit": 0})) == len(RELAYS)


def test_messages_of_a_machine_without_a_clock_are_analysed_like_others(store, setting, scene):
    from msgspec.structs import replace

    start = min(seen.received_at_ns for seen in scene.seen)
    early = [replace(seen, received_at_ns=seen.received_at_ns - start + 3600 * 10**9) for seen in scene.seen]
    put(store, setting, early)
    Analysis(store).update()
    assert len(run_query(store, "relays", {"limit": 0})) == len(RELAYS)


def test_after_an_analysis_that_failed_everything_is_looked_at(store, monkeypatch):
    monkeypatch.setattr(analyse, "PAUSE_S", 0.0)
    looked, failing = [], {1, 2}

    class Failing(Analysis):
        def update(self, spans=None, *, rest=None):
            looked.append(spans)
            if len(looked) in failing:
                raise RuntimeError("no memory")
            return False

    analyst = Analyst(Failing(store))
    analyst.start()
    for number in range(1, 5):
        analyst.take(number, number)
        for _ in range(600):
            if len(looked) > number:
                break
            time.sleep(0.01)
    analyst.close()
    assert looked == [None, None, None, [(3, 3)], [(4, 4)]]


class Resting(Analysis):
    """Rests once in each update, and notes what is due and how long it took."""

    def update(self, spans=None, *, rest=None):
        began = clock.monotonic()
        rest()
        self.rested_s = clock.monotonic() - began
        return False


@pytest.mark.parametrize(("news", "awaited"), [(True, False), (False, False), (True, True)])
def test_a_long_update_rests_while_messages_come_in_unless_somebody_waits_for_it(store, monkeypatch, news, awaited):
    monkeypatch.setattr(analyse, "WORK_S", 0.0)
    monkeypatch.setattr(analyse, "REST_SHARE", 1e12)
    monkeypatch.setattr(analyse, "REST_MAX_S", 0.4)
    analyst = Analyst(Resting(store))
    analyst._rested = clock.monotonic()
    if news:
        analyst.take(1, 1)
    if awaited:
        analyst.analysis._asking.add(0)
    analyst._update(None)
    assert (analyst.analysis.rested_s >= 0.4) is (news and not awaited)


def test_who_waits_for_an_update_is_told_to_be_there_until_it_is_his_turn(store):
    analysis = Analysis(store)
    with analysis._turn:
        waiting = threading.Thread(target=analysis.update)
        waiting.start()
        while not analysis.is_awaited:
            time.sleep(0.01)
    waiting.join()
    assert not analysis.is_awaited
