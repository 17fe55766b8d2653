"""Process groups that tests start, and their end."""

import os
import signal
import subprocess

__all__ = ["end_groups"]

PATIENCE_S = 5.0


def end_groups(*leaders: subprocess.Popen[bytes]) -> None:
    """Ask groups to end, all at once, and kill those that do not: Kamailio now and then waits for itself for ever."""
    for process in leaders:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
    for process in leaders:
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
