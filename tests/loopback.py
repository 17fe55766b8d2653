"""Loopback addresses of a test worker's own, so that two workers may run servers on SIP's own port at the same time."""

import os
import socket

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def loopback(net: int, host: int) -> str:
    """An address of 127.0.0.0/8 that no other worker of this run is given."""
    return f"127.{10 + WORKER}.{net}.{host}"


def free_port(address: str = "127.0.0.1") -> int:
    """A port that nobody has there, for UDP and TCP."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as tcp, socket.socket(family, socket.SOCK_DGRAM) as udp:
        tcp.bind((address, 0))
        port = int(tcp.getsockname()[1])
        udp.bind((address, port))
        return port
