"""Requests that scanners send, at a steady rate from many loopback addresses, each with a number of its own."""

import select
import socket
import threading
import time
from collections.abc import Sequence
from typing import Final

from bench.sensor import make_request

from faults.account import NUMBER

__all__ = ["Traffic"]

SOURCES: Final = 64
TURN_S: Final = 0.005


class Traffic(threading.Thread):
    """Sends until stopped. sent: how many; answered: the numbers that an answer came back for."""

    def __init__(self, ports: Sequence[int], rate: float) -> None:
        super().__init__(name="traffic", daemon=True)
        self.sent = 0
        self.answered: set[int] = set()
        self._ports = tuple(ports)
        self._rate = rate
        self._ended = threading.Event()
        self._poll = select.epoll()
        self._socks: dict[int, tuple[socket.socket, bytes, int]] = {}
        for number in range(SOURCES):
            address = f"127.{100 + number}.7.1"
            sock = socket.socket(type=socket.SOCK_DGRAM)
            sock.bind((address, 0))
            sock.setblocking(False)
            self._poll.register(sock, select.EPOLLIN)
            self._socks[sock.fileno()] = (sock, address.encode(), sock.getsockname()[1])

    def run(self) -> None:
        """Send what is due, take what came, until stopped; then wait a second for late answers."""
        senders, begun = list(self._socks.values()), time.monotonic()
        while not self._ended.is_set():
            due = int((time.monotonic() - begun) * self._rate)
            while self.sent < due:
                sock, address, port = senders[self.sent % SOURCES]
                sock.sendto(
                    make_request(self.sent, address, port), ("127.0.0.1", self._ports[self.sent % len(self._ports)])
                )
                self.sent += 1
            self._take(TURN_S)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            self._take(0.1)

    def stop(self) -> None:
        """End, with the answers that are on their way."""
        self._ended.set()
        self.join()
        for sock, _, _ in self._socks.values():
            sock.close()

    def _take(self, seconds: float) -> None:
        for fd, _ in self._poll.poll(seconds, SOURCES):
            sock = self._socks[fd][0]
            try:
                while True:
                    if found := NUMBER.search(sock.recv(65535)):
                        self.answered.add(int(found[1], 16))
            except (BlockingIOError, ConnectionRefusedError):
                continue
