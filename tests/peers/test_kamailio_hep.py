"""Debian's Kamailio with its siptrace module as a sensor: what passes through the proxy arrives at the hub over HEP."""

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from relaytrap.config import Config, HubConfig, NetworkConfig
from relaytrap.hub.hep import HepDoor
from tests.hub.hep.packets import Kept
from tests.loopback import loopback
from tests.peers.kamailio import running_kamailio
from tests.sensor.talk import request

pytestmark = pytest.mark.peer

EDGE, HUB = loopback(46, 1), loopback(46, 2)
# A `tls:` sender must listen for TLS itself, with a certificate: here the hub's.
TLS = """
enable_tls=yes
listen=tls:{edge}:5061
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "{folder}/hub-certificate.pem")
modparam("tls", "private_key", "{folder}/hub-key.pem")
"""
CONFIGURATION = """
listen=udp:{edge}:5060
listen=tcp:{edge}:5060
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "siptrace.so"
modparam("siptrace", "trace_on", 1)
modparam("siptrace", "trace_to_database", 0)
modparam("siptrace", "trace_mode", 1)
modparam("siptrace", "hep_mode_on", 1)
modparam("siptrace", "hep_version", {version})
modparam("siptrace", "hep_capture_id", 46)
modparam("siptrace", "auth_key", "{key}")
modparam("siptrace", "duplicate_uri", "sip:{where};transport={transport}")
request_route {{
    sl_send_reply("404", "Not Found");
}}
"""


def ask(count: int) -> None:
    """So many requests over UDP to the proxy, each until it answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HUB, 0))
        sock.settimeout(0.3)
        for number in range(count):
            for _ in range(60):
                sock.sendto(request(call_id=f"hep-{number}"), (EDGE, 5060))
                try:
                    assert b" 404 " in sock.recv(65535)
                    break
                except (TimeoutError, ConnectionRefusedError):
                    time.sleep(0.05)
            else:
                raise AssertionError("Kamailio does not answer")


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
@pytest.mark.parametrize("password", ["", "secret"])
def test_proxy_is_a_sensor(peer: Callable[[str], str], tmp_path: Path, transport: str, password: str) -> None:
    kept = Kept()
    config = Config(
        tmp_path,
        hub=HubConfig(hep_listen=(f"{transport}:{HUB}:0",), hep_password=password),
        network=NetworkConfig(own_networks=(EDGE,)),
    )
    door = HepDoor(config, kept.take)
    door.start()
    where = door.status().places[0].listening.partition(":")[2]
    try:
        configuration = CONFIGURATION.format(
            edge=EDGE, where=where, transport=transport, key=password or "none", version=3
        )
        if transport == "tls":
            configuration = TLS.format(edge=EDGE, folder=tmp_path) + configuration
        with running_kamailio(peer("kamailio"), tmp_path, configuration):
            ask(3)
            end = time.monotonic() + 20
            while sum(each.messages for each in door.status().agents.values()) < 6 and time.monotonic() < end:
                time.sleep(0.02)
    finally:
        door.close()
    status = door.status()
    assert list(status.agents) == ["hep-46"]
    assert not status.places[0].refused
    inward = [each for each in kept.observations if each.direction == "in"]
    outward = [each for each in kept.observations if each.direction == "out"]
    assert {each.raw for each in inward} == {request(call_id=f"hep-{number}") for number in range(3)}
    assert all(each.raw.startswith(b"SIP/2.0 404") for each in outward)
    assert len(outward) >= 3
    assert {(each.source, each.local, each.transport, each.sensor) for each in kept.observations} == {
        (HUB, EDGE, "udp", "hep-46")
    }


def test_proxy_with_another_password_is_refused_and_counted(peer: Callable[[str], str], tmp_path: Path) -> None:
    kept = Kept()
    door = HepDoor(Config(tmp_path, hub=HubConfig(hep_listen=(f"udp:{HUB}:0",), hep_password="secret")), kept.take)
    door.start()
    where = door.status().places[0].listening.partition(":")[2]
    try:
        configuration = CONFIGURATION.format(edge=EDGE, where=where, transport="udp", key="guessed", version=3)
        with running_kamailio(peer("kamailio"), tmp_path, configuration):
            ask(1)
            end = time.monotonic() + 20
            while not door.status().places[0].refused and time.monotonic() < end:
                time.sleep(0.02)
    finally:
        door.close()
    assert set(door.status().places[0].refused) == {"wrong password, or none"}
    assert not kept.observations


def test_older_version_tells_the_same_agent(peer: Callable[[str], str], tmp_path: Path) -> None:
    kept = Kept()
    door = HepDoor(Config(tmp_path, hub=HubConfig(hep_listen=(f"udp:{HUB}:0",))), kept.take)
    door.start()
    where = door.status().places[0].listening.partition(":")[2]
    configuration = CONFIGURATION.format(edge=EDGE, where=where, transport="udp", key="none", version=2)
    try:
        with running_kamailio(peer("kamailio"), tmp_path, configuration):
            ask(1)
            end = time.monotonic() + 20
            while door.status().places[0].packets < 2 and time.monotonic() < end:
                time.sleep(0.02)
    finally:
        door.close()
    assert set(door.status().agents) == {"hep-46"}
    assert request(call_id="hep-0") in kept.raws()
