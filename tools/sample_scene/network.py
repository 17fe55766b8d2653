"""Network namespaces of the scene: one router without an uplink, one namespace for each machine room around it.

Nothing can leave: the router has no route but those to its rooms, and no room has a name server. All names start with
`rts-`; `down` ends only what runs inside them.
"""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

PREFIX = "rts-"
ROUTER = PREFIX + "net"


def ip(*arguments: str, batch: Sequence[str] = ()) -> str:
    """Run `ip`, alone or with a batch on its standard input; RuntimeError carries what it said."""
    command = ["ip", *arguments, *(["-batch", "-"] if batch else [])]
    done = subprocess.run(command, input="\n".join(batch), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Network:
    """The scene's rooms, and the programs that run in them."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.programs: list[subprocess.Popen[bytes]] = []

    def up(self, rooms: dict[str, list[str]]) -> None:
        """rooms: name to its addresses, IPv4 and IPv6; the first of each kind is the room's default source."""
        down()
        ip("netns", "add", ROUTER)
        ip("-n", ROUTER, "link", "set", "lo", "up")
        for number, (room, addresses) in enumerate(rooms.items(), 1):
            self._room(number, room, addresses)
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            self.run("net", ["sysctl", "-qw", f"{key}=1"])

    def _room(self, number: int, room: str, addresses: list[str]) -> None:
        space = PREFIX + room
        ip("netns", "add", space)
        name_server = Path("/etc/netns") / space / "resolv.conf"
        name_server.parent.mkdir(parents=True, exist_ok=True)
        # A name server that is not there: look-ups fail at once and never leave.
        name_server.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        ip("link", "add", f"v{number}", "netns", ROUTER, "type", "veth", "peer", "name", "eth0", "netns", space)
        four = [address for address in addresses if ":" not in address]
        six = [address for address in addresses if ":" in address]
        inside = ["link set lo up", "link set eth0 up", f"addr add 10.255.{number}.2/24 dev eth0"]
        inside += [f"addr add {address}/32 dev eth0" for address in four]
        inside.append(f"route add default via 10.255.{number}.1 src {four[0]}")
        ip("-n", space, batch=inside)
        outside = [f"addr add 10.255.{number}.1/24 dev v{number}", f"link set v{number} up"]
        outside += [f"route add {address}/32 via 10.255.{number}.2" for address in four]
        ip("-n", ROUTER, batch=outside)
        if six:
            self._room6(number, space, six)

    def _room6(self, number: int, space: str, six: list[str]) -> None:
        inside = [f"addr add fd00:255:{number}::2/64 dev eth0 nodad"]
        inside += [f"addr add {address}/128 dev eth0 nodad" for address in six]
        inside.append(f"route add default via fd00:255:{number}::1 src {six[0]}")
        ip("-n", ROUTER, batch=[f"addr add fd00:255:{number}::1/64 dev v{number} nodad"])
        ip("-n", space, batch=inside)
        ip("-n", ROUTER, batch=[f"route add {address}/128 via fd00:255:{number}::2" for address in six])

    def start(self, room: str, command: Sequence[str], log: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start a program that goes on until `stop` or `down`; its words go to `log` in the run folder."""
        with (self.run_dir / f"{log}.log").open("ab") as out:
            program = subprocess.Popen(
                ["ip", "netns", "exec", PREFIX + room, *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=self.run_dir,
                env=dict(os.environ, HOME=str(self.run_dir), **environ),
            )
        self.programs.append(program)
        return program

    def run(self, room: str, command: Sequence[str], log: str = "run", timeout: float = 60) -> int:
        """Run a program to its end, or stop it after `timeout` seconds (some scanners never end)."""
        program = self.start(room, command, log)
        try:
            return program.wait(timeout)
        except subprocess.TimeoutExpired:
            stop(program)
            return -1
        finally:
            self.programs.remove(program)

    def wait_listening(self, room: str, sockets: int, timeout: float = 60) -> None:
        """Wait until that many UDP sockets are bound to port 5060 in a room."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            listing = subprocess.run(
                ["ip", "netns", "exec", PREFIX + room, "ss", "-Hlun"], capture_output=True, text=True, check=True
            ).stdout
            if listing.count(":5060 ") >= sockets:
                return
            time.sleep(0.2)
        raise RuntimeError(f"{room}: fewer than {sockets} sockets listen on 5060; see the logs in {self.run_dir}")

    def down(self) -> None:
        """End what was started and remove the namespaces."""
        for program in self.programs:
            if program.poll() is None:
                program.terminate()
        for program in self.programs:
            stop(program, grace=5)
        down()


def stop(program: subprocess.Popen[bytes], grace: float = 3) -> None:
    """Ask a program to end; insist after `grace` seconds."""
    if program.poll() is None:
        program.terminate()
        try:
            program.wait(grace)
        except subprocess.TimeoutExpired:
            program.kill()
            program.wait()


def down() -> None:
    """Remove every namespace of the scene, and end whatever still runs inside one of them."""
    spaces = [line.split()[0] for line in ip("netns", "list").splitlines() if line.startswith(PREFIX)]
    for sign in (signal.SIGTERM, signal.SIGKILL):
        pids = [int(pid) for space in spaces for pid in ip("netns", "pids", space).split()]
        for pid in pids:
            try:
                os.kill(pid, sign)
            except ProcessLookupError:
                pass
        if pids:
            time.sleep(1)
    for space in spaces:
        ip("netns", "delete", space)
        folder = Path("/etc/netns") / space
        (folder / "resolv.conf").unlink(missing_ok=True)
        if folder.is_dir():
            folder.rmdir()
