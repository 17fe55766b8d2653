"""The recorder's own parts: what its attackers write, and that Kamailio takes the relays' configurations."""

import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from relaytrap.sip import Request, parse_message

RECORDER = Path(__file__).resolve().parents[2] / "tools" / "sample_scene"


@pytest.fixture(autouse=True)
def recorder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The recorder is a folder of scripts, not a package."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(RECORDER))
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(RECORDER)):
            del sys.modules[name]


def written() -> dict[str, bytes]:
    """One message of every kind that the scene's own attackers write."""
    import background
    import messages

    shot = messages.Shot(random.Random(1), "198.51.100.5", 5060, "192.0.2.10", "00442079460123")
    found = {"forged": messages.forged(shot, "203.0.113.101")}
    for module in (messages, background):
        for name, maker in vars(module).items():
            if getattr(maker, "__annotations__", {}) == {"shot": messages.Shot, "return": bytes}:
                found[name] = maker(shot)
    return found


def test_every_attacker_writes_requests_whose_length_is_right() -> None:
    made = written()
    assert len(made) > 12
    for name, data in made.items():
        request = parse_message(data)
        assert isinstance(request, Request), name
        assert request.content_length == len(request.body), name


def test_the_cast_is_the_same_every_time() -> None:
    import plan

    assert plan.relays() == plan.relays()
    assert plan.scanners() == plan.scanners()
    addresses = [each.address for each in (*plan.relays(), *plan.exits(), *plan.scanners())]
    assert len(addresses) == len(set(addresses))


def test_nine_relays_of_ten_are_of_the_first_brand_and_in_the_us() -> None:
    import plan

    from relaytrap.sample.networks import country_of

    relays = plan.relays()
    assert sum(relay.brand == plan.BRAND_A for relay in relays) == pytest.approx(0.9 * len(relays), abs=2)
    assert sum(country_of(relay.address) == "US" for relay in relays) == pytest.approx(0.9 * len(relays), abs=2)


def test_a_night_sends_each_extension_through_some_relay() -> None:
    import messages
    import phases
    import plan

    (job,) = phases.sweep(1, messages.sweep_register, (-4, -1)).jobs
    hops = [to[0] for _, to, _ in job["items"]]
    assert len(hops) == 901
    assert len(set(hops)) == len(plan.relays())


@pytest.mark.peer
def test_kamailio_takes_every_relays_configuration(tmp_path: Path, peer: Callable[[str], str]) -> None:
    import kamailio
    import plan

    program = peer("kamailio")
    relays = (*plan.relays(), plan.Relay(plan.CARRIER, "carrier"))
    for name, command in kamailio.commands(relays, tmp_path, plan.CUSTOMER):
        config = command[command.index("-f") + 1]
        checked = subprocess.run([program, "-c", "-f", config], capture_output=True, text=True, check=False, timeout=20)
        assert checked.returncode == 0, f"{name}: {checked.stderr}"
