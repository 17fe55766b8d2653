"""Scheduled tests of a real server on loopback: when they run, when they must not, and who is told of a change."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from relaytrap.clock import now_ns
from relaytrap.config import ProbeConfig
from relaytrap.probe.ownership import OWN_ADDRESS
from relaytrap.probe.register import LIMITS, Entry
from relaytrap.probe.schedule import STATED, Schedule, Schedules
from relaytrap.probe.service import Asked, Service
from relaytrap.probe.target import Endpoint, Target
from relaytrap.probe.watch import ADDRESS_PROOF_DAYS, Watch, run_command

from ..loopback import loopback
from .answering import Answering, answering_server, hurry, reply

SERVER = loopback(45, 1)
DAY_NS = 86400 * 10**9
REFUSED = {
    "verdict": "refused",
    "sentence": "This server forwards nothing for strangers.",
    "exit_status": 0,
    "classes": [["refused", "This server forwards nothing for strangers."]],
}


class Watched:
    """One schedule that is due, over a data directory of its own."""

    def __init__(
        self, folder: Path, host: str, *, proof: str = STATED, user: str = "x", made_days_ago: int = 0
    ) -> None:
        self._folder = folder
        self.service = self._new_service()
        self.schedules = Schedules(self.service.register.records)
        made = now_ns() - made_days_ago * DAY_NS
        asked = Asked(host, transports=("udp",))
        self.secret = self.schedules.add(host, user, proof, asked.options, 86400, made, now_ns() - 1)
        self._host = host

    def had(self, report: dict[str, object]) -> None:
        """An earlier result of the schedule."""
        target = Target(self._host, SERVER, (Endpoint("udp", SERVER, 5060),))
        begun = now_ns() - DAY_NS
        secret = self.service.register.begin(target, "x", STATED, {}, begun, schedule=self.secret)
        self.service.register.end(secret, report, begun + 1)

    def _new_service(self) -> Service:
        return Service(ProbeConfig(private_targets=True), self._folder)

    def run(self, *command: str) -> None:
        """Run what is due; the witnesses that a service shares live in one event loop, so the next run gets its own."""
        asyncio.run(Watch(self.service, self.schedules, command).run_due())
        self.service = self._new_service()

    @property
    def schedule(self) -> Schedule:
        found = self.schedules.find(self.secret)
        assert found is not None
        return found

    @property
    def latest(self) -> Entry:
        return self.service.register.history(self.secret)[0]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


@pytest.fixture
def server() -> Iterator[Answering]:
    """Answers everything with 403."""
    with answering_server(SERVER, lambda request: reply(request, "403 No")) as running:
        yield running


@pytest.fixture
def accepting() -> Iterator[Answering]:
    """Answers everything itself with 200."""
    with answering_server(SERVER, lambda request: reply(request, "200 OK")) as running:
        yield running


def test_due_test_is_run_told_of_and_due_again_after_its_interval(tmp_path: Path, server: Answering) -> None:
    watched = Watched(tmp_path, f"{SERVER}:{server.port}")
    told: list[tuple[str, bool]] = []

    def on_progress(secret: str, progress: object) -> None:
        told.append((secret, progress is None))

    asyncio.run(Watch(watched.service, watched.schedules, (), on_progress).run_due())
    assert watched.latest.verdict == "refused"
    assert watched.schedule.problem == ""
    assert watched.schedule.next_at_ns > now_ns() + DAY_NS - 3600 * 10**9
    assert watched.schedules.due(now_ns()) == []
    assert told[0] == (watched.latest.secret, False)
    assert told[-1] == (watched.latest.secret, True)


def test_changed_result_is_noted_logged_and_told_to_the_command(
    tmp_path: Path, accepting: Answering, caplog: pytest.LogCaptureFixture
) -> None:
    told = tmp_path / "told.json"
    watched = Watched(tmp_path, f"{SERVER}:{accepting.port}")
    watched.had(REFUSED)
    watched.run(sys.executable, "-c", f"import sys; open({str(told)!r}, 'w').write(sys.stdin.read())")
    (notice,) = watched.schedules.notices(watched.secret)
    assert (notice.before, notice.after, notice.test) == ("refused", watched.latest.verdict, watched.latest.secret)
    assert notice.after != "refused"
    assert "the result changed" in caplog.text
    given = json.loads(told.read_text())
    assert (given["target"], given["before"], given["after"]) == (watched.schedule.target, "refused", notice.after)
    assert given["page"] == f"/probe/{notice.test}"
    assert given["test"]["probes"]


def test_same_result_as_the_last_that_said_something_is_told_to_nobody(tmp_path: Path, server: Answering) -> None:
    told = tmp_path / "told"
    watched = Watched(tmp_path, f"{SERVER}:{server.port}")
    watched.had(REFUSED)
    watched.had(REFUSED | {"verdict": "not run", "exit_status": 3, "classes": [["not run", "x"]]})
    watched.run("touch", str(told))
    assert watched.latest.verdict == "refused"
    assert watched.schedules.notices(watched.secret) == []
    assert not told.exists()


def test_doubtful_result_is_tested_again_soon_and_told_when_it_stays(tmp_path: Path) -> None:
    with answering_server(SERVER, lambda request: reply(request, "478 Unresolvable destination")) as server:
        watched = Watched(tmp_path, f"{SERVER}:{server.port}")
        watched.had(REFUSED)
        watched.run()
        assert watched.latest.report is not None
        assert watched.latest.report["exit_status"] == 2
        assert watched.schedules.notices(watched.secret) == []
        assert watched.schedule.next_at_ns < now_ns() + 3600 * 10**9
        watched.schedules.set_next(watched.secret, 0)
        watched.run()
    assert [each.before for each in watched.schedules.notices(watched.secret)] == ["refused"]


def test_server_whose_owner_took_the_proof_away_is_sent_no_probe(tmp_path: Path, server: Answering) -> None:
    watched = Watched(tmp_path, f"{SERVER}:{server.port}", proof="the server's own OPTIONS answer", user="192.0.2.1")
    watched.run()
    assert "could not be proved" in watched.schedule.problem
    assert watched.service.register.history(watched.secret) == []
    assert not any(b"Relaytrap open-relay test" in request for request in server.requests)


@pytest.mark.parametrize(
    ("days", "problem"),
    [(ADDRESS_PROOF_DAYS - 1, "other tests are running"), (ADDRESS_PROOF_DAYS + 1, "could not be proved")],
)
def test_proof_by_address_grows_old(tmp_path: Path, server: Answering, days: int, problem: str) -> None:
    watched = Watched(tmp_path, f"{SERVER}:{server.port}", proof=OWN_ADDRESS, user=SERVER, made_days_ago=days)
    running = LIMITS.at_once if days < ADDRESS_PROOF_DAYS else 0
    for number in range(running):  # what is proved would run, and has to wait for these
        elsewhere = Target(f"h{number}.example", "x", (Endpoint("udp", f"192.0.2.{number + 1}", 5060),))
        watched.service.register.begin(elsewhere, "y", STATED, {}, now_ns())
    watched.run()
    assert problem in watched.schedule.problem


def test_server_that_opted_out_since_is_sent_nothing(tmp_path: Path, server: Answering) -> None:
    watched = Watched(tmp_path, f"{SERVER}:{server.port}")
    watched.service.register.opt_outs.add(SERVER, "by mail", now_ns())
    watched.run()
    assert "operator asked" in watched.schedule.problem
    assert server.requests == []


def test_mistake_of_ours_in_one_schedule_leaves_the_others_alone(
    tmp_path: Path, server: Answering, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Watched(tmp_path, "broken.example")
    other = Watched(tmp_path, f"{SERVER}:{server.port}", user="y")
    resolve = broken.service.resolve

    async def fail_once(asked: Asked, **options: bool | None) -> Target:
        if asked.host == "broken.example":
            raise RuntimeError("a mistake")
        return await resolve(asked, **options)

    monkeypatch.setattr(broken.service, "resolve", fail_once)
    broken.run()
    assert "mistake" in broken.schedule.problem
    assert "a scheduled test failed" in caplog.text
    assert other.latest.verdict == "refused"
    assert broken.schedules.due(now_ns()) == []


def test_name_that_does_not_resolve_is_tried_again_soon(tmp_path: Path) -> None:
    watched = Watched(tmp_path, "no-such-host.invalid")
    watched.run()
    assert "does not resolve" in watched.schedule.problem
    assert watched.schedule.next_at_ns < now_ns() + DAY_NS / 2


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("/no/such/program",), "cannot be run"),
        ((sys.executable, "-c", "import sys; sys.exit(7)"), "status 7"),
        ((sys.executable, "-c", "import os; os.close(0)"), ""),
    ],
)
def test_command_that_fails_is_logged_and_nothing_more(
    command: tuple[str, ...], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(run_command(command, {"test": "x" * 1_000_000}))
    assert said in caplog.text


def test_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("relaytrap.probe.watch.COMMAND_TIMEOUT_S", 0.2)
    asyncio.run(run_command((sys.executable, "-c", "import time; time.sleep(600)"), {}))
    assert "did not end" in caplog.text
