"""The log of tests and its limits."""

import threading
from pathlib import Path

import pytest

from relaytrap.errors import InputError
from relaytrap.probe.register import DAY_NS, HOUR_NS, Limits, Register

NOW = 1_800_000_000_000_000_000


def begin(
    register: Register,
    target: str = "pbx.example",
    user: str = "192.0.2.1",
    at: int = NOW,
    address: str = "198.51.100.7",
) -> str:
    secret = register.begin(target, user, [address], "a TXT record", {}, at)
    register.end(secret, "refused", {"verdict": "refused"}, at + 1)
    return secret


def test_a_test_is_found_by_its_secret_alone(tmp_path: Path) -> None:
    register = Register(tmp_path)
    secret = begin(register)
    entry = register.find(secret)
    assert entry is not None
    assert (entry.target, entry.verdict, entry.report) == ("pbx.example", "refused", {"verdict": "refused"})
    assert register.find(secret[:-1] + "x") is None


def test_log_survives_a_restart(tmp_path: Path) -> None:
    secret = begin(Register(tmp_path))
    assert Register(tmp_path).find(secret) is not None


def test_key_is_made_once(tmp_path: Path) -> None:
    assert Register(tmp_path).secret_key() == Register(tmp_path).secret_key()


def test_one_target_is_not_tested_again_and_again(tmp_path: Path) -> None:
    register = Register(tmp_path, Limits(target_an_hour=2))
    begin(register, user="192.0.2.1")
    begin(register, "PBX.example", user="192.0.2.2")
    with pytest.raises(InputError, match="tested 2 times within the hour"):
        begin(register, user="192.0.2.3")
    begin(register, user="192.0.2.3", at=NOW + HOUR_NS + 1)


def test_another_name_or_port_is_not_another_server(tmp_path: Path) -> None:
    register = Register(tmp_path, Limits(target_an_hour=2))
    begin(register, "pbx.example", user="192.0.2.1")
    begin(register, "pbx.example:5060", user="192.0.2.2")
    with pytest.raises(InputError, match="tested 2 times within the hour"):
        begin(register, "198.51.100.7", user="192.0.2.3")
    begin(register, "other.example", user="192.0.2.3", address="198.51.100.8")


def test_asking_for_proofs_is_bounded_before_anything_is_sent(tmp_path: Path) -> None:
    register = Register(tmp_path, Limits(asked_an_hour=2))
    register.opt_out("203.0.113.0/24", "asked by mail", NOW)
    with pytest.raises(InputError, match="operator asked"):
        register.ask("a.example", "192.0.2.1", ["203.0.113.9"], NOW)
    register.ask("a.example", "192.0.2.1", ["198.51.100.7"], NOW)
    register.ask("b.example", "192.0.2.1", ["198.51.100.8"], NOW)
    with pytest.raises(InputError, match="proofs an hour"):
        register.ask("c.example", "192.0.2.1", ["198.51.100.9"], NOW)
    register.ask("c.example", "192.0.2.1", ["198.51.100.9"], NOW + HOUR_NS + 1)


def test_test_of_a_process_that_is_gone_is_ended(tmp_path: Path) -> None:
    register = Register(tmp_path, Limits(at_once=1))
    secret = register.begin("a.example", "192.0.2.1", ["198.51.100.7"], "x", {}, NOW)
    register.end_abandoned(NOW + 1)
    entry = register.find(secret)
    assert entry is not None
    assert (entry.verdict, entry.ended_at_ns) == ("not run", NOW + 1)
    begin(register)


def test_one_user_does_not_test_the_whole_world(tmp_path: Path) -> None:
    register = Register(tmp_path, Limits(user_an_hour=2, user_a_day=3))
    begin(register, "a.example", address="198.51.100.1")
    begin(register, "b.example", address="198.51.100.2")
    with pytest.raises(InputError, match="an hour"):
        begin(register, "c.example", address="198.51.100.3")
    begin(register, "c.example", at=NOW + 2 * HOUR_NS, address="198.51.100.3")
    with pytest.raises(InputError, match="a day"):
        begin(register, "d.example", at=NOW + 4 * HOUR_NS, address="198.51.100.4")
    begin(register, "d.example", at=NOW + DAY_NS + 2, address="198.51.100.4")


def test_running_tests_are_bounded_even_when_started_at_once(tmp_path: Path) -> None:
    register = Register(tmp_path, Limits(at_once=2))
    refused: list[str] = []

    def start(number: int) -> None:
        try:
            register.begin(f"h{number}.example", f"192.0.2.{number}", ["198.51.100.7"], "x", {}, NOW)
        except InputError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 6


def test_opted_out_network_is_left_alone(tmp_path: Path) -> None:
    register = Register(tmp_path)
    register.opt_out("198.51.100.0/24", "asked by mail", NOW)
    with pytest.raises(InputError, match="operator asked"):
        begin(register)


def test_opting_out_needs_a_network(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no network"):
        Register(tmp_path).opt_out("everything", "", NOW)
