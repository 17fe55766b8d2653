"""Only the sample's own sensors see the sample's networks."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from relaytrap.config import load_config
from relaytrap.hub.rows import RowSetting, make_row
from relaytrap.observation import Observation
from relaytrap.sample.scene import load_recorded, load_truth
from relaytrap.store.schema import NAMES

SYDNEY = "sample-sydney.pcapng"


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> RowSetting:
    data_dir: Path = tmp_path_factory.mktemp("data")
    return RowSetting.of(load_config(None, environ={}, flags={"data_dir": data_dir, "network.home_region": "BR"})[0])


def column(row: tuple[object, ...], name: str) -> object:
    return row[NAMES.index(name)]


def from_actor(campaign: str) -> Observation:
    truth = load_truth()
    recorded = load_recorded(SYDNEY)
    frame = next(frame for frame, label, _ in truth["captures"][SYDNEY]["requests"] if label == campaign)
    return recorded[frame - 1]


def test_the_letter_of_2010_comes_from_malaysia_and_goes_to_france(setting: RowSetting) -> None:
    row = make_row(from_actor("2010"), setting, 0)
    assert column(row, "country") == b"MY"
    assert column(row, "as_name") == b"Example Telecom MY"
    assert column(row, "dialled") == b"+33199001234"
    assert column(row, "dialled_prefix") == b"0011"
    assert column(row, "tool_faked") is True
    assert b"192.0.2.10" in bytes(str(column(row, "decoded")), "utf-8")


def test_another_sensor_learns_nothing_of_the_samples_networks(setting: RowSetting) -> None:
    row = make_row(replace(from_actor("2010"), sensor="mine"), setting, 0)
    assert column(row, "country") == b""
    assert column(row, "as_name") == b"documentation"


def test_the_carriers_proxy_is_no_relay(setting: RowSetting) -> None:
    row = make_row(from_actor("honest-calls"), setting, 0)
    assert column(row, "path_verdict") not in (b"relayed", b"hidden", b"forged")
