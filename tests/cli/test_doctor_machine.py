"""What the doctor sees of the machine around Relaytrap."""

import os
import socket
from pathlib import Path

import pytest

from relaytrap.certificate import DAY_NS, make_certificate
from relaytrap.cli.doctor_machine import (
    check_clock,
    check_expiry,
    check_hep,
    check_owner,
    check_room,
    check_secrets,
    check_settings_file,
    check_units,
    service_may,
)
from relaytrap.cli.doctor_ports import check_listen
from relaytrap.cli.finding import Finding
from relaytrap.config import Config, Given, HubConfig, SensorConfig, StoreConfig

UNIT = """[Unit]
Description=Relaytrap sensor
[Service]
User={user}
Environment=RELAYTRAP_CONFIG={config}{more}
AmbientCapabilities=CAP_NET_BIND_SERVICE
ExecStart={program} sensor
SystemCallFilter=@system-service
SystemCallFilter=~@privileged
"""
ADDITION = Path(__file__).resolve().parents[2] / "deploy/systemd/listen-only.conf"


def states(found: list[Finding]) -> list[str]:
    return [each.state for each in found]


def installed(
    folder: Path, *, user: str = "root", program: str = "/bin/true", config: str = "/dev/null", more: str = ""
) -> Path:
    """A unit in a folder of its own."""
    units = folder / "units"
    units.mkdir()
    unit = units / "relaytrap-sensor.service"
    unit.write_text(UNIT.format(user=user, program=program, config=config, more=more))
    return units


def test_clock_is_read_from_the_kernel() -> None:
    (found,) = check_clock(Config(Path("unused")))
    assert found.state in ("good", "note")
    assert "kept in time" in found.text or "clock" in found.text


def test_limits_that_the_disk_cannot_keep_are_noted(tmp_path: Path) -> None:
    (tmp_path / "spool").mkdir()
    (tmp_path / "store").mkdir()
    fits = Config(tmp_path, sensor=SensorConfig(spool_max_bytes=1), store=StoreConfig(retention_bytes=1))
    assert states([*check_room(fits)]) == ["good", "good"]
    endless = Config(tmp_path, sensor=SensorConfig(spool_max_bytes=1 << 60), store=StoreConfig(retention_bytes=0))
    (found,) = check_room(endless)
    assert found.state == "note"
    assert "lower sensor.spool_max_bytes" in found.text


@pytest.mark.parametrize("name", ["joined.toml", "probe.sqlite3", "witness/secret"])
def test_secret_that_others_can_read_is_wrong(tmp_path: Path, name: str) -> None:
    secret = tmp_path / name
    secret.parent.mkdir(exist_ok=True)
    secret.touch(0o600)
    assert [*check_secrets(Config(tmp_path))] == []
    secret.chmod(0o644)
    (found,) = check_secrets(Config(tmp_path))
    assert found == Finding("secrets", "wrong", f"others may read secrets; run chmod 600 {secret}")


def test_files_of_another_user_are_wrong(tmp_path: Path) -> None:
    (tmp_path / "hub.sqlite3").touch()
    assert [*check_owner(Config(tmp_path))] == []
    if os.geteuid() != 0:
        pytest.skip("giving a file away needs root")
    os.chown(tmp_path, 65534, -1)
    (found,) = check_owner(Config(tmp_path))
    assert found.state == "wrong"
    assert found.text.startswith("hub.sqlite3 in ")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sensor.token", "t"),
        ("hub.hep_password", "p"),
        ("probe.witness_token", "w"),
        ("store.url", "clickhouse://user:p@192.0.2.1/db"),
        ("hub.nats_url", "nats://user:p@192.0.2.1:4222"),
    ],
)
def test_settings_file_is_wrong_only_when_it_holds_a_secret_for_all_to_read(
    tmp_path: Path, key: str, value: str
) -> None:
    file = tmp_path / "relaytrap.toml"
    file.touch()
    file.chmod(0o644)
    plain, secret = {"sensor.name": Given("n", "file", f"{file}:2")}, {key: Given(value, "file", f"{file}:3")}
    assert [*check_settings_file(file, plain), *check_settings_file(None, secret)] == []
    assert states([*check_settings_file(file, secret)]) == ["wrong"]
    elsewhere = Given(value, "file", f"{tmp_path / 'joined.toml'}:3"), Given(value, "variable", "RELAYTRAP_X")
    assert [found for one in elsewhere for found in check_settings_file(file, {key: one})] == []
    file.chmod(0o640)
    assert [*check_settings_file(file, secret)] == []


