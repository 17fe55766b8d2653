"""What the doctor sees."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from relaytrap.cli.doctor import CHECKS, HUB_CHECKS, check_data_dir
from relaytrap.cli.doctor_hub import check_hub, check_sensors, check_shipping, check_store
from relaytrap.cli.doctor_ports import check_listen, check_page, check_uplink
from relaytrap.cli.finding import Finding
from relaytrap.clock import now_ns
from relaytrap.config import Config, HubConfig, SensorConfig, StoreConfig, WebConfig
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.keys import Keys
from relaytrap.sensor.spool_folder import lock_folder
from relaytrap.store.lock import DirectoryLock
from tests.web.conftest import start_hub

from .conftest import Run


def test_taken_port_is_a_note_that_names_it() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"udp:127.0.0.1:{taken.getsockname()[1]}"
        found, _ = check_listen(Config(Path("unused"), sensor=SensorConfig(listen=(place,))))
    assert found.state == "note"
    assert place in found.text


def test_taken_port_is_good_while_a_sensor_of_this_data_runs(tmp_path: Path) -> None:
    (tmp_path / "spool" / "one").mkdir(parents=True)
    lock = lock_folder(tmp_path / "spool" / "one")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"udp:127.0.0.1:{taken.getsockname()[1]}"
        config = Config(tmp_path, sensor=SensorConfig(listen=(place,)))
        found, _ = check_listen(config)
        os.close(lock)
        left, _ = check_listen(config)
    assert found == Finding("listen", "good", f"{place} is taken, and sensor one runs here")
    assert left.state == "note"


def test_process_that_has_the_data_and_answers_nobody_is_named(tmp_path: Path) -> None:
    (found,) = check_hub(Config(tmp_path))
    assert found.text == "no hub runs on this data; relaytrap up starts one"
    with contextlib.closing(DirectoryLock(tmp_path)):
        (found,) = check_hub(Config(tmp_path))
    assert found.text.startswith(f"process {os.getpid()} has this data and answers nobody")


@contextlib.contextmanager
def answering(status: int) -> Iterator[str]:
    """A server that answers everything with this status; gives its URL."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(("status", "state"), [(200, "good"), (500, "wrong")])
def test_hub_that_runs_is_asked_whether_it_answers(tmp_path: Path, status: int, state: str) -> None:
    with answering(status) as url:
        (tmp_path / "hub.json").write_text(json.dumps({"pid": os.getpid(), "url": url}))
        assert [one.state for one in check_hub(Config(tmp_path))] == [state]


def test_hub_that_does_not_answer_is_told_from_a_dead_one(tmp_path: Path) -> None:
    note = tmp_path / "hub.json"
    with answering(200) as url:
        pass
    note.write_text(json.dumps({"pid": os.getpid(), "url": url}))
    (found,) = check_hub(Config(tmp_path))
    assert found.state == "wrong"
    assert f"does not answer at {url} (Connection refused)" in found.text
    note.write_text(json.dumps({"pid": 2**22 + 1, "url": "http://127.0.0.1:8060"}))
    assert [one.state for one in check_hub(Config(tmp_path))] == ["note"]


def test_broken_note_of_a_hub_is_wrong_not_an_exception(tmp_path: Path) -> None:
    (tmp_path / "hub.json").write_text("{")
    assert [one.state for one in check_hub(Config(tmp_path))] == ["wrong"]


def test_missing_data_directory_is_good_when_it_can_be_made(tmp_path: Path) -> None:
    (found,) = check_data_dir(Config(tmp_path / "new"))
    assert found == Finding("data", "good", found.text)
    assert "made at first start" in found.text


def test_command_prints_one_object_a_check(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "relaytrap.cli.main", "--data", str(tmp_path), "doctor", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"settings", "python", "data", "hub", "listen"} <= {row["check"] for row in rows}
    assert done.returncode == int(any(row["state"] == "wrong" for row in rows))


def test_broken_database_is_wrong_and_the_other_checks_still_look(tmp_path: Path, run: Run) -> None:
    (tmp_path / "hub.sqlite3").write_text("no database")
    shown = run("--data", tmp_path, "doctor", "--json")
    found = {row["check"]: row for row in map(json.loads, shown.out.splitlines())}
    assert shown.status == 1
    assert found["sensors"]["state"] == "wrong"
    assert "not a database" in found["sensors"]["text"]
    assert "network" in found


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('known_proxies = ["carrier"]', "network.known_proxies: 'carrier'"),
        ('own_networks = ["192.0.2.1/33"]', "network.own_networks: '192.0.2.1/33'"),
        ('names = [{ network = "192.0.2.0/24", country = "ZZZ" }]', "network.names: country 'ZZZ'"),
    ],
)
def test_network_that_the_hub_would_not_take_is_wrong(tmp_path: Path, run: Run, setting: str, said: str) -> None:
    file = tmp_path / "relaytrap.toml"
    file.write_text(f"[network]\n{setting}\n")
    shown = run("--config", file, "--data", tmp_path, "doctor", "--json")
    (wrong,) = [row["text"] for row in map(json.loads, shown.out.splitlines()) if row["state"] == "wrong"]
    assert wrong.startswith(said)


@pytest.mark.parametrize(
    ("status", "state", "said"),
    [
        (400, "good", "knows this sensor's token"),
        (401, "wrong", "rotate NAME there gives a new one"),
        (404, "wrong", "does not answer as a Relaytrap hub does"),
    ],
)
def test_hub_that_this_sensor_ships_to_is_asked(tmp_path: Path, status: int, state: str, said: str) -> None:
    with answering(status) as url:
        (found,) = check_shipping(Config(tmp_path, sensor=SensorConfig(hub_url=url, token="secret")))
    assert (found.state, said in found.text) == (state, True)


