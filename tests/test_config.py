"""Settings: order of sources, sentences for mistakes."""

import os
from pathlib import Path

import pytest

from relaytrap.config import Config, Given, NetworkName, load_config
from relaytrap.errors import ConfigError


def load(text: str, tmp_path: Path, environ: dict[str, str] | None = None, **flags: object) -> Config:
    path = tmp_path / "relaytrap.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ=environ or {}, flags=flags)[0]


def test_every_setting_has_a_default() -> None:
    config, given = load_config(None, environ={})
    assert config.web.listen == "127.0.0.1:8060"
    assert {one.source for one in given.values()} == {"default"}


def test_data_directory_of_the_variable_is_said_to_come_from_it(tmp_path: Path) -> None:
    config, given = load_config(None, environ={"RELAYTRAP_DATA": str(tmp_path)}, flags={"data_dir": None})
    assert config.data_dir == tmp_path
    assert given["data_dir"] == Given(tmp_path, "variable", "RELAYTRAP_DATA")
    _, given = load_config(None, environ={"RELAYTRAP_DATA": ""})
    assert given["data_dir"].source == "default"


@pytest.mark.parametrize(
    ("user", "is_the_systems"), [(0, True), (5060, True), (5061, False)], ids=["root", "its owner", "another user"]
)
def test_systems_data_directory_is_the_default_of_root_and_of_its_owner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: int, is_the_systems: bool
) -> None:
    class Folder(type(tmp_path)):  # type: ignore[misc] # what pathlib makes on this system
        def stat(self, **_: object) -> os.stat_result:
            return os.stat_result((0, 0, 0, 0, 5060, 0, 0, 0, 0, 0))

    monkeypatch.setattr("relaytrap.config.SYSTEM_DATA", Folder(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: user)
    assert (load_config(None, environ={})[0].data_dir == tmp_path) is is_the_systems


def test_flag_wins_over_variable_wins_over_file_wins_over_default(tmp_path: Path) -> None:
    path = tmp_path / "relaytrap.toml"
    path.write_text('[sensor]\npersona = "kamailio"\nname = "in-file"\n[web]\nlisten = "127.0.0.1:1"\n')
    config, given = load_config(
        path,
        environ={"RELAYTRAP_SENSOR_NAME": "in-variable", "RELAYTRAP_WEB_LISTEN": "127.0.0.1:2"},
        flags={"web.listen": "127.0.0.1:3", "sensor.persona": None},
    )
    assert (config.sensor.persona, config.sensor.name, config.web.listen) == ("kamailio", "in-variable", "127.0.0.1:3")
    assert given["sensor.persona"] == Given("kamailio", "file", f"{path}:2")
    assert given["sensor.name"].source == "variable"
    assert given["web.listen"].source == "flag"


def test_unknown_key_names_file_line_and_nearest_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"relaytrap.toml:3: unknown setting sensor.presona; did you mean persona\?"):
        load('# mine\n[sensor]\npresona = "x"\n', tmp_path)


def test_unknown_section_names_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r":1: unknown section \[netwrok\]; did you mean network\?"):
        load("[netwrok]\n", tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "form"),
    [
        ("store.retention_days", '"ninety"', "a whole number"),
        ("store.retention_days", "9.5", "a whole number"),
        ("store.threads", "true", "a whole number"),
        ("sensor.flush_interval_s", '"soon"', "a number"),
        ("sensor.name", "5", "text in quotes"),
        ("hub.analyse", '"yes"', "true or false"),
        ("sensor.listen", '"udp:192.0.2.1:5060"', 'a list of texts, such as ["one", "two"]'),
        ("sensor.listen", "[5060]", 'a list of texts, such as ["one", "two"]'),
        ("sensor.listen_only_ports", '["sip"]', "a list of whole numbers, such as [5060, 5080]"),
        ("network.names", "[7]", "a list of rows with network, country, asn, name ("),
    ],
)
def test_wrong_type_says_what_it_must_be_and_where(key: str, value: str, form: str, tmp_path: Path) -> None:
    section, name = key.split(".")
    with pytest.raises(ConfigError) as told:
        load(f"[{section}]\n{name} = {value}\n", tmp_path)
    assert f"relaytrap.toml:2: {key} must be {form}" in str(told.value)