def test_unit_in_order_is_good(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("the data here belong to another user than root")
    (found,) = check_units(Config(tmp_path), installed(tmp_path))
    assert found.state == "good"


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"program": "/nowhere/relaytrap"}, "program /nowhere/relaytrap is not there"),
        ({"user": "nobody-of-that-name"}, "run systemd-sysusers"),
        ({"user": "nobody"}, "does not belong to nobody"),
        ({"config": "/nowhere.toml"}, "settings file /nowhere.toml is not there"),
        ({"more": " RELAYTRAP_DATA=/srv/other"}, "it keeps its data in /srv/other, this command in"),
    ],
)
def test_what_a_unit_lacks_is_named(tmp_path: Path, given: dict[str, str], word: str) -> None:
    found = [*check_units(Config(tmp_path), installed(tmp_path, **given))]
    assert "wrong" in states(found)
    assert any(word in each.text for each in found)


def test_reading_along_without_its_addition_is_wrong(tmp_path: Path) -> None:
    units = installed(tmp_path)
    config = Config(tmp_path, sensor=SensorConfig(listen_only="eth0"))
    assert any("listen-only.conf" in each.text for each in check_units(config, units))
    (units / "relaytrap-sensor.service.d").mkdir()
    (units / "relaytrap-sensor.service.d" / "listen-only.conf").touch()
    assert not any("listen-only.conf" in each.text for each in check_units(config, units))


def test_what_the_service_may_is_read_from_its_unit_and_addition(tmp_path: Path) -> None:
    units = installed(tmp_path)
    assert service_may("CAP_NET_BIND_SERVICE", "relaytrap-sensor.service", units)
    assert not service_may("CAP_NET_RAW", "relaytrap-sensor.service", units)
    (units / "relaytrap-sensor.service.d").mkdir()
    (units / "relaytrap-sensor.service.d" / "listen-only.conf").write_bytes(ADDITION.read_bytes())
    assert service_may("CAP_NET_RAW", "relaytrap-sensor.service", units)
    assert not service_may("CAP_NET_BIND_SERVICE", "relaytrap-sensor.service", units)
    assert not service_may("CAP_NET_RAW", "relaytrap-sensor.service", tmp_path)


@pytest.mark.parametrize(
    ("may", "state"), [(True, "note"), (False, "wrong")], ids=["the service may", "the service may not"]
)
def test_low_port_is_wrong_only_where_the_service_may_not_open_it(
    monkeypatch: pytest.MonkeyPatch, may: bool, state: str
) -> None:
    def refuse(self: socket.socket, address: object) -> None:
        raise PermissionError

    monkeypatch.setattr(socket.socket, "bind", refuse)
    monkeypatch.setattr("relaytrap.cli.doctor_ports.service_may", lambda *_: may)
    found, _ = check_listen(Config(Path("unused"), sensor=SensorConfig(listen=("tcp:127.0.0.1:443",))))
    assert found.state == state


def test_unit_that_is_none_is_wrong_not_an_exception(tmp_path: Path) -> None:
    (tmp_path / "relaytrap-hub.service").write_bytes(b"\xff[nonsense")
    assert states([*check_units(Config(tmp_path), tmp_path)]) == ["wrong"]


def test_machine_without_units_has_nothing_to_say(tmp_path: Path) -> None:
    assert [*check_units(Config(tmp_path), tmp_path)] == []


