"""The advice for Kamailio, tried on a real one: Debian's default configuration with the three edits."""

import asyncio
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from relaytrap.probe.advice import KAMAILIO_EDITS, KAMAILIO_SNIPPET, advice_for
from relaytrap.probe.plan import Plan, Timing
from relaytrap.probe.run import Run
from relaytrap.probe.target import resolve_target
from relaytrap.probe.tricks import TRICKS
from relaytrap.probe.verdict import judge_server
from relaytrap.probe.witness import LocalWatch

from ..loopback import loopback
from .family import DEBIAN_CLOSED, running, start_kamailio

CALL = Path(__file__).parent / "call.xml"
ANSWER = Path(__file__).parent / "answer.xml"
CALLEE = loopback(30, 21)


def edited_configuration() -> str:
    text = Path("/etc/kamailio/kamailio.cfg").read_text()
    for old, new in KAMAILIO_EDITS:
        assert text.count(old) == 1, f"Debian's configuration no longer holds {old!r}"
        text = text.replace(old, new)
    return text


async def probe_thoroughly() -> Run:
    target = await resolve_target(DEBIAN_CLOSED, domain=DEBIAN_CLOSED, transports=("udp", "tcp"))
    tricks = tuple(name for name, trick in TRICKS.items() if trick.group != "asked")
    watch = LocalWatch()
    await watch.open(loopback(31, 100), 5060)
    run = Run(Plan(target, loopback(30, 2), tricks=tricks, timing=Timing(pace=0.1)), watch)  # it bans nobody
    await run.run()
    return run


def register(user: str, contact: str) -> None:
    """Put a contact into the server's location table, as a phone of its own does."""
    subprocess.run(
        ["sipsak", "-U", "-C", f"sip:{user}@{contact}", "-s", f"sip:{user}@{DEBIAN_CLOSED}", "-x", "120"],
        check=True,
        capture_output=True,
        timeout=20,
    )


@pytest.mark.peer
@pytest.mark.timeout(240)
def test_edited_default_configuration_refuses_every_probe_and_still_carries_calls(
    peer: Callable[[str], str], tmp_path: Path
) -> None:
    kamailio, sipp, _ = peer("kamailio"), peer("sipp"), peer("sipsak")
    (tmp_path / "closed.cfg").write_text(edited_configuration())
    listen = ["-l", f"udp:{DEBIAN_CLOSED}:5060", "-l", f"tcp:{DEBIAN_CLOSED}:5060"]
    command = start_kamailio(kamailio, tmp_path, "closed", ["-f", str(tmp_path / "closed.cfg"), *listen])
    callee = [sipp, "-sf", str(ANSWER), "-i", CALLEE, "-p", "5070", "-m", "3", "-nostdin"]
    with running([command, callee], tmp_path, DEBIAN_CLOSED):
        run = asyncio.run(probe_thoroughly())
        found = [each.name for each, _ in judge_server(run.outcomes, witness_reachable=run.witness_reachable)]
        assert found == ["refused"]
        assert [outcome.probe for outcome in run.outcomes if outcome.result == "relayed"] == []
        register("phone", f"{CALLEE}:5070")
        call = [sipp, "-sf", str(CALL), "-s", "phone", "-i", loopback(30, 22), "-p", "5071", "-m", "3", "-nostdin"]
        done = subprocess.run(
            [*call, "-timeout", "20", f"{DEBIAN_CLOSED}:5060"], cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def bare(text: str) -> str:
    """Script without comments and white space."""
    return re.sub(r"#[^\n]*|\s", "", text)


@pytest.mark.peer
def test_the_snippet_says_what_was_tried(peer: Callable[[str], str]) -> None:
    peer("kamailio")
    tried = bare(edited_configuration())
    statements = [bare(block) for block in KAMAILIO_SNIPPET.split("\n\n")]
    assert len(statements) == 5
    assert [made for made in statements if made not in tried] == []


def test_advice_for_the_servers_own_product_stands_first() -> None:
    assert advice_for("kamailio (5.6.3 (x86_64/linux))")[0].product == "Kamailio"
    assert advice_for("SIParator/4.6.2")[0].product.startswith("Ingate")
    assert advice_for("Asterisk PBX 18")[0].product == "Asterisk"


@pytest.mark.parametrize("server", ["", "ExampleSBC/4.6.2"])
def test_unknown_product_gets_all_advice_and_what_holds_for_any_first(server: str) -> None:
    assert len(advice_for(server)) == len(advice_for("Asterisk"))
    assert advice_for(server)[0].product == "Any other server or SBC"
