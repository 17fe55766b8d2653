"""A throwaway copy of this machine: everything written in it is gone afterwards, and nothing of it is seen outside."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PREPARE = """
set -e
mount -t tmpfs tmpfs "$0"
mkdir "$0/upper" "$0/work" "$0/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$0/upper,workdir=$0/work" "$0/root"
for place in $1; do mount --rbind "/$place" "$0/root/$place"; done
mount -t tmpfs tmpfs "$0/root/run"
echo ready
exec sleep infinity
"""


class Machine:
    """The copy: run commands in it as root."""

    def __init__(self, *enter: str, keeper: int) -> None:
        """enter: what stands before a command that is to run there. keeper: a process that has the copy's mounts."""
        self._enter = enter
        self.keeper = keeper

    def command(self, *arguments: str) -> list[str]:
        """A command line that runs in the copy, in the folder /."""
        return [*self._enter, *arguments]

    def run(self, *arguments: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command in the copy; what it printed."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, errors="replace", check=False)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        """Start a command in the copy."""
        return subprocess.Popen(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def write(self, path: str, content: bytes) -> None:
        """Put a file into the copy."""
        subprocess.run(self.command("tee", path), input=content, stdout=subprocess.DEVNULL, check=True)

    def read(self, path: str) -> str:
        """A file of the copy."""
        return self.run("cat", path).stdout


def inside(keeper: int) -> list[str]:
    """What stands before a command that is to see the copy's mounts."""
    return ["nsenter", "--target", str(keeper), "--mount"]


@contextmanager
def copied_machine(folder: Path, shared: str = "proc dev sys") -> Iterator[Machine]:
    """A copy of this machine as long as the block runs; skips without root. shared: what it has in common with it."""
    if os.geteuid() != 0:
        pytest.skip("a copy of the machine needs root")
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", PREPARE, str(folder), shared]
    keeper = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert keeper.stdout is not None
        assert keeper.stdout.readline() == "ready\n"
        machine = Machine(*inside(keeper.pid), "chroot", str(folder / "root"), keeper=keeper.pid)
        # Another user is to run this interpreter and this package, which may lie in a home that is root's alone.
        places = {Path(place).resolve() for place in (__file__, sys.executable, sys.prefix, sys.base_prefix)}
        machine.run("chmod", "a+x", *sorted({str(parent) for place in places for parent in (place, *place.parents)}))
        yield machine
    finally:
        keeper.kill()
        keeper.wait()
