"""Telling a service manager how we are: sd_notify(3), without its library."""

import os
import socket

__all__ = ["notify_ready"]


def notify_ready(status: str) -> None:
    """Say that we are ready to work, with a line for `systemctl status`; nothing when nobody asked."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where.startswith(("/", "@")):
        return
    line = status.replace("\n", " ")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(where.replace("@", "\0", 1))
            sock.send(f"READY=1\nSTATUS={line}\n".encode())
        except OSError:  # a manager that went away is no reason not to work
            return
