"""The command that an empty page gives reaches the sensor that runs beside the hub, and is only ever that command."""

from typing import Any

import pytest

from relaytrap.hub.keys import Sensor
from relaytrap.web.pages.first import USUAL, Destination, udp_place
from tests.web.conftest import Hub


def sensor(*listen: str, trust: str = "loopback") -> Sensor:
    status: dict[str, Any] = {"listen": list(listen), "hub_trust": trust}
    return Sensor("edge", 0, None, 0, 0, status)


def test_place_is_where_a_sensor_of_this_machine_listens() -> None:
    assert udp_place([sensor("tcp:127.0.0.1:5061", "udp:127.0.0.1:5062")]) == Destination("127.0.0.1", 5062)


def test_place_of_a_sensor_that_listens_on_all_addresses_is_on_loopback() -> None:
    assert udp_place([sensor("udp:0.0.0.0:5070")]) == Destination("127.0.0.1", 5070)


def test_sensor_of_another_machine_is_no_place_to_send_to_from_here() -> None:
    assert udp_place([sensor("udp:192.0.2.1:5070", trust="pinned 00ff")]) == USUAL


@pytest.mark.parametrize(
    "told",
    [
        "udp:127.0.0.1:5060; reboot",
        "udp:$(reboot):5060",
        "udp:127.0.0.1:0",
        "udp:127.0.0.1:99999",
        "udp",
        "",
        "udp:::٥",
    ],
)
def test_what_is_no_address_and_port_reaches_no_command_line(told: str) -> None:
    assert udp_place([sensor(told)]) == USUAL


@pytest.mark.parametrize("path", ["/", "/countries", "/messages", "/sensors"])
def test_empty_page_gives_a_command_for_that_place(empty_hub: Hub, path: str) -> None:
    assert "| nc -u -w1 127.0.0.1 5060</code>" in empty_hub.get(path).text