def test_wrong_type_in_a_variable_names_the_variable() -> None:
    for text in ("x", "", "1,2"):
        with pytest.raises(ConfigError, match=r"variable RELAYTRAP_SENSOR_WORKERS: sensor\.workers must be a whole"):
            load_config(None, environ={"RELAYTRAP_SENSOR_WORKERS": text})


@pytest.mark.parametrize(
    ("key", "value", "least"),
    [("store.retention_days", "-1", 0), ("sensor.workers", "0", 1), ("sensor.flush_interval_s", "nan", 0)],
)
def test_number_that_makes_no_sense_is_refused_before_it_drops_a_message(
    key: str, value: str, least: int, tmp_path: Path
) -> None:
    section, name = key.split(".")
    with pytest.raises(ConfigError, match=f"relaytrap.toml:2: {key} must not be less than {least}$"):
        load(f"[{section}]\n{name} = {value}\n", tmp_path)


def test_broken_toml_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not valid TOML"):
        load("[sensor\n", tmp_path)


def test_missing_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        load_config(tmp_path / "none.toml", environ={})


def test_unknown_variable_is_an_error() -> None:
    with pytest.raises(ConfigError, match="unknown variable RELAYTRAP_SENSOR_NAM; did you mean RELAYTRAP_SENSOR_NAME"):
        load_config(None, environ={"RELAYTRAP_SENSOR_NAM": "x"})


@pytest.mark.parametrize(
    "name",
    [
        "RELAYTRAP_TEST_ENGINE",
        "RELAYTRAP_PORT",
        "RELAYTRAP_SERVICE_HOST",
        "RELAYTRAP_HUB_SERVICE_PORT_UPLINK",
        "RELAYTRAP_HUB_PORT_8061_TCP_ADDR",
    ],
)
def test_variable_of_the_tests_or_of_a_container_beside_a_service_is_no_setting(name: str) -> None:
    assert load_config(None, environ={name: "tcp://10.0.0.1:8061"})[0] == load_config(None, environ={})[0]


def test_variable_takes_a_list_with_commas(tmp_path: Path) -> None:
    config = load("", tmp_path, {"RELAYTRAP_NETWORK_KNOWN_PROXIES": "192.0.2.1, 198.51.100.0/24"})
    assert config.network.known_proxies == ("192.0.2.1", "198.51.100.0/24")


def test_variable_takes_a_number(tmp_path: Path) -> None:
    config = load("", tmp_path, {"RELAYTRAP_SENSOR_FLUSH_INTERVAL_S": "0"})
    assert config.sensor.flush_interval_s == 0.0


def test_network_names_are_rows(tmp_path: Path) -> None:
    config = load('[[network.names]]\nnetwork = "203.0.113.0/24"\ncountry = "MY"\nasn = 64500\n', tmp_path)
    assert config.network.names == (NetworkName("203.0.113.0/24", "MY", 64500, ""),)


def test_mistake_in_a_network_name_says_where(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"network\.names"):
        load('[[network.names]]\nnetwork = "203.0.113.0/24"\nasn = "many"\n', tmp_path)


def test_file_nested_deeper_than_its_reader_goes_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nested too deep"):
        load("[sensor]\nlisten = " + "[" * 5000, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        '[network]\n[[network.names]]\nnetwork = "203.0.113.0/24"\ncontry = "MY"\n',
        '[network]\nnames = [\n    {network = "192.0.2.0/24", country = "DE"},\n    {contry = "MY"},\n]\n',
    ],
)
def test_unknown_key_of_a_row_names_file_line_and_nearest_key(text: str, tmp_path: Path) -> None:
    sentence = r"relaytrap.toml:4: unknown setting network.names.contry; did you mean country\?"
    with pytest.raises(ConfigError, match=sentence):
        load(text, tmp_path)


def test_unknown_key_of_a_row_in_a_variable_names_the_variable() -> None:
    environ = {"RELAYTRAP_NETWORK_NAMES": '[{network = "192.0.2.0/24", contry = "DE"}]'}
    with pytest.raises(ConfigError, match="variable RELAYTRAP_NETWORK_NAMES: unknown setting"):
        load_config(None, environ=environ)


def test_data_directory_that_may_not_be_looked_into_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bool:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "exists", refuse)  # as root, under which tests may run, nothing is refused
    with pytest.raises(
        ConfigError, match=r"joined.toml: cannot look for it \(Permission denied\); run this as the owner"
    ):
        load_config(None, environ={}, flags={"data_dir": tmp_path})
