"""Scanners' traffic for tests that stop and start what hears it."""

import re
import socket
import threading
import time

from tests.sensor.talk import request


class Traffic(threading.Thread):
    """Numbered requests, a hundred a second, until told to end. answered: Call-IDs that got an answer."""

    def __init__(self, sock: socket.socket, target: str, name: str) -> None:
        """sock: ours from now on. name: what the Call-IDs begin with."""
        super().__init__(daemon=True)
        self._sock, self._target, self._name = sock, target, name
        self.sent = 0
        self.answered: set[str] = set()
        self.ended = threading.Event()

    def run(self) -> None:
        with self._sock as sock:
            sock.setblocking(False)
            while not self.ended.wait(0.01):
                self.sent += 1
                text = request(call_id=f"{self._name}-{self.sent}", branch=f"z9hG4bK-{self._name}-{self.sent}")
                try:
                    sock.sendto(text, (self._target, 5060))
                except OSError:  # the port was closed when the one before arrived
                    continue
                self._hear(sock)

    def _hear(self, sock: socket.socket) -> None:
        while True:
            try:
                answer = sock.recv(65535)
            except OSError:
                return
            if found := re.search(rb"Call-ID: (\S+)", answer):
                self.answered.add(found[1].decode())

    def wait_for_more(self, count: int) -> None:
        """Wait until so many further requests were answered."""
        wanted, end = len(self.answered) + count, time.monotonic() + 60
        while len(self.answered) < wanted:
            assert time.monotonic() < end, f"{len(self.answered)} of {wanted} answered"
            time.sleep(0.05)

    def end(self) -> None:
        """Send no more."""
        self.ended.set()
        self.join()
