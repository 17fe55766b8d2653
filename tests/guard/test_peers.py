"""A real Kamailio as the edge, with users, a trunk and strangers: what a capture of it shows, and what its HEP shows.

The same traffic goes through an edge that is closed and through one that is open.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.guard.actors import Actor
from tests.loopback import free_port, loopback
from tests.namespaces import cable
from tests.peers.kamailio import running_kamailio

pytestmark = pytest.mark.peer

EDGE, HUB = loopback(60, 1), loopback(60, 2)
ALICE, BOB, TRUNK = loopback(61, 10), loopback(61, 11), loopback(62, 1)
STRANGER, VICTIM = loopback(63, 7), loopback(64, 9)
CALLED = "00972597654321"
POLICY = f"""
[network]
own_networks = ["{EDGE}", "{HUB}"]
own_domains = ["example.com"]
home_region = "GB"

[guard]
trunks = ["{TRUNK}"]
own_numbers = ["+4420"]
expected_hops = 1
"""
CONFIGURATION = """
{define}
listen=udp:{edge}:5060
alias=example.com
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "dialog.so"
loadmodule "auth.so"
#!ifdef MASKED
loadmodule "topoh.so"
modparam("topoh", "mask_key", "guarded")
modparam("topoh", "mask_callid", 1)
#!endif
loadmodule "siptrace.so"
modparam("siptrace", "trace_on", 1)
modparam("siptrace", "trace_to_database", 0)
modparam("siptrace", "trace_mode", 1)
modparam("siptrace", "hep_mode_on", 1)
modparam("siptrace", "hep_version", 3)
modparam("siptrace", "hep_capture_id", 46)
modparam("siptrace", "duplicate_uri", "sip:{hub}:{hep}")
request_route {{
    force_rport();
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{
#!ifdef OPEN
        if (loose_route()) {{ t_relay(); exit; }}
#!else
        if (loose_route() && is_known_dlg()) {{ t_relay(); exit; }}
#!endif
        if (is_method("ACK")) {{ if (t_check_trans()) t_relay(); exit; }}
        sl_send_reply("481", "Call Does Not Exist"); exit;
    }}
    remove_hf("Route");
    if (is_method("INVITE")) {{ record_route(); dlg_manage(); }}
#!ifndef OPEN
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("example.com", "secret", "0")) {{ www_challenge("example.com", "0"); exit; }}
    }} else if (from_uri == myself && $si != "{trunk}") {{
        if (!pv_proxy_authenticate("example.com", "secret", "0")) {{ proxy_challenge("example.com", "0"); exit; }}
        consume_credentials();
    }} else if (uri != myself) {{ sl_send_reply("403", "Not relaying"); exit; }}
