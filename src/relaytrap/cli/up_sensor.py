"""The sensor that `relaytrap up` runs as its child: started, watched, and started again when it ends by itself."""

import ctypes
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from relaytrap import clock

__all__ = ["WatchedSensor"]

STOP_TIMEOUT_S: Final = 10.0
FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 60.0
WELL_AFTER_S: Final = 60.0
"""A sensor that ran so long had not failed to start: the next wait is short again."""
PR_SET_PDEATHSIG: Final = 1


class WatchedSensor:
    """A context in which the sensor runs. say: told, for people, each time that it ended by itself."""

    def __init__(self, command_line: Sequence[str], environ: Mapping[str, str], say: Callable[[str], None]) -> None:
        self._command_line = command_line
        self._environ = environ
        self._say = say
        self._stopping = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._guard = threading.Lock()
        # The kernel ends the child with the thread that started it, so one thread starts all of them and stays.
        self._thread = threading.Thread(target=self._watch, name="sensor", daemon=True)

    def __enter__(self) -> "WatchedSensor":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        with self._guard:
            child = self._child
        if child is not None:
            child.terminate()
            self._thread.join(STOP_TIMEOUT_S)
            if self._thread.is_alive():
                child.kill()
        self._thread.join()

    def _watch(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._stopping.is_set():
            started = clock.monotonic()
            status = self._run()
            if self._stopping.is_set():
                return
            wait_s = FIRST_WAIT_S if clock.monotonic() - started > WELL_AFTER_S else wait_s
            self._say(f"the sensor ended {_how(status)}; it starts again in {wait_s:g} s")
            self._stopping.wait(wait_s)
            wait_s = min(LONGEST_WAIT_S, wait_s * 2)

    def _run(self) -> int:
        """Run it until it ends; its exit status."""
        with self._guard:
            if self._stopping.is_set():
                return 0
            # In a group of its own: a terminal's Ctrl-C is for us, who end it, and would else look as if it had failed.
            self._child = subprocess.Popen(
                self._command_line,
                stdin=subprocess.DEVNULL,
                env=dict(self._environ),
                process_group=0,
                preexec_fn=_end_with_parent,
            )
        return self._child.wait()


def _how(status: int) -> str:
    return f"by signal {-status}" if status < 0 else f"with status {status}"


def _end_with_parent() -> None:
    """Ask the kernel to end this child when its parent dies, also by SIGKILL (Linux)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
