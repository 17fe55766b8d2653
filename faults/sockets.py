"""Sockets and limits that several faults need."""

import resource
import socket

__all__ = ["allow_many_files", "free_port"]


def free_port(address: str) -> int:
    """A port that nobody has, for UDP and TCP; in the suite's own namespace it stays free."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.bind((address, 0))
        port: int = tcp.getsockname()[1]
        udp.bind((address, port))
        return port


def allow_many_files() -> None:
    """As many open files as the system lets us have: ten thousand connections have two ends."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
