"""Tests that the page runs: started after ownership was proved, followed live, kept under a secret, and run again."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from relaytrap import clock
from relaytrap.config import Config
from relaytrap.probe.plan import Progress
from relaytrap.probe.register import Entry, Register
from relaytrap.probe.schedule import Schedules
from relaytrap.probe.service import Asked, Service
from relaytrap.probe.target import Target
from relaytrap.probe.watch import Watch

__all__ = ["Asked", "Tests"]

EVERY_S: Final = 0.5
FIRST: Final = Progress(0, 0, 0, 0.0, "starting")


@dataclass(slots=True)
class Tests:
    """The tests of one running page server."""

    config: Config
    schedules: Schedules = field(init=False)
    _service: Service = field(init=False)
    _progress: dict[str, Progress] = field(default_factory=dict)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._service = Service(self.config.probe, self.config.data_dir)
        self.schedules = Schedules(self.register.records)
        self.register.end_abandoned(clock.now_ns(), starting=True)  # only one hub runs on this data

    @property
    def register(self) -> Register:
        """The log of tests."""
        return self._service.register

    def token(self, host: str) -> str:
        """What a proof for a host must show."""
        return self._service.token(host)

    async def start(self, asked: Asked, user: str) -> str:
        """Prove ownership, log the test, start it; gives its secret, or "" when no proof holds.

        user: the address that asks. Raises InputError with one sentence when the host, a limit or an opt-out forbids.
        """
        target, proof = await self._service.resolve_owned(asked, user)
        if not proof:
            return ""
        secret = self.register.begin(target, user, proof, asked.options, clock.now_ns())
        self._note(secret, FIRST)
        self._keep(self._run(secret, target, asked))
        return secret

    async def repeat(self, asked: Asked, user: str, every_s: int, *, baseline: str) -> str:
        """Prove ownership, and test from now on again and again; gives the schedule's secret, or "".

        baseline: the secret of the test that the next result is compared with. Raises InputError as start does.
        """
        _, proof = await self._service.resolve_owned(asked, user)
        if not proof:
            return ""
        now = clock.now_ns()
        secret = self.schedules.add(
            asked.host, user, proof, asked.options, every_s, now, now + every_s * clock.NS_PER_S
        )
        self.register.join(baseline, secret)
        return secret

    def find(self, secret: str) -> Entry | None:
        """A test by its secret."""
        return self.register.find(secret)

    async def follow(self, secret: str) -> AsyncIterator[Progress]:
        """How far a test is, until it has ended."""
        while secret in self._progress:
            yield self._progress[secret]
            await asyncio.sleep(EVERY_S)

    def keep_schedules(self) -> None:
        """Run scheduled tests when they are due, for as long as the event loop runs."""
        watch = Watch(self._service, self.schedules, self.config.probe.notify_command, self._note)
        self._keep(watch.keep())

    def _keep(self, running: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.get_running_loop().create_task(running)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, secret: str, target: Target, asked: Asked) -> None:
        try:
            await self._service.run(secret, target, asked, lambda progress: self._note(secret, progress))
        finally:
            self._note(secret, None)

    def _note(self, secret: str, progress: Progress | None) -> None:
        if progress is None:
            self._progress.pop(secret, None)
        else:
            self._progress[secret] = progress
