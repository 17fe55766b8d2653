"""Two network namespaces joined by a cable, for tests that need interfaces of their own; as root only."""

import ctypes
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Side:
    """One end: a namespace with an interface `veth` that has both addresses."""

    namespace: str
    address: str
    address_6: str

    def command(self, *arguments: str) -> list[str]:
        """A command line that runs in this namespace."""
        return ["ip", "netns", "exec", self.namespace, *arguments]

    def run(self, *arguments: str) -> None:
        """Run a command here, and mind that it succeeds."""
        subprocess.run(self.command(*arguments), check=True, capture_output=True)

    def python(self, script: str, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start a Python script here."""
        return subprocess.Popen(self.command(sys.executable, "-c", script, *arguments), stdout=subprocess.PIPE)


@contextmanager
def cable(peer: Callable[[str], str], name: str) -> Iterator[tuple[Side, Side]]:
    """Two sides that reach each other; skips without root, removes everything at the end.

    name: short, and a test's own.
    """
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    ip = peer("ip")
    mark = f"{name}{os.getpid()}"
    sides = Side(f"{mark}a", "192.0.2.1", "2001:db8::1"), Side(f"{mark}b", "192.0.2.2", "2001:db8::2")
    try:
        for side in sides:
            subprocess.run([ip, "netns", "add", side.namespace], check=True, capture_output=True)
        here, there = sides
        made = ["link", "add", "veth", "type", "veth", "peer", "name", "veth", "netns", there.namespace]
        subprocess.run([ip, "-n", here.namespace, *made], check=True, capture_output=True)
        for side in sides:
            side.run("ip", "address", "add", f"{side.address}/24", "dev", "veth")
            side.run("ip", "address", "add", f"{side.address_6}/64", "dev", "veth", "nodad")
            side.run("ip", "link", "set", "lo", "up")
            side.run("ip", "link", "set", "veth", "up")
        yield sides
    finally:
        for side in sides:
            subprocess.run([ip, "netns", "delete", side.namespace], check=False, capture_output=True)


def udp_socket_of(process: int) -> socket.socket:
    """A UDP socket in the network of another process, which may have no way to ours; as root only."""
    made: list[socket.socket] = []

    def make() -> None:  # a thread of its own, which may move and is gone afterwards
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/proc/{process}/ns/net", "rb") as network:
            if libc.setns(network.fileno(), 0) != 0:
                return
        made.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))

    mover = threading.Thread(target=make)
    mover.start()
    mover.join()
    assert made, f"cannot enter the network of process {process}"
    return made[0]
