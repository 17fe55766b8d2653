"""Three servers that Kamailio cannot play: one that sends every datagram back, one that relays after four seconds, and
one that relays by WebSocket.

usage: odd_servers.py ECHO_ADDRESS DELAYED_ADDRESS WEBSOCKET_ADDRESS
"""

import asyncio
import re
import sys
from typing import cast

from relaytrap.probe.channel import StreamChannel

DELAY_S = 4.0


class Echo(asyncio.DatagramProtocol):
    """Sends back what it gets."""

    transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.transport.sendto(data, addr)


class Delayed(Echo):
    """A small stateless proxy: adds a Via, sends on by the Request-URI, brings answers back; requests wait."""

    def __init__(self, address: str) -> None:
        self.address = address

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data.startswith(b"SIP/2.0"):
            rest = re.sub(rb"Via: [^\r]*\r\n", b"", data, count=1)
            if back := re.search(rb"Via: SIP/2.0/UDP ([0-9.]+):(\d+)", rest):
                self.transport.sendto(rest, (back[1].decode(), int(back[2])))
            return
        goal = re.match(rb"\S+ sip:(?:[^@\s]*@)?([0-9.]+)(?::(\d+))?", data)
        if goal is None or goal[1].decode() == self.address:
            return
        via = f"Via: SIP/2.0/UDP {self.address}:5060;branch=z9hG4bK{abs(hash(data)):x}\r\n".encode()
        self.forward(data.replace(b"\r\n", b"\r\n" + via, 1), (goal[1].decode(), int(goal[2] or 5060)))

    def forward(self, data: bytes, place: tuple[str, int]) -> None:
        asyncio.get_running_loop().call_later(DELAY_S, self.transport.sendto, data, place)


class ByWebSocket(Delayed):
    """The same proxy; it forwards at once, over a WebSocket for each request."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.kept: list[object] = []

    def forward(self, data: bytes, place: tuple[str, int]) -> None:
        self.kept.append(asyncio.ensure_future(self.bring(data, place)))

    async def bring(self, data: bytes, place: tuple[str, int]) -> None:
        channel = StreamChannel("ws", *place, self.address, lambda answer: self.datagram_received(answer, place))
        self.kept.append(channel)
        await channel.open()
        channel.send(data)


async def main(echo: str, delayed: str, websocket: str) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Echo, local_addr=(echo, 5060))
    await loop.create_datagram_endpoint(lambda: Delayed(delayed), local_addr=(delayed, 5060))
    await loop.create_datagram_endpoint(lambda: ByWebSocket(websocket), local_addr=(websocket, 5060))
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
