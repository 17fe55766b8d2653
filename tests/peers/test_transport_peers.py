"""Real clients of TLS and WebSocket against a running sensor, and what other programs say of both."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.loopback import loopback
from tests.sensor.live import SensorProcess
from tests.sensor.talk import request

pytestmark = pytest.mark.peer
Peer = Callable[[str], str]

BROWSER = """
import sys
from playwright.sync_api import sync_playwright
chromium, url, message = sys.argv[1:]
with sync_playwright() as driver:
    browser = driver.chromium.launch(
        executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--ignore-certificate-errors"], timeout=60000
    )
    page = browser.new_page()
    print(page.evaluate('''([url, message]) => new Promise((done, fail) => {
        const socket = new WebSocket(url, "sip");
        socket.onopen = () => socket.send(message);
        socket.onmessage = (heard) => done(heard.data);
        socket.onerror = () => fail("no connection");
    })''', [url, message]))
    browser.close()
"""


def sensor(folder: Path, address: str, *, persona: str = "asterisk") -> SensorProcess:
    places = (f"tcp:{address}:5060", f"tls:{address}:5061", f"ws:{address}:8088", f"wss:{address}:8089")
    return SensorProcess(folder, "--flush", "0.1", "--persona", persona, listen=places)


def test_openssl_speaks_sip_inside_tls(peer: Peer, tmp_path: Path) -> None:
    openssl, address = peer("openssl"), loopback(77, 1)
    with sensor(tmp_path, address) as running:
        command = [openssl, "s_client", "-connect", f"{address}:5061", "-quiet", "-ign_eof"]
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(request())
        client.stdin.flush()
        assert client.stdout.readline() == b"SIP/2.0 200 OK\r\n"
        client.kill()
        client.communicate()
        message = running.wait_until_recorded(2)[1]
    assert (message.transport, message.raw) == ("tls", request())


def test_ja3_is_what_tshark_says(peer: Peer, tmp_path: Path) -> None:
    openssl, tcpdump, tshark, address = peer("openssl"), peer("tcpdump"), peer("tshark"), loopback(77, 2)
    if os.geteuid() != 0:
        pytest.skip("tcpdump needs root")
    path = tmp_path / "wire.pcap"
    watcher = subprocess.Popen(
        [tcpdump, "-i", "lo", "-U", "--immediate-mode", "-w", str(path), f"host {address} and tcp port 5061"],
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watcher.stderr is not None
    while "listening on" not in watcher.stderr.readline():
        assert watcher.poll() is None, "tcpdump does not start"
    with sensor(tmp_path / "data", address) as running:
        command = [openssl, "s_client", "-connect", f"{address}:5061", "-servername", "pbx.example.com", "-alpn", "sip"]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30)
        hello = running.wait_until_recorded(1)[0]
    watcher.send_signal(signal.SIGINT)
    watcher.communicate(timeout=10)
    fields = [tshark, "-r", str(path), "-Y", "tls.handshake.type == 1", "-d", "tcp.port==5061,tls"]
    shown = subprocess.run(
        [*fields, "-T", "fields", "-e", "tls.handshake.ja3"], capture_output=True, text=True, check=True
    )
    assert f"JA3 {shown.stdout.strip()}" in hello.notes


@pytest.mark.parametrize(("scheme", "port"), [("ws", 8088), ("wss", 8089)])
def test_browser_opens_a_websocket_and_is_answered(peer: Peer, tmp_path: Path, scheme: str, port: int) -> None:
    chromium, address = peer("chromium"), loopback(77, 3)
    with sensor(tmp_path, address) as running:
        command = [sys.executable, "-c", BROWSER, chromium, f"{scheme}://{address}:{port}/ws", request().decode()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
        assert done.stdout.startswith("SIP/2.0 200 OK"), done.stderr
        message = next(each for each in running.wait_until_recorded(2) if each.raw == request())
    assert message.transport == scheme


def test_nmap_names_the_product_in_the_clear_and_inside_tls(peer: Peer, tmp_path: Path) -> None:
    nmap, address = peer("nmap"), loopback(77, 4)
    with sensor(tmp_path, address):
        command = [nmap, "-Pn", "-n", "-sV", "-p", "5060,5061", address]
        shown = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False).stdout
    assert re.search(r"^5060/tcp +open +sip.* Asterisk PBX ", shown, re.MULTILINE), shown
    assert re.search(r"^5061/tcp +open +ssl/sip.* Asterisk PBX ", shown, re.MULTILINE), shown
