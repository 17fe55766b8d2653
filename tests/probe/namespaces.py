"""Network namespaces in a row: the tester's, a router that may lose or translate, the servers'.

Root alone can make them. Nothing leads out: two virtual cables, private addresses, names with a prefix of its own.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

TESTER, ROUTER_INSIDE, ROUTER, SERVERS = "10.71.1.2", "10.71.1.1", "203.0.113.1", "203.0.113.9"


@dataclass(frozen=True)
class Net:
    """Names of the three namespaces."""

    tester: str
    router: str
    servers: str

    def at(self, name: str, *command: str) -> list[str]:
        """A command as it runs in a namespace."""
        return ["ip", "netns", "exec", name, *command]

    def filter(self, name: str, rules: str) -> None:
        """Load nftables rules into a namespace."""
        subprocess.run(self.at(name, "nft", "-f", "-"), input=rules, text=True, check=True)


def need_namespaces() -> None:
    """Skip by name where there is no root or no program for it."""
    if os.geteuid():
        pytest.skip("network namespaces need root")
    if missing := [program for program in ("ip", "nft") if shutil.which(program) is None]:
        if os.environ.get("CI"):
            pytest.fail(f"{missing[0]} is not installed; CI must have every peer")
        pytest.skip(f"{missing[0]} is not installed")
    name = f"rtp-{os.getpid()}-try"
    try:
        ip("netns", "add", name)
        ip("netns", "exec", name, "nft", "add table inet try")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespace with rules of its own can be made here: {error.stderr.strip()}")
    finally:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@contextmanager
def three_in_a_row(servers: int = 1) -> Iterator[Net]:
    """The namespaces, joined and routed, with so many addresses for servers from SERVERS on; gone afterwards."""
    prefix = f"rtp-{os.getpid()}"
    net = Net(f"{prefix}-t", f"{prefix}-r", f"{prefix}-s")
    try:
        for name in (net.tester, net.router, net.servers):
            ip("netns", "add", name)
            ip("-n", name, "link", "set", "lo", "up")
        join(net.tester, f"{TESTER}/24", net.router, f"{ROUTER_INSIDE}/24")
        join(net.servers, f"{SERVERS}/24", net.router, f"{ROUTER}/24", more=servers - 1)
        ip("-n", net.tester, "route", "add", "default", "via", ROUTER_INSIDE)
        ip("-n", net.servers, "route", "add", "10.71.1.0/24", "via", ROUTER)
        subprocess.run(net.at(net.router, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"), check=True)
        yield net
    finally:
        for name in (net.tester, net.router, net.servers):
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def join(one: str, address: str, other: str, other_address: str, more: int = 0) -> None:
    """A cable between two namespaces; more: further addresses after the first one's."""
    cable, end = f"v{one[-1]}{os.getpid()}", f"w{one[-1]}{os.getpid()}"
    ip("link", "add", cable, "netns", one, "type", "veth", "peer", "name", end, "netns", other)
    ip("-n", one, "address", "add", address, "dev", cable)
    network, _, last = address.partition("/")[0].rpartition(".")
    for number in range(int(last) + 1, int(last) + 1 + more):
        ip("-n", one, "address", "add", f"{network}.{number}/24", "dev", cable)
    ip("-n", other, "address", "add", other_address, "dev", end)
    ip("-n", one, "link", "set", cable, "up")
    ip("-n", other, "link", "set", end, "up")


def ip(*words: str) -> None:
    """iproute2's command."""
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
