"""Tests that the page runs: started after ownership was proved, followed live, kept under a secret."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from relaytrap import clock
from relaytrap.config import Config
from relaytrap.errors import RelaytrapError
from relaytrap.probe.conduct import Options, address_towards, conduct
from relaytrap.probe.ownership import Claim, ownership_token, prove_ownership
from relaytrap.probe.plan import Progress
from relaytrap.probe.register import Entry, Register
from relaytrap.probe.target import TRANSPORTS, Target, resolve_target

__all__ = ["Asked", "Tests"]

log = logging.getLogger(__name__)

EVERY_S: Final = 0.5
FIRST: Final = Progress(0, 0, 0, 0.0, "starting")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the form said."""

    host: str
    domain: str = ""
    transports: tuple[str, ...] = ()
    thorough: bool = False


@dataclass(slots=True)
class Tests:
    """The tests of one running page server."""

    config: Config
    register: Register = field(init=False)
    _progress: dict[str, Progress] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.register = Register(self.config.data_dir)
        self.register.end_abandoned(clock.now_ns())  # only one hub runs on this data

    def token(self, host: str) -> str:
        """What a proof for a host must show."""
        return ownership_token(self.register.secret_key(), host.strip())

    async def start(self, asked: Asked, user: str) -> str:
        """Prove ownership, log the test, start it; gives its secret, or "" when no proof holds.

        user: the address that asks. Raises InputError with one sentence when the host, a limit or an opt-out forbids.
        """
        private = self.config.probe.private_targets
        target = await resolve_target(
            asked.host, transports=asked.transports or TRANSPORTS, domain=asked.domain, private_allowed=private
        )
        addresses = sorted({endpoint.address for endpoint in target.endpoints})
        self.register.ask(asked.host, user, addresses, clock.now_ns())
        claim = Claim(target, user, address_towards(target), self.token(asked.host))
        proof = await prove_ownership(claim, private_allowed=private)
        if not proof:
            return ""
        kept = {"domain": asked.domain, "transports": asked.transports, "thorough": asked.thorough}
        secret = self.register.begin(asked.host, user, addresses, proof, kept, clock.now_ns())
        self._progress[secret] = FIRST
        task = asyncio.create_task(self._run(secret, target, self._options(asked)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return secret

    def find(self, secret: str) -> Entry | None:
        """A test by its secret."""
        return self.register.find(secret)

    async def follow(self, secret: str) -> AsyncIterator[Progress]:
        """How far a test is, until it has ended."""
        while secret in self._progress:
            yield self._progress[secret]
            await asyncio.sleep(EVERY_S)

    def _options(self, asked: Asked) -> Options:
        settings = self.config.probe
        return Options(
            transports=asked.transports,
            domain=asked.domain,
            thorough=asked.thorough,
            witness=settings.witness,
            witness_public=settings.witness_public,
            private_allowed=settings.private_targets,
        )

    async def _run(self, secret: str, target: Target, options: Options) -> None:
        def note(progress: Progress) -> None:
            self._progress[secret] = progress

        report: dict[str, Any]
        try:
            report = (await conduct(target, options, note)).as_json()
        except RelaytrapError as error:
            report = {"verdict": "not run", "sentence": str(error), "exit_status": 3}
        except Exception:  # the edge of one unit of work: the test ends, the page goes on
            log.exception("a test failed target=%s", target.named)
            report = {
                "verdict": "not run",
                "sentence": "Relaytrap made a mistake; its log says where.",
                "exit_status": 3,
            }
        try:
            self.register.end(secret, report["verdict"], report, clock.now_ns())
        finally:
            del self._progress[secret]
