"""Real firewalls and proxies take the lists, also those that hostile text tried to break, and block by them."""

import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from relaytrap.evidence.indicator import Indicator
from relaytrap.feeds import FORMATS, Feed
from tests.feeds.made import MIXED, feed, hostile, indicator
from tests.loopback import loopback
from tests.peers.kamailio import running_kamailio
from tests.storing import ROOT

pytestmark = pytest.mark.peer
Peer = Callable[[str], str]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
HOWTO = ROOT / "docs" / "howto" / "feed-a-firewall.md"
FEEDS = {"mixed": MIXED, "hostile": feed(*hostile()), "empty": feed(), "victims": feed(name="relays")}


def write(folder: Path, form: str, which: Feed) -> Path:
    file = folder / f"list.{form}"
    file.write_bytes(FORMATS[form].write(which))
    return file


def documented(beginning: str) -> str:
    """The block of the how-to that begins so."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", HOWTO.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return next(each for each in blocks if each.startswith(beginning))


@pytest.fixture
def alone(peer: Peer) -> Iterator[Run]:
    """Runs a program in a network namespace of its own, whose firewall is nobody's."""
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    ip, name = peer("ip"), f"feed{os.getpid()}"
    subprocess.run([ip, "netns", "add", name], check=True, capture_output=True)

    def run(*command: str, given: str = "") -> "subprocess.CompletedProcess[str]":
        words = [ip, "netns", "exec", name, *command]
        return subprocess.run(words, input=given, capture_output=True, text=True, check=False)

    yield run
    subprocess.run([ip, "netns", "delete", name], check=True, capture_output=True)


@pytest.mark.parametrize("which", FEEDS)
def test_nftables_takes_a_list_again_and_again(peer: Peer, alone: Run, tmp_path: Path, which: str) -> None:
    nft, file = peer("nft"), write(tmp_path, "nft", FEEDS[which])
    assert alone(nft, "-c", "-f", str(file)).stderr == ""
    for _ in range(2):
        assert alone(nft, "-f", str(file)).stderr == ""
    listed = alone(nft, "list", "table", "inet", "relaytrap").stdout
    assert all(each.address in listed for each in FEEDS[which].indicators)


def test_nftables_keeps_rules_and_forgets_addresses_that_left_the_list(peer: Peer, alone: Run, tmp_path: Path) -> None:
    nft = peer("nft")
    assert alone(nft, "-f", "-", given=documented("table inet relaytrap")).stderr == ""
    for number in (1, 2):
        file = write(tmp_path, "nft", feed(indicator(f"198.51.100.{number}")))
        assert alone(nft, "-f", str(file)).stderr == ""
    listed = alone(nft, "list", "table", "inet", "relaytrap").stdout
    assert "ip saddr @attackers4 drop" in listed
    assert "ip6 saddr @attackers6 drop" in listed
    assert "198.51.100.2" in listed
    assert "198.51.100.1 " not in listed


@pytest.mark.parametrize("which", FEEDS)
def test_ipset_takes_a_list_again_and_again(peer: Peer, alone: Run, tmp_path: Path, which: str) -> None:
    ipset, text = peer("ipset"), write(tmp_path, "ipset", FEEDS[which]).read_text()
    for _ in range(2):
        assert alone(ipset, "restore", "-exist", given=text).stderr == ""
    listed = alone(ipset, "list").stdout
    assert all(each.address in listed for each in FEEDS[which].indicators)
    assert "_next" not in listed


KAMAILIO = """
loadmodule "sl.so"
loadmodule "permissions.so"
modparam("permissions", "address_file", "{file}")
listen=udp:{listen}:5060
request_route {{
  if (allow_source_address("60")) {{ sl_send_reply("403", "attacker"); exit; }}
  if (allow_source_address("61")) {{ sl_send_reply("480", "victim"); exit; }}
  sl_send_reply("200", "welcome");
}}
"""


@pytest.mark.parametrize(
    ("role", "status"), [("source", "403 attacker"), ("relay", "480 victim"), (None, "200 welcome")]
)
def test_kamailio_tells_attackers_and_victims_from_others(
    peer: Peer, tmp_path: Path, role: str | None, status: str
) -> None:
    here, there = loopback(78, 1), loopback(78, 2)
    listed: list[Indicator] = [*hostile(), *([indicator(here, role)] if role else [])]
    file = write(tmp_path, "kamailio", feed(*listed, name="everything"))
    request = (
        f"OPTIONS sip:{there} SIP/2.0\r\nVia: SIP/2.0/UDP {here}:5070;branch=z9hG4bK1\r\nFrom: <sip:a@{here}>;tag=1\r\n"
        f"To: <sip:{there}>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
    with (
        running_kamailio(peer("kamailio"), tmp_path, KAMAILIO.format(file=file, listen=there)),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
    ):
        sock.bind((here, 5070))
        sock.settimeout(0.5)
        for _ in range(20):
            sock.sendto(request.encode(), (there, 5060))
            try:
                answer = sock.recv(4096).decode()
            except OSError:
                time.sleep(0.2)
                continue
            assert answer.startswith(f"SIP/2.0 {status}\r\n")
            return
    pytest.fail("Kamailio did not answer")