#!endif
    if (is_method("REGISTER") && uri == myself) {{ save("location"); exit; }}
    if (uri == myself && is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (uri == myself && $rU =~ "^00") {{ $ru = "sip:" + $rU + "@{trunk}"; t_relay(); exit; }}
    if (uri == myself && !lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
    t_relay();
}}
"""


@contextmanager
def edge(
    peer: Callable[[str], str], folder: Path, *, is_open: bool, hep: int = 9, masks: bool = False
) -> Iterator[None]:
    """A Kamailio at EDGE. masks: it hides its inside, the Call-ID included."""
    define = "#!define OPEN\n" * is_open + "#!define MASKED\n" * masks
    text = CONFIGURATION.format(define=define, edge=EDGE, trunk=TRUNK, hub=HUB, hep=hep)
    with running_kamailio(peer("kamailio"), folder, text):
        yield


def honest() -> None:
    """Two users register, call each other, a foreign domain and a number abroad; the trunk calls one of them."""
    with (
        Actor(ALICE, EDGE, "alice") as alice,
        Actor(BOB, EDGE, "bob") as bob,
        Actor(TRUNK, EDGE, "trunk") as trunk,
        Actor(VICTIM, EDGE, "friend") as friend,
    ):
        assert alice.log_in("REGISTER", "sip:example.com") == 200
        assert bob.log_in("REGISTER", "sip:example.com") == 200
        assert alice.log_in("INVITE", "sip:bob@example.com") == 200
        assert alice.log_in("INVITE", f"sip:{CALLED}@example.com") == 200
        assert alice.log_in("INVITE", f"sip:friend@{VICTIM}") == 200
        assert trunk.ask("INVITE", "sip:alice@example.com")[0] == 200
        assert (len(alice.asked), len(bob.asked), len(trunk.asked), len(friend.asked)) == (1, 1, 1, 1)


def hostile() -> None:
    """A stranger asks for a foreign host with every method, within no dialog, over the trunk, and to be registered."""
    with Actor(STRANGER, EDGE) as stranger, Actor(VICTIM, EDGE), Actor(TRUNK, EDGE):
        for method in ("OPTIONS", "INVITE", "REGISTER"):
            stranger.ask(method, f"sip:test@{VICTIM}")
        for method in ("OPTIONS", "REGISTER"):
            route = {"Route": f"<sip:{EDGE};lr>"}
            stranger.ask(method, f"sip:test@{VICTIM}", to_tag="made-up", more=route)
        stranger.ask("INVITE", f"sip:{CALLED}@example.com")
        stranger.ask("REGISTER", "sip:example.com")
        stranger.ask("OPTIONS", "sip:test@no-such-host.example.org")


@contextmanager
def captured(peer: Callable[[str], str], file: Path) -> Iterator[None]:
    """What goes over the edge while the block runs, in a file."""
    if os.geteuid() != 0:
        pytest.skip("capturing needs root")
    only = f"udp port 5060 and host {EDGE}"
    command = [peer("dumpcap"), "-q", "-i", "lo", "-f", only, "-w", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr
        for line in process.stderr:
            if "File:" in line:  # the last that it says before it reads
                break
        yield
        time.sleep(1.2)  # what the kernel and dumpcap still hold back
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)


def guard(folder: Path, *arguments: object) -> tuple[int, list[dict[str, Any]]]:
    """Run the command with the policy; its exit status and rows."""
    (folder / "relaytrap.toml").write_text(POLICY)
    ran = subprocess.run(command(folder, *arguments), capture_output=True, text=True, timeout=60)
    assert not ran.stderr, ran.stderr
    return ran.returncode, [json.loads(line) for line in ran.stdout.splitlines()]


def command(folder: Path, *arguments: object) -> list[str]:
    before = ["--config", str(folder / "relaytrap.toml"), "--data", str(folder / "data"), "guard", "--json"]
    return [sys.executable, "-m", "relaytrap.cli.main", *before, *map(str, arguments)]


def rules(rows: list[dict[str, Any]], level: str) -> set[str]:
    return {row["rule"] for row in rows if row.get("level") == level}


OPEN_RULES = {
    "guard.open-relay",
    "guard.open-in-dialog",
    "guard.toll-relay",
    "guard.open-registrar",
    "guard.tried-to-route",
}


def test_capture_of_honest_users_is_silent(peer: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "edge.pcap"
    with edge(peer, tmp_path, is_open=False), captured(peer, file):
        honest()
    status, rows = guard(tmp_path, file)
    assert [row["kind"] for row in rows] == ["summary"], rows
    assert status == 0
    assert rows[0]["allowed"].keys() >= {"from a user who showed a password", "from a trunk"}
    assert rows[0]["handed_on"] >= 4


def test_capture_of_a_closed_edge_tells_only_attempts(peer: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "edge.pcap"
    with edge(peer, tmp_path, is_open=False), captured(peer, file):
        hostile()
        honest()
    status, rows = guard(tmp_path, file)
    assert (status, rules(rows, "alarm")) == (0, set())
    assert rules(rows, "attempt") >= {"guard.toll-attempt", "guard.relay-attempt"}


def test_capture_of_an_open_edge_tells_every_way_in(peer: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "edge.pcap"
    with edge(peer, tmp_path, is_open=True), captured(peer, file):
        hostile()
    status, rows = guard(tmp_path, file)
    assert (status, rules(rows, "alarm")) == (1, OPEN_RULES)
    found = {row["rule"]: row for row in rows if row["kind"] == "finding"}
    assert found["guard.open-relay"]["source"] == STRANGER
    assert found["guard.open-relay"]["destinations"] == [VICTIM]
    assert found["guard.open-relay"]["methods"] == {"OPTIONS": 1, "INVITE": 1, "REGISTER": 1}
    assert found["guard.open-relay"]["confidence"] == 95
    assert found["guard.toll-relay"]["destinations"] == [TRUNK]
    assert "kamailio" in found["guard.open-relay"]["server"].lower()
    assert found["guard.open-relay"]["advice"]["product"] == "Kamailio"


def test_open_edge_that_masks_the_call_id_hides_nothing(peer: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "edge.pcap"
    with edge(peer, tmp_path, is_open=True, masks=True), captured(peer, file):
        hostile()
    status, rows = guard(tmp_path, file)
    found = {row["rule"]: row for row in rows if row["kind"] == "finding"}
    assert status == 1
    assert found["guard.open-relay"]["methods"] == {"OPTIONS": 1, "INVITE": 1, "REGISTER": 1}
    assert found["guard.toll-relay"]["destinations"] == [TRUNK]


def test_honest_edge_that_masks_the_call_id_is_silent(peer: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "edge.pcap"
    with edge(peer, tmp_path, is_open=False, masks=True), captured(peer, file):
        honest()
    status, rows = guard(tmp_path, file)
    assert (status, [row["kind"] for row in rows]) == (0, ["summary"]), rows


def test_open_edge_without_a_policy_is_undecided(peer: Callable[[str], str], tmp_path: Path) -> None:
    file = tmp_path / "edge.pcap"
    with edge(peer, tmp_path, is_open=True), captured(peer, file):
        hostile()
    ran = subprocess.run(
        [sys.executable, "-m", "relaytrap.cli.main", "--data", str(tmp_path), "guard", str(file)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 2
    assert "network.own_networks" in ran.stdout
    assert "ALARM" not in ran.stdout


def test_policy_suggested_from_honest_traffic_is_silent_on_it_and_names_everybody(
    peer: Callable[[str], str], tmp_path: Path
) -> None:
    file = tmp_path / "edge.pcap"
    with edge(peer, tmp_path, is_open=False), captured(peer, file):
        honest()
    before = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(tmp_path)]
    ran = subprocess.run([*before, "guard", "--suggest", str(file)], capture_output=True, text=True, check=True)
    (tmp_path / "suggested.toml").write_text(ran.stdout)
    assert f'"{EDGE}",' in ran.stdout
    assert '"example.com",' in ran.stdout
    assert TRUNK in ran.stdout
    again = [*before[:3], "--config", str(tmp_path / "suggested.toml"), *before[3:], "guard", str(file)]
    ran = subprocess.run(again, capture_output=True, text=True)
    assert (ran.returncode, "ALARM" in ran.stdout, "ATTEMPT" in ran.stdout) == (0, False, False), ran.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_live_hep_of_the_edge_tells_each_finding_once_and_ends_with_the_summary(
    peer: Callable[[str], str], tmp_path: Path, number: signal.Signals
) -> None:
    hep = free_port(HUB)
    (tmp_path / "relaytrap.toml").write_text(POLICY)
    process = subprocess.Popen(
        command(tmp_path, "--listen", f"udp:{HUB}:{hep}", "--every", "0.5"),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stderr
        assert "Ctrl-C" in process.stderr.readline()
        with edge(peer, tmp_path, is_open=True, hep=hep):
            hostile()
            hostile()
            time.sleep(1.5)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    rows = [json.loads(line) for line in out.splitlines()]
    assert (process.returncode, rules(rows, "alarm")) == (1, OPEN_RULES), err
    told = [row["rule"] for row in rows if row["kind"] == "finding" and row["level"] == "alarm"]
    assert sorted(told) == sorted([*OPEN_RULES, *OPEN_RULES])  # once when it came up, once at the end
    assert rows[-1]["kind"] == "summary"
    assert " handed on; " in err


def test_interface_is_read_along(peer: Callable[[str], str], tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("reading an interface needs root")
    (tmp_path / "relaytrap.toml").write_text(POLICY)
    process = subprocess.Popen(
        command(tmp_path, "--interface", "lo"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr
        assert "lo (port 5060)" in process.stderr.readline()
        with edge(peer, tmp_path, is_open=True):
            hostile()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    rows = [json.loads(line) for line in out.splitlines()]
    assert (process.returncode, rules(rows, "alarm")) == (1, OPEN_RULES)


def test_interface_that_goes_away_is_read_again_when_it_is_back(peer: Callable[[str], str], tmp_path: Path) -> None:
    send = (
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'OPTIONS sip:a@192.0.2.1 SIP/2.0\\r\\n"
        "Via: SIP/2.0/UDP 192.0.2.2\\r\\nCall-ID: 1\\r\\nCSeq: 1 OPTIONS\\r\\n\\r\\n', ('192.0.2.1', 5060))"
    )
    (tmp_path / "relaytrap.toml").write_text(POLICY)
    with cable(peer, "gw") as (here, there):
        process = subprocess.Popen(
            here.command(*command(tmp_path, "--interface", "veth")),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stderr
            assert "veth" in process.stderr.readline()
            here.run("ip", "link", "set", "veth", "down")
            assert "gone" in process.stderr.readline()
            here.run("ip", "link", "set", "veth", "up")
            assert "back" in process.stderr.readline()
            there.run(sys.executable, "-c", send)
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=30)
        finally:
            process.kill()
    assert json.loads(out.splitlines()[-1])["messages"] == 1