def test_hub_that_this_sensor_cannot_reach_is_wrong(tmp_path: Path) -> None:
    with answering(200) as url:
        pass
    (found,) = check_shipping(Config(tmp_path, sensor=SensorConfig(hub_url=url, token="secret")))
    assert (found.state, "waits in the spool" in found.text) == ("wrong", True)


def test_hub_takes_the_doctors_question_for_no_word_of_the_sensor(tmp_path: Path) -> None:
    hub = start_hub(tmp_path / "hub")
    try:
        with contextlib.closing(HubDatabase(hub.data_dir)) as database:
            token = Keys(database).add("cellar")
            (known,) = check_shipping(Config(tmp_path, sensor=SensorConfig(hub_url=hub.url, token=token)))
            (unknown,) = check_shipping(Config(tmp_path, sensor=SensorConfig(hub_url=hub.url, token="another")))
            (kept,) = [each for each in Keys(database).list_sensors() if each.name == "cellar"]
        (runs,) = check_hub(Config(hub.data_dir))
    finally:
        hub.stop()
    assert (known.state, unknown.state, runs.state) == ("good", "wrong", "good")
    assert (kept.last_seen_ns, kept.status) == (None, {})


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ('[sensor]\npersona = "astrisk"', "no persona 'astrisk'"),
        ('[sensor]\ntls_certificate = "/no/such.pem"', "sensor.tls_certificate: /no/such.pem cannot be read"),
        ('[sensor]\nhub_url = "hub.example"', "sensor.hub_url: 'hub.example' is no hub address"),
        ('[hub]\nuplink_listen = "8061"', "hub.uplink_listen: '8061' is no address and port"),
        ('[hub]\nuplink_listen = "127.0.0.1:0"\nuplink_url = "hub"', "hub.uplink_url: 'hub' is no hub address"),
        ('[web]\nlisten = "0.0.0.0:8060"', "web.listen: 0.0.0.0 can be reached from other machines"),
        ('[store]\nurl = "postgres://db/relaytrap"', "store.url is no address of a ClickHouse server"),
        ('[store]\nurl = "clickhouse://db:99999/relaytrap"', "store.url is no address of a ClickHouse server"),
        ('[store]\ncluster = "traps"', "store.cluster names a cluster and store.url no server"),
        ('[network]\nhome_region = "Australia"', "network.home_region: 'Australia' is no ISO code"),
        ('[enrich]\nasn_mmdb = "/no/such.mmdb"', "/no/such.mmdb"),
        ('[feeds]\nallow = ["carrier.example"]', "feeds.allow: 'carrier.example' is no address or network"),
        ('[feeds]\nevidence = "hope"', "feeds.evidence: 'hope' is none of proven, persistent, any"),
        ('[probe]\nwitness = "over there"', "'over there' is no address"),
        ('[probe]\nnotify_command = ["/no/such/program"]', "probe.notify_command: /no/such/program"),
    ],
)
def test_setting_that_its_program_would_refuse_is_wrong(tmp_path: Path, run: Run, section: str, said: str) -> None:
    file = tmp_path / "relaytrap.toml"
    file.write_text(section)
    shown = run("--config", file, "--data", tmp_path / "data", "doctor", "--json")
    wrong = [row["text"] for row in map(json.loads, shown.out.splitlines()) if row["state"] == "wrong"]
    assert shown.status == 1
    assert [text for text in wrong if said in text]
    assert len(wrong) == 1


def test_doctor_leaves_nothing_behind(tmp_path: Path, run: Run) -> None:
    run("--data", tmp_path / "data", "doctor")
    assert not (tmp_path / "data").exists()


def test_each_check_is_made_once() -> None:
    assert len({*CHECKS, *HUB_CHECKS}) == len(CHECKS) + len(HUB_CHECKS)


def test_server_of_the_store_that_is_away_is_wrong(tmp_path: Path) -> None:
    with answering(200) as url:
        store = StoreConfig(url=url.replace("http", "clickhouse"))
        (here,) = check_store(Config(tmp_path, store=store))
    (away,) = check_store(Config(tmp_path, store=store))
    assert (here.state, away.state) == ("good", "wrong")
    assert list(check_store(Config(tmp_path))) == []


def test_port_of_the_page_or_of_sensors_elsewhere_that_another_has_is_a_note(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        (page,) = check_page(Config(tmp_path, web=WebConfig(listen=where)))
        uplink, loopback = check_uplink(Config(tmp_path, hub=HubConfig(uplink_listen=where)))
    assert "another program has it" in page.text
    assert "another program has it" in uplink.text
    assert "no other machine reaches it" in loopback.text
    assert {page.state, uplink.state, loopback.state} == {"note"}


def test_sensor_that_has_fallen_silent_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(HubDatabase(tmp_path)) as database:
        keys = Keys(database)
        for name in ("silent", "speaks", "new", "gone"):
            keys.add(name)
        for name in ("silent", "speaks", "gone"):
            keys.note_seen(name)
        keys.revoke("gone")
        with database.transaction() as connection:
            connection.execute("UPDATE sensors SET last_seen_ns = ? WHERE name != 'speaks'", (now_ns() - 10**12,))
            connection.execute("UPDATE sensors SET last_seen_ns = NULL WHERE name = 'new'")
    assert [one.state for one in check_sensors(Config(tmp_path))] == ["good"], "no hub runs that could hear them"
    monkeypatch.setattr("relaytrap.cli.session.running_hub", lambda _: object())
    (found,) = check_sensors(Config(tmp_path))
    assert found.state == "wrong"
    assert found.text.startswith("silent has been silent since ")
