"""Connections to servers that are something else."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from relaytrap.probe.channel import ChannelError, StreamChannel, UdpSocket

ADDRESS = "127.0.43.5"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "HTTP 404"),
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "speaks no WebSocket"),
        (b"", "closed the connection"),
    ],
)
def test_websocket_that_is_none_is_one_sentence_and_its_connection_is_closed(answer: bytes, sentence: str) -> None:
    async def test() -> None:
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            if not answer:
                writer.close()
            await reader.read()
            ended.set()
            writer.close()

        server = await asyncio.start_server(serve, ADDRESS, 0)
        channel = StreamChannel("ws", ADDRESS, server.sockets[0].getsockname()[1], ADDRESS, lambda data: None)
        with pytest.raises(ChannelError, match=sentence):
            await channel.open()
        async with asyncio.timeout(2):
            await ended.wait()
        server.close()

    asyncio.run(test())


@pytest.mark.parametrize("make_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_socket_that_knows_one_peer_sends_to_it_on_either_event_loop(
    make_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def test() -> bytes:
        heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        peer = await UdpSocket.open(ADDRESS, 0, lambda data, source: heard.set_result(data))
        one = await UdpSocket.open(ADDRESS, 0, lambda data, source: None, only=(ADDRESS, peer.port))
        one.send(b"hello", ADDRESS, peer.port)
        async with asyncio.timeout(2):
            data = await heard
        one.close()
        peer.close()
        return data

    with asyncio.Runner(loop_factory=make_loop) as runner:
        assert runner.run(test()) == b"hello"
