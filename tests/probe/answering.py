"""A UDP server for tests: answers each request with what a function says, and remembers what it was asked."""

import functools
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from relaytrap.probe.plan import Plan, Timing

QUICK = Timing(resend=(0.2, 0.4), settle=0.2, cancelled=0.8, stray=1.5, pace=0.001)


def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whole tests of this process wait no longer than a server on loopback needs."""
    monkeypatch.setattr("relaytrap.probe.conduct.Plan", functools.partial(Plan, timing=QUICK))


class Answering:
    """A running server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[bytes] = []

    def calls(self, method: str) -> set[bytes]:
        """Call-IDs of the requests of one method."""
        mine = [request for request in self.requests if request.startswith(method.encode() + b" ")]
        return {found[1] for request in mine if (found := re.search(rb"\r\nCall-ID: ([^\r]+)", request))}


@contextmanager
def answering_server(address: str, answer: Callable[[bytes], bytes]) -> Iterator[Answering]:
    """Serves while the block runs, in a thread of its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.bind((address, 0))
        way.settimeout(0.1)
        server = Answering(way.getsockname()[1])
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    data, source = way.recvfrom(65535)
                except TimeoutError:
                    continue
                server.requests.append(data)
                if made := answer(data):
                    way.sendto(made, source)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server
        finally:
            ended.set()
            thread.join(10)


def reply(request: bytes, status: str, *more: str) -> bytes:
    """The answer to a request, its own fields copied."""
    copied = [line for line in request.split(b"\r\n") if re.match(rb"(?:Via|From|To|Call-ID|CSeq): ", line)]
    lines = [f"SIP/2.0 {status}".encode(), *copied, *(line.encode() for line in more), b"Content-Length: 0"]
    return b"\r\n".join(lines) + b"\r\n\r\n"
