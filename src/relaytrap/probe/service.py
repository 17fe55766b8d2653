"""Tests on behalf of whoever asks by the page: resolve, prove ownership, log, run; the same when a schedule asks.

The addresses that a name has when the test is asked for are the ones that are proved, logged and tested: the name is
not looked up again in between, so a record that changes meanwhile (DNS rebinding) gains nothing.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from relaytrap.clock import now_ns
from relaytrap.config import ProbeConfig
from relaytrap.probe.conduct import Options, address_towards
from relaytrap.probe.logged import conduct_logged
from relaytrap.probe.ownership import Claim, ownership_token, prove_ownership
from relaytrap.probe.plan import Progress
from relaytrap.probe.register import Register
from relaytrap.probe.target import TRANSPORTS, Target, resolve_target
from relaytrap.probe.witness import Witnesses

__all__ = ["Asked", "Service"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be tested, as a form or a schedule says it."""

    host: str
    domain: str = ""
    transports: tuple[str, ...] = ()
    thorough: bool = False

    @property
    def options(self) -> dict[str, Any]:
        """What the register keeps of it, beside the host."""
        return {name: value for name, value in asdict(self).items() if name != "host"}

    @classmethod
    def again(cls, host: str, options: dict[str, Any]) -> "Asked":
        """What an entry of the register or a schedule has kept."""
        return cls(host, options["domain"], tuple(options["transports"]), options["thorough"])


class Service:
    """The steps of a test, over one data directory."""

    def __init__(self, settings: ProbeConfig, data_dir: Path) -> None:
        self.register = Register(data_dir)
        self._settings = settings
        self._witnesses = Witnesses()

    def token(self, host: str) -> str:
        """What a proof for a host must show."""
        return ownership_token(self.register.secret_key(), host.strip())

    async def resolve(self, asked: Asked, *, private_allowed: bool | None = None) -> Target:
        """The endpoints of what is asked for. private_allowed: None for what the settings say.

        Raises InputError when the name does not resolve or may not be tested.
        """
        return await resolve_target(
            asked.host,
            transports=asked.transports or TRANSPORTS,
            domain=asked.domain,
            private_allowed=self._settings.private_targets if private_allowed is None else private_allowed,
        )

    async def resolve_owned(self, asked: Asked, user: str) -> tuple[Target, str]:
        """The endpoints of what is asked for, and how its ownership was proved, as a phrase; "" when no proof holds.

        user: the address that asks. Counted before the first look-up, whatever comes of it. Raises InputError as
        resolve does, and when a limit or an opt-out forbids to look.
        """
        self.register.ask(asked.host, user, now_ns())
        target = await self.resolve(asked)
        self.register.check(target, now_ns())
        claim = Claim(target, user, address_towards(target), self.token(asked.host))
        return target, await prove_ownership(claim, private_allowed=self._settings.private_targets)

    async def run(
        self,
        secret: str,
        target: Target,
        asked: Asked,
        on_progress: Callable[[Progress], None],
        *,
        private_allowed: bool | None = None,
    ) -> dict[str, Any]:
        """Run a test that the register has begun; gives its report as JSON."""
        settings = self._settings
        options = Options(
            transports=asked.transports,
            domain=asked.domain,
            thorough=asked.thorough,
            witness=settings.witness,
            witness_public=settings.witness_public,
            witness_token=settings.witness_token,
            witnesses=self._witnesses,
            private_allowed=settings.private_targets if private_allowed is None else private_allowed,
        )
        return await conduct_logged(self.register, secret, target, options, on_progress)
