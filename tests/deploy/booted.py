"""A throwaway copy of this machine, booted: systemd is its first process, and its network has loopback alone."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.overlay import Machine, copied_machine, inside

PLACES = {str(Path(place).resolve()) for place in (sys.prefix, sys.base_prefix, Path(__file__).parents[2])}
"""What a service needs that runs this interpreter and this package."""
BOOT_SECONDS = 60
ENTER = 'for group in $0; do echo $$ > "$group/cgroup.procs"; done; exec "$@"'


@contextmanager
def booted_machine(folder: Path, peer: Callable[[str], str]) -> Iterator[Machine]:
    """The copy, kept by its first process, as long as the block runs; skips where no systemd can be booted."""
    nspawn = peer("systemd-nspawn")
    if lost := [place for place in PLACES if Path(place).is_relative_to("/tmp")]:
        pytest.skip(f"a booted system has a /tmp of its own, without {lost[0]}")
    name = f"relaytrap-test-{os.getpid()}"
    with copied_machine(folder, shared="") as copy, _control_groups(name) as groups:
        command = [*inside(copy.keeper), "sh", "-c", ENTER, groups, nspawn, "--quiet", "--boot"]
        command += ["--directory", str(folder / "root"), f"--machine={name}", "--register=no", "--private-network"]
        command += ["--console=pipe", *(["--keep-unit"] if groups else [])]
        # Nothing else that this machine starts: no target above the basic one.
        command.append("systemd.unit=basic.target")
        said = folder / "boot.log"
        with said.open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            first = _first_process(process)
            if first is None:
                pytest.skip(f"no systemd boots in systemd-nspawn here: {said.read_text(errors='replace')[-500:]}")
            enter = ["nsenter", "--target", str(first), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"]
            machine = Machine(*enter, "--root", "--wd", keeper=first)
            _show_services_this_package(machine)
            yield machine
        finally:
            process.terminate()  # nspawn has the system shut down
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def _control_groups(name: str) -> Iterator[str]:
    """Groups for nspawn where no systemd of this machine makes them: their paths, with spaces between."""
    groups = [] if Path("/run/systemd/system").exists() else [parent / name for parent in _own_control_groups()]
    try:
        for group in groups:
            group.mkdir()
        yield " ".join(map(str, groups))
    finally:
        for group in groups:
            sweep = ["find", str(group), "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"]
            subprocess.run(sweep, capture_output=True, check=False)


def _own_control_groups() -> Iterator[Path]:
    """Where this process is in systemd's hierarchies, old and new."""
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        number, controllers, path = line.split(":", 2)
        tops = ("unified", ".") if number == "0" else ("systemd",) if controllers == "name=systemd" else ()
        places = (Path("/sys/fs/cgroup") / top / path.lstrip("/") for top in tops)
        yield from [place for place in places if (place / "cgroup.procs").exists()][:1]


def _first_process(nspawn: "subprocess.Popen[bytes]") -> int | None:
    """The booted system's systemd, once it has started all that it should; None when it does not come to that."""
    end = time.monotonic() + BOOT_SECONDS
    while nspawn.poll() is None and time.monotonic() < end:
        listed = subprocess.run(
            ["ps", "-o", "pid=,comm=", "--ppid", str(nspawn.pid)], capture_output=True, text=True, check=False
        )
        for line in listed.stdout.splitlines():
            pid, name = line.split(maxsplit=1)
            if name in ("systemd", "init"):
                asked = ["nsenter", "--target", pid, "--mount", "--pid", "--root", "systemctl", "is-system-running"]
                state = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
                if state in ("running", "degraded"):
                    return int(pid)
        time.sleep(0.2)
    return None


def _show_services_this_package(machine: Machine) -> None:
    """An addition to the units, where ProtectHome= would hide a checkout or its Python in somebody's home."""
    homes = [place for place in sorted(PLACES) if any(Path(place).is_relative_to(home) for home in ("/home", "/root"))]
    text = "".join(f"BindReadOnlyPaths={place}\n" for place in homes)
    for name in ("hub", "sensor"):
        folder = f"/run/systemd/system/relaytrap-{name}.service.d"
        machine.run("mkdir", "-p", folder)
        machine.write(f"{folder}/homes.conf", f"[Service]\nProtectHome=tmpfs\n{text}".encode() if homes else b"")
