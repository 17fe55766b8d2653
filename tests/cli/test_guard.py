"""`relaytrap guard`: exit statuses, what it prints, files in any order, hostile text."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from relaytrap.capture import write_capture
from relaytrap.observation import Observation
from tests.cli.conftest import Run, Shown
from tests.guard.edge import ANOTHER, DOMAIN, STRANGER, TRUNK, USER, Edge, ask

POLICY = ("--own-network", "192.0.2.0/24", "--own-domain", DOMAIN)


@pytest.fixture
def guard(run: Run, tmp_path: Path) -> Run:
    def ran(*arguments: object) -> Shown:
        return run("--data", tmp_path / "data", "guard", *arguments)

    return ran


def capture(path: Path, seen: Sequence[Observation]) -> Path:
    with path.open("wb") as file:
        write_capture(file, seen)
    return path


@pytest.fixture
def open_edge(tmp_path: Path) -> Path:
    edge = Edge()
    edge.relay(ask())
    return capture(tmp_path / "open.pcapng", edge.seen)


def test_alarm_is_status_1_with_its_proof_and_what_to_change(guard: Run, open_edge: Path) -> None:
    shown = guard(open_edge, *POLICY)
    assert (shown.status, shown.err) == (1, "")
    assert "ALARM  open relay  guard.open-relay, confidence 95" in shown.out
    assert f"handed on to {ANOTHER}" in shown.out
    assert "open.pcapng frame 1" in shown.out
    assert "What to change on Any other server or SBC" in shown.out
    assert "1 alarm: this edge does what it should not" in shown.out
    assert "set guard.trunks" in shown.out


def test_quiet_edge_is_status_0(guard: Run, tmp_path: Path) -> None:
    edge = Edge()
    edge.relay(ask(USER), source=USER)
    shown = guard(capture(tmp_path / "quiet.pcapng", edge.seen), *POLICY)
    assert (shown.status, shown.err) == (0, "")
    assert "No alarm" in shown.out
    assert "1 handed on, rightly: 1 from our own networks" in shown.out


def test_no_policy_is_status_2_and_says_what_it_cannot_tell(guard: Run, open_edge: Path) -> None:
    shown = guard(open_edge)
    assert shown.status == 2
    assert "Undecided: without network.own_networks" in shown.out
    assert "ALARM" not in shown.out


def test_wrong_networks_are_status_2(guard: Run, open_edge: Path) -> None:
    shown = guard(open_edge, "--own-network", "10.9.9.0/24", "--own-domain", DOMAIN)
    assert shown.status == 2
    assert "is network.own_networks right?" in shown.out


def test_attempts_change_the_status_only_when_strict(guard: Run, tmp_path: Path) -> None:
    edge = Edge()
    edge.refuse(ask())
    file = capture(tmp_path / "tried.pcapng", edge.seen)
    assert guard(file, *POLICY).status == 0
    shown = guard(file, *POLICY, "--strict")
    assert shown.status == 1
    assert "ATTEMPT  asked for a foreign domain, in vain" in shown.out


def test_settings_are_the_policy(run: Run, open_edge: Path, tmp_path: Path) -> None:
    settings = tmp_path / "relaytrap.toml"
    settings.write_text(f'[network]\nown_networks = ["192.0.2.0/24"]\nown_domains = ["{DOMAIN}"]\n')
    assert run("--config", settings, "--data", tmp_path, "guard", open_edge).status == 1
    settings.write_text(settings.read_text() + f'known_proxies = ["{STRANGER}"]\n')
    assert run("--config", settings, "--data", tmp_path, "guard", open_edge).status == 0


def test_nothing_is_kept_where_the_region_is_known(run: Run, open_edge: Path, tmp_path: Path) -> None:
    settings = tmp_path / "relaytrap.toml"
    settings.write_text('[network]\nhome_region = "GB"\n')
    run("--config", settings, "--data", tmp_path / "none", "guard", open_edge, *POLICY)
    assert not (tmp_path / "none").exists()


def test_sides_in_two_files_are_read_in_order_of_time(guard: Run, open_edge: Path, tmp_path: Path) -> None:
    edge = Edge()
    edge.relay(ask())
    outside = [seen for seen in edge.seen if STRANGER in (seen.source, seen.local)]
    inside = [seen for seen in edge.seen if seen not in outside]
    files = [capture(tmp_path / "outside.pcapng", outside), capture(tmp_path / "inside.pcapng", inside)]
    told = [json.loads(line) for line in guard(*files, *POLICY, "--json").out.splitlines()]
    assert [each["capture"] for each in told[0]["sightings"]] == [
        "outside.pcapng", "inside.pcapng", "inside.pcapng", "outside.pcapng",
    ]  # fmt: skip
    assert told[0]["rule"] == "guard.open-relay"


def test_json_is_one_object_a_line_ending_with_the_summary(guard: Run, tmp_path: Path) -> None:
    edge = Edge()
    edge.relay(ask())
    edge.relay(ask(host=DOMAIN, serial=2))
    rows = [
        json.loads(line)
        for line in guard(capture(tmp_path / "x.pcapng", edge.seen), *POLICY, "--json").out.splitlines()
    ]
    assert [row["kind"] for row in rows] == ["finding", "undecided", "summary"]
    assert rows[0]["advice"]["steps"]
    assert rows[-1]["handed_on"] == 2


def test_standard_input_is_read(open_edge: Path, tmp_path: Path) -> None:
    with open_edge.open("rb") as file:
        ran = subprocess.run(
            [sys.executable, "-m", "relaytrap.cli.main", "--data", str(tmp_path / "d"), "guard", "-", *POLICY],
            stdin=file, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (1, "")


def test_hostile_text_reaches_no_terminal(guard: Run, tmp_path: Path) -> None:
    edge = Edge()
    edge.relay(ask(target="\x1b[2Jx\u202ey", serial=1))
    edge.refuse(ask(target="\x1b]0;t\x07", serial=2), "403 \x1b[31mno")
    edge.relay(ask(target="z\x9b2J", host=DOMAIN, serial=3))
    file = capture(tmp_path / "hostile.pcapng", edge.seen)
    for arguments in (POLICY, (*POLICY, "--json"), ("--suggest",)):
        shown = guard(file, *arguments)
        assert not {"\x1b", "\x07", "\u202e", "\x9b"} & set(shown.out + shown.err)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "name capture files, or live traffic"),
        (("x.pcap", "--listen", "udp:127.0.0.1:0"), "name capture files, or live traffic"),
        (("--suggest", "--interface", "lo"), "--suggest reads capture files"),
        (("no-such.pcap",), "no-such.pcap: cannot be read"),
        (("--listen", "nowhere"), "is no place to listen"),
        (("--interface", "no-such-if"), "no such interface"),
        (("x.pcap", "--own-network", "here"), "network.own_networks"),
        (("x.pcap", "--trunk", "here"), "guard.trunks"),
        (("x.pcap", "--no-such-option",), "No such option"),
        (("x.pcap", "--expected-hops", "-1"), "expected-hops"),
    ],
)  # fmt: skip
def test_whatever_goes_wrong_is_not_run(guard: Run, arguments: tuple[str, ...], told: str) -> None:
    shown = guard(*arguments)
    assert shown.status == 3
    assert told in shown.err
    assert "Traceback" not in shown.err


def test_file_that_is_no_capture_is_not_run(guard: Run, tmp_path: Path) -> None:
    file = tmp_path / "text.pcap"
    file.write_text("no capture at all, but long enough to be one")
    shown = guard(file)
    assert shown.status == 3
    assert "is no capture" in shown.err


def test_mistake_of_ours_is_not_run(guard: Run, open_edge: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr("relaytrap.guard.guard.judge", fail)
    assert guard(open_edge, *POLICY).status == 3


def test_installation_without_the_packages_is_not_run_in_one_sentence(
    guard: Run, open_edge: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "relaytrap.enrich", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    shown = guard(str(open_edge))
    assert shown.status == 3
    assert shown.err.startswith("relaytrap: this command needs the package relaytrap.enrich")
    assert shown.err.count("\n") == 1


def test_reader_that_leaves_early_keeps_the_status(open_edge: Path, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [
        sys.executable,
        "-m",
        "relaytrap.cli.main",
        "--data",
        str(tmp_path / "d"),
        "guard",
        str(open_edge),
        *POLICY,
    ]
    with os.fdopen(write, "wb") as gone:
        ran = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, "")


def test_suggestion_is_a_settings_file_that_is_silent_on_what_it_came_from(
    run: Run, guard: Run, tmp_path: Path
) -> None:
    edge = Edge()
    edge.register("10.0.0.5")
    edge.relay(ask("10.0.0.5", host="elsewhere.example", serial=1), source="10.0.0.5")
    edge.relay(ask(TRUNK, "alice", DOMAIN, serial=2), "10.0.0.5", source=TRUNK)
    file = capture(tmp_path / "honest.pcapng", edge.seen)
    shown = guard(file, "--suggest")
    assert shown.status == 0
    settings = tmp_path / "suggested.toml"
    settings.write_text(shown.out)
    for expected in ('"192.0.2.1",', '"10.0.0.5",', f'"{DOMAIN}",', f'#   "{TRUNK}",', "expected_hops = 1"):
        assert expected in shown.out
    assert "elsewhere.example" not in shown.out
    shown = run("--config", settings, "--data", tmp_path, "guard", file)
    assert (shown.status, "ALARM" in shown.out) == (0, False), shown.out


def test_suggestion_names_the_address_outside_a_translation(guard: Run, tmp_path: Path) -> None:
    edge = Edge()
    edge.refuse(ask(target="100", host="198.51.100.200"), "200 OK")
    shown = guard(capture(tmp_path / "x.pcapng", edge.seen), "--suggest")
    assert '"198.51.100.200",  # asked for at the edge and served' in shown.out


def test_suggestion_from_nothing_is_a_settings_file_of_comments(run: Run, guard: Run, tmp_path: Path) -> None:
    edge = Edge()
    edge.arrive(ask())
    settings = tmp_path / "suggested.toml"
    settings.write_text(guard(capture(tmp_path / "x.pcapng", edge.seen), "--suggest").out)
    assert run("--config", settings, "config", "show").status == 0
