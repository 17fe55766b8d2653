"""TLS without a socket: who knocks is told by the client hello, what is inside goes to the next layer.

The client hello and every handshake that fails are recorded as they came. What was encrypted is recorded in the clear:
the observation's transport says that the wire carried it inside TLS. Old versions and weak ciphers are taken as well,
since the tools that use them are whom we wait for. Handshakes are what a flood costs most, so a second has so many.
"""

import ssl
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from relaytrap.capture.client_hello import ClientHello, ClientHelloReader
from relaytrap.sensor.carrier import Layer, Piece

__all__ = ["TlsLayer", "TlsTerms"]

HANDSHAKES_PER_S: Final = 200
"""With an RSA key of 2,048 bits each takes 1 ms: a fifth of a core at most."""
SESSIONS_MAX: Final = 1024
"""At 25 KB each; the longest silent goes first."""
HANDSHAKE_MAX_BYTES: Final = 1 << 17
READ_BYTES: Final = 1 << 16


class TlsTerms:
    """What all TLS connections of a sensor share: the certificate, and what a flood may take of time and memory.

    certificate: PEM file with certificate and key. Raises OSError (ssl.SSLError is one) for a file that is none.
    """

    def __init__(self, certificate: Path) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate)
        self.context.set_ciphers("ALL:@SECLEVEL=0")
        self.context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        self.context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET | ssl.OP_NO_RENEGOTIATION
        self.context.options &= ~ssl.OP_NO_SSLv3
        self._left = HANDSHAKES_PER_S
        self._sessions: OrderedDict[TlsLayer, None] = OrderedDict()

    def may_shake(self) -> bool:
        """Whether one more handshake fits into this second."""
        self._left -= 1
        return self._left >= 0

    def refill(self) -> None:
        """A second has passed."""
        self._left = HANDSHAKES_PER_S

    def heard(self, session: "TlsLayer") -> None:
        """A session begins or says something; when there are too many, the longest silent one ends."""
        self._sessions[session] = None
        self._sessions.move_to_end(session)
        if len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)[0].end()

    def gone(self, session: "TlsLayer") -> None:
        """A session has ended."""
        self._sessions.pop(session, None)


class TlsLayer:
    """The server's side of one TLS connection. inner: makes the layer for what is inside."""

    def __init__(self, terms: TlsTerms, inner: Callable[[], Layer]) -> None:
        self.is_over = False
        self._terms = terms
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._inner_of = inner
        self._inner: Layer | None = None
        self._shaking = bytearray()
        self._hello = ClientHelloReader()
        self._notes: tuple[str, ...] = ()

    @property
    def held(self) -> int:
        return self._incoming.pending + len(self._shaking) + (self._inner.held if self._inner else 0)

    def receive(self, data: bytes) -> list[Piece]:
        if self.is_over:
            return [Piece(data, "tcp", "other", ("behind the end of TLS",))]
        if self._tls is not None:
            self._terms.heard(self)
        if self._inner is None:
            return self._shake(data)
        self._incoming.write(data)
        return self._read()

    def take_out(self) -> bytes:
        return self._outgoing.read()

    def wrap(self, data: bytes) -> bytes:
        if self._inner is None or self._tls is None or self.is_over:
            return b""
        try:
            self._tls.write(self._inner.wrap(data))
        except ssl.SSLError:  # a session that is broken, or waits for something of the peer's
            self.is_over = True
            return b""
        return self._outgoing.read()

    def end(self) -> None:
        """Make room for another session; the connection is ended when somebody looks."""
        self.is_over = True
        self._tls = None

    def close(self) -> list[Piece]:
        self._terms.gone(self)
        pieces = self._named(self._inner.close()) if self._inner else []
        if self._shaking:
            pieces += self._unread("TLS handshake cut")
        return pieces

    # The handshake

    def _shake(self, data: bytes) -> list[Piece]:
        self._shaking += data
        if self._tls is not None:
            self._incoming.write(data)
            return self._go_on()
        try:
            hello = self._hello.read(self._shaking)
        except ValueError:  # OpenSSL may know better; if not, it says what a server says
            hello = None
        else:
            if hello is None and len(self._shaking) <= HANDSHAKE_MAX_BYTES:
                return []
        pieces = [self._known(hello)] if hello else []
        if not self._terms.may_shake():
            return [*pieces, *self._give_up("TLS handshake refused: too many in this second")]
        self._tls = self._terms.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._terms.heard(self)
        self._incoming.write((pieces[0].raw if pieces else b"") + self._shaking)
        return pieces + self._go_on()

    def _known(self, hello: ClientHello) -> Piece:
        raw = bytes(self._shaking[: hello.size])
        del self._shaking[: hello.size]
        self._notes = (f"JA3 {hello.ja3}", f"JA4 {hello.ja4}")
        return Piece(raw, "tcp", "other", ("TLS client hello", *self._notes))

    def _go_on(self) -> list[Piece]:
        assert self._tls
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            too_much = len(self._shaking) > HANDSHAKE_MAX_BYTES
            return self._give_up("TLS handshake too long") if too_much else []
        except ssl.SSLError as error:
            return self._give_up(f"TLS handshake failed: {_reason(error)}")
        self._shaking.clear()
        self._inner = self._inner_of()
        return self._read()

    def _give_up(self, note: str) -> list[Piece]:
        """End it; what the peer sent and nobody could read is recorded as it came."""
        self.is_over = True
        return self._unread(note, *self._notes)

    def _unread(self, *notes: str) -> list[Piece]:
        raw = bytes(self._shaking)
        self._shaking.clear()
        return [Piece(raw, "tcp", "other", notes)]

    # What is inside

    def _read(self) -> list[Piece]:
        assert self._tls
        assert self._inner
        pieces: list[Piece] = []
        try:
            while clear := self._tls.read(READ_BYTES):
                pieces += self._inner.receive(clear)
                if said := self._inner.take_out():
                    self._tls.write(said)
                self.is_over = self._inner.is_over
        except ssl.SSLWantReadError:
            return self._named(pieces)
        except ssl.SSLError as error:  # the end that TLS announces, or a record that is none
            if not isinstance(error, ssl.SSLZeroReturnError):
                pieces.append(Piece(b"", "tls", "other", (f"TLS failed: {_reason(error)}",)))
        self.is_over = True
        with suppress(ssl.SSLError):  # our own goodbye; whether the peer says his, nobody waits for
            self._tls.unwrap()
        return self._named(pieces)

    def _named(self, pieces: list[Piece]) -> list[Piece]:
        """With the client's fingerprints at everything that it said."""
        return [piece if piece.kind == "said" else piece._replace(notes=piece.notes + self._notes) for piece in pieces]


def _reason(error: ssl.SSLError) -> str:
    """OpenSSL's own word for it; nothing of the peer's is in there."""
    return (error.reason or "unknown").lower().replace("_", " ")
