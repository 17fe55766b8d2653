"""HEP over TCP and TLS: connections, their limits, and the packets in their streams.

All of this runs in the door's event loop. A connection stops reading while the store has no room, so that the sender's
buffer holds what ours cannot.
"""

import asyncio
import logging
import socket
import ssl
import traceback
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, cast

from relaytrap.capture.hep import HEP3_MAGIC, hep3_length
from relaytrap.hub.hep.places import Place, Taker
from relaytrap.hub.hep.reception import NOT_HEP

__all__ = ["CUT_CONNECTION", "NO_TLS", "Connection", "StreamPlace"]

log = logging.getLogger(__name__)

CONNECTIONS_MAX: Final = 512
HANDSHAKE_S: Final = 10.0
CUT_CONNECTION: Final = "connection closed within a packet"
NO_TLS: Final = "TLS handshake that failed"


class StreamPlace:
    """The connections of one TCP or TLS socket. has_room: whether what a connection brings can be taken now."""

    def __init__(
        self,
        place: Place,
        sock: socket.socket,
        take: Taker,
        has_room: Callable[[], bool],
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.place = place
        self.take = take
        self.has_room = has_room
        self.open: OrderedDict[Connection, None] = OrderedDict()
        self._sock = sock
        self._context = context
        self._server: asyncio.Server | None = None
        self._handshakes: dict[asyncio.Task[None], None] = {}

    async def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to accept."""
        make = (lambda: Connection(self)) if self._context is None else (lambda: Greeting(self))
        self._server = await loop.create_server(make, sock=self._sock)

    def secure(self, transport: asyncio.Transport) -> None:
        """Begin a handshake on a new connection; the oldest ones give way when there are too many."""
        while len(self._handshakes) >= CONNECTIONS_MAX:
            oldest = next(iter(self._handshakes))
            oldest.cancel()
            del self._handshakes[oldest]
        task = asyncio.ensure_future(self._secure(transport))
        self._handshakes[task] = None
        task.add_done_callback(lambda done: self._handshakes.pop(done, None))

    async def _secure(self, transport: asyncio.Transport) -> None:
        # asyncio's own TLS server would not tell of a handshake that failed, and an agent that cannot speak to us is
        # what an operator looks for.
        connection, loop = Connection(self), asyncio.get_running_loop()
        assert self._context is not None
        try:
            secured = await loop.start_tls(
                transport, connection, self._context, server_side=True, ssl_handshake_timeout=HANDSHAKE_S
            )
        except OSError as error:  # ssl.SSLError and a handshake that took too long are of its kind
            self.place.refused[NO_TLS] += 1
            log.debug("TLS handshake failed: place=%s reason=%s", self.place.listening, error)
            transport.abort()
            # Each holds the other, and with it 300 kB of asyncio's buffers: a hub looks for such cycles seldom.
            traceback.clear_frames(error.__traceback__)
        except asyncio.CancelledError:
            transport.abort()
            raise
        else:
            if secured is not None:
                connection.connection_made(secured)

    def stop(self) -> None:
        """Close the socket and every connection."""
        if self._server is not None:
            self._server.close()
        for handshake in list(self._handshakes):
            handshake.cancel()
        for connection in list(self.open):
            connection.close()

    def admit(self, connection: "Connection") -> None:
        """Take a new connection in; beyond the limit the one that was silent longest goes."""
        self.open[connection] = None
        if len(self.open) > CONNECTIONS_MAX:
            oldest = next(iter(self.open))
            self.forget(oldest)
            oldest.abort()
        self.place.connections = len(self.open)

    def heard(self, connection: "Connection") -> None:
        """A connection brought something."""
        if connection in self.open:
            self.open.move_to_end(connection)

    def forget(self, connection: "Connection") -> None:
        """A connection is gone."""
        self.open.pop(connection, None)
        self.place.connections = len(self.open)

    def resume(self) -> None:
        """There is room again: go on where connections were stopped."""
        for connection in list(self.open):
            connection.resume()


class Greeting(asyncio.Protocol):
    """A connection before its TLS handshake."""

    def __init__(self, home: StreamPlace) -> None:
        self._home = home

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        made = cast(asyncio.Transport, transport)
        made.pause_reading()  # nothing may be read before the handshake does it
        self._home.secure(made)


class Connection(asyncio.Protocol):
    """One sender's stream: HEP3 packets one behind the other. What is none ends the connection."""

    def __init__(self, home: StreamPlace) -> None:
        self._home = home
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._is_paused = False
        self._is_over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._home.admit(self)
        if self._is_over:  # what came right behind the handshake was no HEP
            self.close()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._home.heard(self)
        if not self._is_over:
            self._take()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._buffer:
            self._home.place.refused[CUT_CONNECTION] += 1
        self._home.forget(self)

    def close(self) -> None:
        """End this connection."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End it at once, whatever the other side does."""
        if self._transport is not None:
            self._transport.abort()

    def resume(self) -> None:
        """Go on reading after a pause."""
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
            self._take()

    def _take(self) -> None:
        """Hand on the whole packets that are here."""
        place, buffer, at = self._home.place, self._buffer, 0
        while len(buffer) - at >= 6:
            if not self._home.has_room():
                self._pause()
                break
            length = hep3_length(bytes(buffer[at : at + 6]))
            if length < 6:
                self._give_up()
                return
            if len(buffer) - at < length:
                break
            place.packets += 1
            self._home.take(bytes(buffer[at : at + length]), place)
            at += length
        del buffer[:at]
        if not HEP3_MAGIC.startswith(bytes(buffer[:4])):
            self._give_up()

    def _pause(self) -> None:
        if self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _give_up(self) -> None:
        self._home.place.refused[NOT_HEP] += 1
        self._is_over = True
        self._buffer.clear()
        self.close()
