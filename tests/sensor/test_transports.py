"""TLS, WebSocket and HTTP on real sockets: one port carries all of them, each is recorded for what it was."""

import socket
import ssl
from pathlib import Path

from wsproto import ConnectionType, WSConnection
from wsproto.events import Event, Request, TextMessage

from relaytrap.sensor.run import Running
from tests.sensor.live import port_of, received, recorded, with_sensor
from tests.sensor.talk import request

STREAM = ("tcp:127.0.0.1:0",)


def connect(running: Running, transport: str = "tcp") -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port_of(running, transport)), 10)
    sock.settimeout(10)
    return sock


def over_tls(sock: socket.socket) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(sock)


class WebSocket:
    """A client over any socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._wire = WSConnection(ConnectionType.CLIENT)
        self.accepted = self.exchange(Request(host="pbx", target="/ws", subprotocols=["sip"]))

    def exchange(self, event: Event) -> Event:
        """Send an event and wait for the next that comes back."""
        self._sock.sendall(self._wire.send(event))
        while True:
            self._wire.receive_data(self._sock.recv(65535))
            for heard in self._wire.events():
                return heard


def test_one_port_carries_sip_tls_websocket_and_secure_websocket(tmp_path: Path) -> None:
    def client(running: Running) -> list[bytes]:
        answers = []
        for wrap in (lambda sock: sock, over_tls):
            with wrap(connect(running)) as sock:
                sock.sendall(request())
                answers.append(sock.recv(65535))
            with wrap(connect(running)) as sock:
                answers.append(WebSocket(sock).exchange(TextMessage(request().decode())).data.encode())
        return answers

    answers = with_sensor(tmp_path, client, listen=STREAM)
    assert all(answer.startswith(b"SIP/2.0 200 OK\r\n") for answer in answers)
    messages = [each for each in received(tmp_path) if each.raw == request()]
    assert [each.transport for each in messages] == ["tcp", "ws", "tls", "wss"]
    assert [bool(each.notes) for each in messages] == [False, False, True, True]
    sent = [(each.transport, each.raw) for each in recorded(tmp_path) if each.raw.startswith(b"SIP/2.0 200")]
    assert sent == list(zip(["tcp", "ws", "tls", "wss"], answers, strict=True))


def test_places_for_several_transports_may_share_a_port(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def client(running: Running) -> tuple[str, ...]:
        with over_tls(connect(running, "tls")) as sock:
            sock.sendall(request())
            assert sock.recv(65535)
        return running.listening

    listen = tuple(f"{name}:127.0.0.1:{port}" for name in ("tcp", "tls", "ws"))
    assert with_sensor(tmp_path, client, listen=listen) == listen


def test_late_answers_of_a_call_come_inside_tls(tmp_path: Path) -> None:
    def client(running: Running) -> bytes:
        with over_tls(connect(running)) as sock:
            sock.sendall(request("INVITE", uri="sip:900442012345678@127.0.0.1"))
            heard = b""
            while b" 180 " not in heard:
                heard += sock.recv(65535)
            return heard

    assert b"SIP/2.0 100" in with_sensor(tmp_path, client, listen=STREAM, persona="cisco")


def test_certificate_stays_the_same_and_is_the_personas(tmp_path: Path) -> None:
    def client(running: Running) -> bytes:
        with over_tls(connect(running)) as sock:
            return sock.getpeercert(binary_form=True) or b""

    first, second = (with_sensor(tmp_path, client, listen=STREAM, persona="cisco") for _ in range(2))
    assert first == second
    assert b"IOS-Self-Signed-Certificate-" in first


def test_operators_own_certificate_is_shown(tmp_path: Path) -> None:
    def client(running: Running) -> bytes:
        with over_tls(connect(running)) as sock:
            return sock.getpeercert(binary_form=True) or b""

    made = with_sensor(tmp_path / "a", client, listen=STREAM)
    own = tmp_path / "a" / "persona-certificates" / "asterisk.pem"
    assert with_sensor(tmp_path / "b", client, listen=STREAM, tls_certificate=str(own)) == made


def test_silent_connections_broken_handshakes_and_http_are_observations(tmp_path: Path) -> None:
    def client(running: Running) -> bytes:
        with connect(running, "ws"):
            pass
        with connect(running, "ws") as sock:
            sock.sendall(b"\x16\x03\x01\x00\x05broke")
            sock.recv(100)
        with connect(running, "ws") as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return b"".join(iter(lambda: sock.recv(65535), b""))

    page = with_sensor(tmp_path, client, listen=("ws:127.0.0.1:0",))
    assert page.startswith(b"HTTP/1.1 404 Not Found\r\nServer: Asterisk/")
    noted = {each.raw: each.notes for each in received(tmp_path)}
    assert noted[b""] == ("connection that said nothing",)
    assert noted[b"\x16\x03\x01\x00\x05broke"][0].startswith("TLS handshake failed")
    assert noted[b"GET / HTTP/1.0\r\n\r\n"] == ("HTTP request",)
    assert page in [each.raw for each in recorded(tmp_path) if each.direction == "out"]
