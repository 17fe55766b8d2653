"""What programs that stay tell the world beside their work: their log, and to a service manager that they are ready."""

import logging
import os
import socket
import sys
from typing import Final

__all__ = ["notify_ready", "start_log"]

PLAIN: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
PRIORITIES: Final = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
DEBUG_PRIORITY: Final = 7


def start_log(level: int = logging.WARNING) -> None:
    """Write what happens from a level on to standard error, in the form that whoever reads it wants."""
    handler = logging.StreamHandler()
    handler.setFormatter(_JournalFormatter() if _is_read_by_journal() else logging.Formatter(PLAIN))
    logging.basicConfig(level=level, handlers=[handler])


class _JournalFormatter(logging.Formatter):
    """The journal has times of its own, and takes each line's priority from its beginning (sd-daemon(3))."""

    def __init__(self) -> None:
        super().__init__("%(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        number = next((number for level, number in PRIORITIES if record.levelno >= level), DEBUG_PRIORITY)
        return f"<{number}>" + super().format(record).replace("\n", f"\n<{number}>")


def _is_read_by_journal() -> bool:
    """Whether standard error is what the service manager gave for the journal, and nobody redirected it since."""
    try:
        here = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{here.st_dev}:{here.st_ino}"


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
