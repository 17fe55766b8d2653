"""Sends what the scene's own attackers say, from many addresses at once; run inside the scene.

usage: sender.py JOBS.json, a list of jobs:

source, port    the address and port to send from
transport       "udp", or "tcp" for a connection per destination that is closed at the end
items           [seconds after start, [address, port], bytes in base64], in order of time
patience_s      how long to go on listening after the last item

It answers as a caller must, and no more: ACK for every final answer to an INVITE, BYE a second after a call was
answered. It never repeats a request.
"""

import asyncio
import base64
import contextlib
import json
import re
import sys
from pathlib import Path
from typing import Any

from wire import HeaderList, join, split, value_of

Address = tuple[str, int]


class Caller:
    """Remembers the INVITEs it sent, and says what to send when one is answered."""

    def __init__(self) -> None:
        self.calls: dict[str, tuple[str, HeaderList]] = {}
        self.answered: set[str] = set()

    def remember(self, data: bytes) -> None:
        if data.startswith(b"INVITE "):
            start, headers, _ = split(data)
            self.calls[value_of(headers, "call-id")] = (start, headers)

    def replies(self, data: bytes) -> list[tuple[float, bytes]]:
        """(delay, bytes) to send back to the host that the call went to."""
        start, headers, _ = split(data)
        call_id = value_of(headers, "call-id")
        if not start.startswith("SIP/2.0") or not value_of(headers, "cseq").endswith("INVITE"):
            return []
        status = int(start.split()[1])
        if status < 200 or call_id not in self.calls:
            return []
        if status >= 300:
            return [(0, self._follow(call_id, "ACK", headers))]
        found = [(0.0, self._follow(call_id, "ACK", headers, "a"))]
        if call_id not in self.answered:
            self.answered.add(call_id)
            found.append((1.0, self._follow(call_id, "BYE", headers, "b")))
        return found

    def _follow(self, call_id: str, method: str, answer: HeaderList, branch: str = "") -> bytes:
        """ACK or BYE of a call; with `branch`, a transaction of its own along the recorded route (RFC 3261 12.2)."""
        start, invite = self.calls[call_id]
        target = start.split(" ")[1]
        headers = [(name, value) for name, value in invite if name.lower() in ("via", "max-forwards", "from")]
        if branch:
            contact = re.search(r"<([^>]+)>", value_of(answer, "contact"))
            target = contact[1] if contact else target
            headers = [(name, value.replace("branch=", f"branch=z9hG4bK{branch}", 1)) for name, value in headers]
            recorded = [value for name, value in answer if name.lower() == "record-route"]
            headers += [("Route", value) for value in reversed(recorded)]
        number = value_of(invite, "cseq").split()[0] if method == "ACK" else "2"
        headers += [("To", value_of(answer, "to")), ("Call-ID", call_id), ("CSeq", f"{number} {method}")]
        return join(f"{method} {target} SIP/2.0", headers, "")


class Udp(asyncio.DatagramProtocol):
    """One UDP socket of a job."""

    def __init__(self) -> None:
        self.caller = Caller()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def send(self, data: bytes, to: Address) -> None:
        self.caller.remember(data)
        self.transport.sendto(data, to)

    def datagram_received(self, data: bytes, source: Address) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ValueError, IndexError):  # junk was answered with something else than SIP
            for delay, reply in self.caller.replies(data):
                loop.call_later(delay, self.transport.sendto, reply, source)


async def send_udp(job: dict[str, Any]) -> None:
    """Send a job's datagrams at their times from one socket."""
    loop = asyncio.get_running_loop()
    transport, sender = await loop.create_datagram_endpoint(Udp, local_addr=(job["source"], job["port"]))
    begun = loop.time()
    for at, to, data in job["items"]:
        await asyncio.sleep(max(0.0, begun + at - loop.time()))
        sender.send(base64.b64decode(data), tuple(to))
    await asyncio.sleep(job["patience_s"])
    transport.close()


async def send_tcp(job: dict[str, Any]) -> None:
    """Send a job's messages at their times, over one connection to each destination."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    connections: dict[Address, tuple[asyncio.StreamWriter, asyncio.Task[None]]] = {}
    for at, to, data in job["items"]:
        await asyncio.sleep(max(0.0, begun + at - loop.time()))
        address = (to[0], to[1])
        if address not in connections:
            reader, writer = await asyncio.open_connection(*address, local_addr=(job["source"], 0))
            connections[address] = writer, loop.create_task(_drain(reader))
        writer = connections[address][0]
        with contextlib.suppress(ConnectionError):  # a honeypot may hang up on junk
            writer.write(base64.b64decode(data))
            await writer.drain()
    await asyncio.sleep(job["patience_s"])
    for writer, task in connections.values():
        task.cancel()
        writer.close()


async def _drain(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionError):
        while await reader.read(65536):
            pass


async def send_all(jobs: list[dict[str, Any]]) -> None:
    """Run every job, at its own pace, at the same time."""
    await asyncio.gather(*(send_tcp(job) if job["transport"] == "tcp" else send_udp(job) for job in jobs))


if __name__ == "__main__":
    asyncio.run(send_all(json.loads(Path(sys.argv[1]).read_text())))