def test_hep_for_everybody_is_noted(tmp_path: Path) -> None:
    def found(*places: str, password: str = "") -> list[str]:
        return states([*check_hep(Config(tmp_path, hub=HubConfig(hep_listen=places, hep_password=password)))])

    assert found() == []
    assert found("udp:127.0.0.1:9060") == ["good"]
    assert found("udp:192.0.2.1:9060") == ["note"]
    assert found("udp:192.0.2.1:9060", password="p") == ["good"]
    assert found("nonsense") == ["wrong"]


def test_interface_that_is_not_there_is_wrong(tmp_path: Path) -> None:
    (found,) = check_listen(Config(tmp_path, sensor=SensorConfig(listen_only="nowhere0")))
    assert found.state == "wrong"
    assert "nowhere0" in found.text


def test_place_that_is_none_is_wrong(tmp_path: Path) -> None:
    (found,) = check_listen(Config(tmp_path, sensor=SensorConfig(listen=("nonsense",))))
    assert (found.state, "nonsense" in found.text) == ("wrong", True)


def test_settings_that_others_may_change_are_wrong(tmp_path: Path) -> None:
    file = tmp_path / "relaytrap.toml"
    file.touch(0o600)
    given = {"data_dir": Given(tmp_path, "default")}
    assert [*check_settings_file(file, given)] == []
    file.chmod(0o606)
    (found,) = check_settings_file(file, given)
    assert (found.state, "everybody may change" in found.text) == ("wrong", True)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_settings_that_belong_to_a_stranger_are_wrong_and_to_the_services_user_are_not(tmp_path: Path) -> None:
    file, data = tmp_path / "relaytrap.toml", tmp_path / "data"
    data.mkdir()
    file.touch(0o640)
    os.chown(file, 12345, 0)
    given = {"data_dir": Given(data, "default")}
    (found,) = check_settings_file(file, given)
    assert (found.state, "belongs to 12345" in found.text) == ("wrong", True)
    os.chown(data, 12345, 0)
    assert [*check_settings_file(file, given)] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_settings_that_the_services_user_may_not_read_are_wrong(tmp_path: Path) -> None:
    file = tmp_path / "relaytrap.toml"
    file.touch(0o640)
    units = installed(tmp_path, user="nobody", config=str(file))
    os.chown(tmp_path, 65534, 65534)
    (found,) = check_units(Config(tmp_path), units)
    assert f"its user nobody may not read {file}" in found.text
    file.chmod(0o644)
    assert states([*check_units(Config(tmp_path), units)]) == ["good"]


@pytest.mark.parametrize(
    ("said", "state", "advice"),
    [
        ("ActiveState=failed", "wrong", "journalctl -u relaytrap-sensor says why"),
        ("ActiveState=inactive", "note", "systemctl enable --now relaytrap-sensor"),
        ("ActiveState=active\nUnitFileState=disabled", "note", "systemctl enable relaytrap-sensor"),
        ("ActiveState=active\nNeedDaemonReload=yes", "wrong", "systemctl daemon-reload"),
        ("ActiveState=active\nUnitFileState=enabled", "good", "active"),
    ],
)
def test_what_systemd_says_of_a_unit_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, state: str, advice: str
) -> None:
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(f"#!/bin/sh\ncat <<'.'\n{said}\n.\n")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("relaytrap.cli.doctor_machine.BOOTED", tmp_path)
    (found,) = check_units(Config(tmp_path), installed(tmp_path))
    assert (found.state, advice in found.text) == (state, True)


@pytest.mark.parametrize(("days", "state"), [(400, "good"), (10, "note"), (-1, "wrong")])
def test_certificate_that_ends_is_told_in_time(tmp_path: Path, days: int, state: str) -> None:
    made = make_certificate("CN=hub", key="ec", days=800, age_ns=(800 - days) * DAY_NS)
    path = tmp_path / "certificate.pem"
    path.write_bytes(made.certificate)
    assert check_expiry("uplink", path).state == state
