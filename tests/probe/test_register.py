"""The log of tests and its limits."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from relaytrap.errors import DiskError, InputError, StoreTooNew
from relaytrap.probe.records import STEPS
from relaytrap.probe.register import COMMAND_LIMITS, DAY_NS, HOUR_NS, LIMITS, Limits, Register
from relaytrap.probe.target import Endpoint, Target

NOW = 1_800_000_000_000_000_000


def target(named: str = "pbx.example", *addresses: str) -> Target:
    places = tuple(Endpoint("udp", address, 5060) for address in addresses or ("198.51.100.7",))
    return Target(named, named.partition(":")[0].lower(), places)


def begin(
    register: Register,
    named: str = "pbx.example",
    user: str = "192.0.2.1",
    at: int = NOW,
    address: str = "198.51.100.7",
) -> str:
    secret = register.begin(target(named, address), user, "a TXT record", {}, at)
    register.end(secret, {"verdict": "refused"}, at + 1)
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
    register.ask("a.example", "192.0.2.1", NOW)
    register.ask("b.example", "192.0.2.1", NOW)
    with pytest.raises(InputError, match="proofs an hour"):
        register.ask("c.example", "192.0.2.1", NOW)
    register.ask("c.example", "192.0.2.1", NOW + HOUR_NS + 1)


def test_server_that_was_tested_often_enough_is_not_even_asked_for_a_proof(tmp_path: Path) -> None:
    register = Register(tmp_path, Limits(target_an_hour=1))
    register.check(target(), NOW)
    begin(register)
    with pytest.raises(InputError, match="tested 1 times within the hour"):
        register.check(target("other.example"), NOW + 1)


def test_asking_is_forgotten_when_no_limit_counts_it_any_more(tmp_path: Path) -> None:
    register = Register(tmp_path, Limits(asked_an_hour=2))
    for at in (NOW, NOW + 1, NOW + HOUR_NS):
        register.ask("pbx.example", "192.0.2.1", at)
    with register.records.read() as connection:
        assert connection.execute("SELECT at_ns FROM asked").fetchall() == [(NOW + 1,), (NOW + HOUR_NS,)]
    with pytest.raises(InputError, match="proofs an hour"):
        register.ask("pbx.example", "192.0.2.1", NOW + HOUR_NS)


def test_running_test_of_this_process_is_not_taken_for_abandoned(tmp_path: Path) -> None:
    register = Register(tmp_path)
    secret = register.begin(target(), "192.0.2.1", "x", {}, NOW)
    register.end_abandoned(NOW + 1)
    entry = register.find(secret)
    assert entry is not None
    assert entry.verdict is None


def test_test_of_a_process_that_is_gone_is_ended(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.probe.test_register import *\n"
        "print(Register(Path(sys.argv[1])).begin(target(), '192.0.2.1', 'x', {}, NOW))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    register = Register(tmp_path, Limits(at_once=1))
    secret = done.stdout.strip()
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
            register.begin(target(f"h{number}.example"), f"192.0.2.{number}", "x", {}, NOW)
        except InputError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 6


@pytest.mark.parametrize("name", ["198.51.100.0/24", "pbx.example"])
def test_who_opted_out_is_neither_asked_nor_tested(tmp_path: Path, name: str) -> None:
    register = Register(tmp_path)
    register.opt_outs.add(name, "asked by mail", NOW)
    with pytest.raises(InputError, match="operator asked"):
        register.check(target(), NOW)
    with pytest.raises(InputError, match="operator asked"):
        begin(register)


@pytest.mark.parametrize("named", ["bücher.example", "ＢÜCHER.example:5070", "sip.bücher。example"])
def test_who_opted_out_by_name_is_not_tested_by_another_spelling_of_it(tmp_path: Path, named: str) -> None:
    register = Register(tmp_path)
    register.opt_outs.add("bücher.example", "asked by mail", NOW)
    server = Target(named, "another.example", (Endpoint("udp", "198.51.100.7", 5060),))
    with pytest.raises(InputError, match="operator asked"):
        register.begin(server, "192.0.2.1", "a TXT record", {}, NOW)


def test_the_command_line_has_wider_limits_than_the_page() -> None:
    assert COMMAND_LIMITS.target_an_hour > LIMITS.target_an_hour
    assert COMMAND_LIMITS.user_a_day > LIMITS.user_a_day


def test_results_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    begin(Register(tmp_path))
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}


def test_log_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "probe.sqlite3").write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(DiskError, match="so none are run"):
        Register(tmp_path)


def test_records_of_an_older_version_are_brought_up_to_date(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "probe.sqlite3") as old:
        old.executescript(STEPS[0])
        old.execute("INSERT INTO opted_out VALUES ('198.51.100.0/24', 1, 'old')")
    register = Register(tmp_path)
    assert [each.name for each in register.opt_outs.list_entries()] == ["198.51.100.0/24"]
    begin(register, address="203.0.113.9")


def test_records_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    Register(tmp_path)
    with sqlite3.connect(tmp_path / "probe.sqlite3") as newer:
        newer.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreTooNew, match="newer Relaytrap"):
        Register(tmp_path)
