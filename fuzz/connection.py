"""Connections to the sensor. Octets in any cuts, as SIP, HTTP, WebSocket or a TLS handshake: nothing is raised, what is
held stays within its bound, and outside WebSocket and TLS every octet that came is in some piece, once and in order.
"""

import tempfile
from functools import cache
from pathlib import Path

from tests.capture.packets import request
from tests.capture.test_client_hello import real_hello
from tests.capture.test_websocket import ASK, frame
from tests.sensor.talk import persona_of

from relaytrap.sensor.carrier import Layer, Opening, SipLayer
from relaytrap.sensor.certificate import load_certificate
from relaytrap.sensor.tls import TlsLayer, TlsTerms
from relaytrap.sensor.web import HttpLayer

PIECES = (
    b"\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\0\x01", b"Content-Length: 9\r\n", b"\x81\x80",
    b"Upgrade: websocket\r\n", b"OPTIONS sip:a SIP/2.0\r\n", b"\x89\0", b"\x88\0", b"Transfer-Encoding: chunked\r\n",
)  # fmt: skip
HELD_MAX = 1 << 18


@cache
def terms() -> TlsTerms:
    """A certificate made once."""
    persona = persona_of("asterisk", "fuzz")
    with tempfile.TemporaryDirectory() as folder:
        return TlsTerms(load_certificate(Path(folder), persona.name, persona.certificate))


def opening(has_page: bool) -> Layer:
    """What a new connection is read with, as tcp.Connections makes it."""
    persona = persona_of("asterisk", "fuzz")

    def http() -> Layer:
        return HttpLayer("tcp", persona.http, b"192.0.2.7:4000", lambda: b"now", has_page=has_page, answers_ping=True)

    def tls() -> Layer:
        terms().refill()
        return TlsLayer(terms(), lambda: SipLayer("tls", answers_ping=True))

    return Opening("tcp", lambda: SipLayer("tcp", answers_ping=True), http, tls)


def seeds() -> list[bytes]:
    """Each protocol's beginning; the first octet tells how large the cuts are."""
    begun = (
        request(1) + b"\r\n\r\n" + request(2),
        ASK + frame(request(3), key=b"1234"),
        real_hello(),
        b"GET / HTTP/1.0\r\n\r\n",
    )
    return [bytes([cut]) + data for data in begun for cut in (0, 7, 200)]


def check(data: bytes) -> None:
    """Hold one input against the invariant."""
    size, data = (data[0] or len(data)) if data else 1, data[1:]
    layer = opening(size % 2 == 0)
    pieces = []
    for at in range(0, len(data), size):
        pieces += layer.receive(data[at : at + size])
        layer.take_out()
        assert layer.held <= HELD_MAX
        layer.wrap(b"SIP/2.0 200 OK\r\n\r\n")
    pieces += layer.close()
    came = [piece for piece in pieces if piece.kind != "said"]
    if all(piece.transport == "tcp" for piece in came) and data[:1] != b"\x16":
        assert b"".join(piece.raw for piece in came) == data
