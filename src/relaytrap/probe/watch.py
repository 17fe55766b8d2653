"""Runs scheduled tests when they are due, and says when a result is another than before."""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

from relaytrap.clock import NS_PER_S, now_ns, rfc3339
from relaytrap.errors import InputError, RelaytrapError
from relaytrap.probe.ownership import OWN_ADDRESS
from relaytrap.probe.plan import Progress
from relaytrap.probe.schedule import STATED, Notice, Schedule, Schedules, weigh_change
from relaytrap.probe.service import Asked, Service
from relaytrap.probe.verdict import EXIT_NOT_RUN, EXIT_UNDECIDED

__all__ = ["Watch", "run_command"]

log = logging.getLogger(__name__)

Report = dict[str, Any]
LOOK_EVERY_S: Final = 20.0
# The next try when a limit was in the way, or when a result is in doubt.
LATER_S: Final = 600
COMMAND_TIMEOUT_S: Final = 30.0
# Addresses change hands: who proved one by coming from it has to come again after that time.
ADDRESS_PROOF_DAYS: Final = 30


class Watch:
    """The scheduled tests of one running hub.

    command: what is run when a result changes, its notice as JSON on standard input; () for nothing. on_progress: told
    the secret of the test that runs, and how far it is; None when it has ended.
    """

    def __init__(
        self,
        service: Service,
        schedules: Schedules,
        command: Sequence[str] = (),
        on_progress: Callable[[str, Progress | None], None] = lambda secret, progress: None,
    ) -> None:
        self._service = service
        self._schedules = schedules
        self._command = tuple(command)
        self._on_progress = on_progress

    async def keep(self) -> None:
        """Run what is due, one after the other, until cancelled."""
        while True:
            try:
                await self.run_due()
            except RelaytrapError as error:
                log.warning("scheduled tests cannot be run: %s", error)
            await asyncio.sleep(LOOK_EVERY_S)

    async def run_due(self) -> None:
        """Run every test that is due now. Raises DiskError and its like, when no schedule could be kept."""
        for schedule in self._schedules.due(now_ns()):
            try:
                await self._run(schedule)
            except RelaytrapError:
                raise
            except Exception:  # the edge of one unit of work: the other schedules go on
                log.exception("a scheduled test failed target=%r", schedule.target)
                problem = "Relaytrap made a mistake; its log says where."
                self._schedules.set_next(schedule.secret, now_ns() + schedule.every_s * NS_PER_S, problem)

    async def _run(self, schedule: Schedule) -> None:
        """Run a schedule's test if it still may; what forbids it is noted on the schedule."""
        asked = Asked.again(schedule.target, schedule.options)
        stated = schedule.proof == STATED
        next_at = now_ns() + schedule.every_s * NS_PER_S
        try:
            if stated:
                target, proof = await self._service.resolve(asked, private_allowed=True), STATED
            else:
                target, proof = await self._service.resolve_owned(asked, schedule.user)
            if not _still_holds(proof, schedule):
                problem = "Ownership could not be proved any more; set up a proof, and ask for the schedule again."
                self._schedules.set_next(schedule.secret, next_at, problem)
                return
            secret = self._service.register.begin(
                target, schedule.user, schedule.proof, asked.options, now_ns(), schedule=schedule.secret
            )
        except InputError as error:
            self._schedules.set_next(schedule.secret, min(next_at, now_ns() + LATER_S * NS_PER_S), f"{error}.")
            return
        self._schedules.set_next(schedule.secret, next_at)
        try:
            report = await self._service.run(
                secret,
                target,
                asked,
                lambda progress: self._on_progress(secret, progress),
                private_allowed=True if stated else None,
            )
        finally:
            self._on_progress(secret, None)
        await self._compare(schedule, secret, report)

    async def _compare(self, schedule: Schedule, secret: str, report: Report) -> None:
        """Note, log and tell when a result is another than the one before it that says something."""
        known, latest = self._earlier(schedule, secret)
        weight = weigh_change(known, latest, report)
        if weight == "doubtful":
            self._schedules.set_next(schedule.secret, now_ns() + min(schedule.every_s, LATER_S) * NS_PER_S)
        if known is None or weight != "certain":
            return
        notice = Notice(now_ns(), known["verdict"], report["verdict"], report["sentence"], secret)
        self._schedules.add_notice(schedule.secret, notice)
        log.warning(
            "open-relay test: the result changed target=%r before=%r after=%r",
            schedule.target,
            notice.before,
            notice.after,
        )
        told = asdict(notice) | {"target": schedule.target, "exit_status": report["exit_status"]}
        told |= {"at": rfc3339(told.pop("at_ns")), "page": f"/probe/{secret}", "test": report}
        await run_command(self._command, told)

    def _earlier(self, schedule: Schedule, secret: str) -> tuple[Report | None, Report | None]:
        """The report that was told last (or the first decided one), and the latest; of those that say something."""
        register = self._service.register
        reports = [each.report for each in register.history(schedule.secret) if each.secret != secret and each.report]
        said = [each for each in reports if each["exit_status"] != EXIT_NOT_RUN]
        if not said:
            return None, None
        told = [register.find(each.test) for each in self._schedules.notices(schedule.secret, limit=1)]
        if told and told[0] and told[0].report:
            return told[0].report, said[0]
        return next((each for each in reversed(said) if each["exit_status"] != EXIT_UNDECIDED), said[-1]), said[0]


def _still_holds(proof: str, schedule: Schedule) -> bool:
    """Whether what proves ownership now is enough for a schedule of its age."""
    is_old = now_ns() - schedule.created_at_ns > ADDRESS_PROOF_DAYS * 86400 * NS_PER_S
    return bool(proof) and not (proof == OWN_ADDRESS and is_old)


async def run_command(command: Sequence[str], notice: dict[str, Any]) -> None:
    """Run the operator's command with a notice as JSON on its standard input; its failure is logged."""
    if not command:
        return
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        log.warning("probe.notify_command: %r cannot be run: %s", command[0], error.strerror)
        return
    try:
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            await process.communicate(json.dumps(notice).encode())
    except TimeoutError:
        log.warning("probe.notify_command: %r did not end within %d s", command[0], COMMAND_TIMEOUT_S)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        log.warning("probe.notify_command: %r ended with status %s", command[0], process.returncode)
