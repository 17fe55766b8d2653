"""sngrep as a capture agent, as it runs on many a production server: what it reads arrives at the hub over HEP."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from relaytrap.config import Config, HubConfig
from relaytrap.hub.hep import HepDoor
from tests.hub.hep.packets import Kept
from tests.hub.traffic import request, write_pcap

pytestmark = pytest.mark.peer


def test_what_sngrep_reads_arrives_whole(peer: Callable[[str], str], tmp_path: Path) -> None:
    messages = [request(number, method=b"INVITE") for number in range(20)]
    capture = write_pcap(tmp_path / "edge.pcap", messages)
    kept = Kept()
    door = HepDoor(Config(tmp_path, hub=HubConfig(hep_listen=("udp:127.0.0.1:0",))), kept.take)
    door.start()
    (place,) = door.status().places
    command = [peer("sngrep"), "-N", "-q", "-F", "-I", str(capture), "-H", place.listening]
    agent = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 20
        while door.status().places[0].packets < len(messages) and time.monotonic() < end:
            time.sleep(0.02)
    finally:
        agent.terminate()
        agent.wait(10)
        door.close()
    assert kept.raws() == messages
    assert {(each.source, each.local, each.transport) for each in kept.observations} == {
        ("192.0.2.7", "198.51.100.1", "udp")
    }
    assert not door.status().places[0].refused
