"""TLS as a layer, with Python's own client joined to it: what it carries, who knocks, what fails."""

import ssl
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sensor import tls as tls_module
from relaytrap.sensor.carrier import Piece, SipLayer
from relaytrap.sensor.certificate import load_certificate
from relaytrap.sensor.persona import Certificate
from relaytrap.sensor.tls import TlsLayer, TlsTerms
from tests.sensor.talk import request


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return load_certificate(tmp_path_factory.mktemp("tls"), "t", Certificate(subject="CN=pbx", key="ec"))


@pytest.fixture
def terms(certificate: Path) -> TlsTerms:
    return TlsTerms(certificate)


class Client:
    """A TLS client joined to a layer; `pieces` is what the sensor took."""

    def __init__(self, terms: TlsTerms, **limits: ssl.TLSVersion) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        for name, value in limits.items():
            setattr(context, name, value)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._in, self._out)
        self.server = TlsLayer(terms, lambda: SipLayer("tls", answers_ping=True))
        self.pieces: list[Piece] = []

    def shake(self, cut: int = 1 << 16) -> None:
        for _ in range(4):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                pass
            self.exchange(cut)

    def exchange(self, cut: int = 1 << 16) -> None:
        data = self._out.read()
        for at in range(0, len(data), cut):
            self.pieces += self.server.receive(data[at : at + cut])
        self._in.write(self.server.take_out())

    def say(self, data: bytes) -> None:
        self.tls.write(data)
        self.exchange()

    def hear(self, octets: bytes) -> bytes:
        self._in.write(octets)
        return self.tls.read()


@pytest.mark.parametrize("cut", [1, 100, 1 << 16])
def test_what_is_inside_comes_out_in_the_clear_with_the_clients_fingerprint(terms: TlsTerms, cut: int) -> None:
    client = Client(terms)
    client.shake(cut)
    client.say(request())
    hello, message = client.pieces
    assert (message.raw, message.transport, message.kind) == (request(), "tls", "message")
    assert [note[:4] for note in message.notes] == ["JA3 ", "JA4 "]
    assert hello.notes == ("TLS client hello", *message.notes)
    assert (hello.transport, hello.raw[:2]) == ("tcp", b"\x16\x03")
    assert client.hear(client.server.wrap(b"SIP/2.0 200 OK\r\n\r\n")) == b"SIP/2.0 200 OK\r\n\r\n"


def test_keepalive_inside_is_answered_inside(terms: TlsTerms) -> None:
    client = Client(terms)
    client.shake()
    client.say(b"\r\n\r\n")
    assert client.hear(b"") == b"\r\n"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1 is deprecated")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_old_tools_are_let_in(terms: TlsTerms, version: ssl.TLSVersion) -> None:
    client = Client(terms, minimum_version=version, maximum_version=version)
    client.shake()
    client.say(request())
    assert client.pieces[-1].raw == request()


def test_goodbye_ends_the_connection(terms: TlsTerms) -> None:
    client = Client(terms)
    client.shake()
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    client.exchange()
    assert client.server.is_over
    client.tls.unwrap()


def test_client_that_refuses_the_certificate_is_recorded_with_its_alert(terms: TlsTerms) -> None:
    client = Client(terms, minimum_version=ssl.TLSVersion.TLSv1_2, maximum_version=ssl.TLSVersion.TLSv1_2)
    client.tls.context.verify_mode = ssl.CERT_NONE
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    client.exchange()
    client.pieces += client.server.receive(alert := b"\x15\x03\x03\x00\x02\x02\x30")
    assert client.pieces[-1].raw == alert
    assert client.pieces[-1].notes[0].startswith("TLS handshake failed: ")
    assert client.server.is_over


def test_handshake_that_stops_half_way_is_kept_on_close(terms: TlsTerms) -> None:
    server = TlsLayer(terms, lambda: SipLayer("tls", answers_ping=False))
    server.receive(b"\x16\x03\x01\x02")
    assert server.held == 4
    assert server.close() == [Piece(b"\x16\x03\x01\x02", "tcp", "other", ("TLS handshake cut",))]


def test_handshakes_beyond_a_seconds_share_are_recorded_and_refused(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_module, "HANDSHAKES_PER_S", 1)
    terms = TlsTerms(certificate)
    first, second = Client(terms), Client(terms)
    first.shake()
    second.shake()
    assert [piece.notes[0] for piece in second.pieces] == [
        "TLS client hello",
        "TLS handshake refused: too many in this second",
    ]
    assert second.server.is_over
    terms.refill()
    third = Client(terms)
    third.shake()
    assert not third.server.is_over


def test_longest_silent_session_makes_room(terms: TlsTerms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls_module, "SESSIONS_MAX", 2)
    first, second, third = (Client(terms) for _ in range(3))
    first.shake()
    second.shake()
    first.say(request())
    third.shake()
    assert [client.server.is_over for client in (first, second, third)] == [False, True, False]
    third.server.close()
    fourth = Client(terms)
    fourth.shake()
    assert not first.server.is_over


@given(st.binary(max_size=300), st.integers(1, 300))
def test_octets_that_are_no_handshake_are_all_kept(data: bytes, cut: int) -> None:
    server = TlsLayer(TERMS, lambda: SipLayer("tls", answers_ping=False))
    octets = b"\x16\x03" + data
    pieces = [piece for at in range(0, len(octets), cut) for piece in server.receive(octets[at : at + cut])]
    server.take_out()
    pieces += server.close()
    assert b"".join(piece.raw for piece in pieces) == octets


@pytest.fixture(scope="module", autouse=True)
def _shared_terms(certificate: Path) -> None:
    global TERMS
    TERMS = TlsTerms(certificate)
    TERMS.may_shake = lambda: True  # type: ignore[method-assign]


TERMS: TlsTerms
