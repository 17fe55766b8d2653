"""Proofs of ownership, each with the real thing on loopback."""

import asyncio
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import dns.message
import dns.rdatatype
import dns.rrset
import pytest

from relaytrap.probe.ownership import FILE_PATH, Claim, ownership_token, prove_ownership
from relaytrap.probe.target import Endpoint, Target

from ..loopback import loopback

TOKEN = ownership_token(b"k" * 32, "pbx.example")
HERE = loopback(41, 1)


def claim(asked_from: str = "192.0.2.9", *, port: int = 9, name_server: tuple[str, int] = ("127.0.41.9", 9)) -> Claim:
    target = Target("pbx.example", "pbx.example", (Endpoint("udp", HERE, port),))
    return Claim(target, asked_from, "127.0.0.1", TOKEN, name_server, timeout_s=0.5)


def prove(one: Claim) -> str:
    return asyncio.run(prove_ownership(one, private_allowed=True))


@contextmanager
def answering(address: str, answer: Callable[[bytes], bytes]) -> Iterator[int]:
    """A UDP server that answers each datagram with what `answer(datagram)` gives."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.bind((address, 0))
        way.settimeout(10)

        def serve() -> None:
            try:
                while True:
                    data, source = way.recvfrom(65535)
                    way.sendto(answer(data), source)
            except OSError:
                return

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield way.getsockname()[1]


def test_token_belongs_to_one_target_and_one_installation() -> None:
    assert ownership_token(b"k", "a.example") == ownership_token(b"k", "A.example")
    assert ownership_token(b"k", "a.example") != ownership_token(b"k", "b.example")
    assert ownership_token(b"k", "a.example") != ownership_token(b"x", "a.example")


def test_request_from_the_servers_own_address_proves_it() -> None:
    assert "own address" in prove(claim(HERE))


def test_without_any_proof_nothing_is_proved() -> None:
    assert prove(claim()) == ""


def test_private_target_is_never_proved_on_the_page() -> None:
    assert asyncio.run(prove_ownership(claim(HERE))) == ""


def options_answer(token: str, *, call_id: bytes = b"") -> Callable[[bytes], bytes]:
    def answer(data: bytes) -> bytes:
        asked = next(line for line in data.split(b"\r\n") if line.startswith(b"Call-ID: "))
        kept = b"Call-ID: " + call_id if call_id else asked
        return b"SIP/2.0 200 OK\r\n" + kept + b"\r\nServer: " + token.encode() + b"\r\n\r\n"

    return answer


def test_options_answer_that_carries_the_token_proves_it() -> None:
    with answering(HERE, options_answer(TOKEN)) as port:
        assert "OPTIONS" in prove(claim(port=port))


def test_options_answer_with_another_token_proves_nothing() -> None:
    other = ownership_token(b"k" * 32, "other.example")
    with answering(HERE, options_answer(other)) as port:
        assert prove(claim(port=port)) == ""


def test_options_answer_from_who_never_saw_the_request_proves_nothing() -> None:
    guess = hashlib.sha256(TOKEN.encode()).hexdigest()[:16].encode()
    with answering(HERE, options_answer(TOKEN, call_id=guess)) as port:
        assert prove(claim(port=port)) == ""


def test_proof_for_one_address_is_none_for_the_others_of_a_name() -> None:
    with answering(HERE, options_answer(TOKEN)) as port:
        mine, foreign = Endpoint("udp", HERE, port), Endpoint("tcp", "127.0.41.2", 5060)
        both = replace(claim(HERE, port=port), target=Target("pbx.example", "pbx.example", (mine, foreign)))
        assert prove(both) == ""


def zone(text: str, reverse: str = "pbx.example.") -> Callable[[bytes], bytes]:
    """A name server that gives one text to every TXT question and one name to every PTR question; "" for none."""

    def answer(data: bytes) -> bytes:
        query = dns.message.from_wire(data)
        response = dns.message.make_response(query)
        asked = query.question[0]
        given = {dns.rdatatype.TXT: f'"{text}"', dns.rdatatype.PTR: reverse}.get(asked.rdtype, "")
        if given:
            response.answer.append(dns.rrset.from_text(asked.name, 60, "IN", asked.rdtype, given))
        return response.to_wire()

    return answer


@pytest.mark.parametrize("reverse", ["pbx.example.", "sip1.PBX.example."])
def test_txt_record_with_the_token_proves_it_when_the_reverse_name_agrees(reverse: str) -> None:
    with answering("127.0.41.9", zone(TOKEN, reverse)) as port:
        assert "TXT" in prove(claim(name_server=("127.0.41.9", port)))


@pytest.mark.parametrize("reverse", ["victim.example.", "notpbx.example.", ""])
def test_name_that_somebody_points_at_anothers_server_proves_nothing(reverse: str) -> None:
    with answering("127.0.41.9", zone(TOKEN, reverse)) as port:
        assert prove(claim(name_server=("127.0.41.9", port))) == ""


def test_txt_record_with_another_text_proves_nothing() -> None:
    with answering("127.0.41.9", zone("v=spf1 -all")) as port:
        assert prove(claim(name_server=("127.0.41.9", port))) == ""


@contextmanager
def giving(status: int, body: str, *, host: str = "") -> Iterator[None]:
    """A web server with the file, for who asks for this host; "" for any."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.path == FILE_PATH and host in ("", self.headers["Host"])
            self.send_response(status if known else 404)
            self.end_headers()
            self.wfile.write(body.encode() + b"\n")

        def log_message(self, *_: object) -> None:
            return

    try:
        server = HTTPServer((HERE, 80), Handler)
    except PermissionError:
        pytest.skip("port 80 needs root")
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "body", "proved"), [(200, TOKEN, True), (200, "x", False), (302, TOKEN, False)])
def test_file_proves_it_only_when_given_out_plainly(status: int, body: str, proved: bool) -> None:
    with giving(status, body):
        assert ("file" in prove(claim())) is proved


@pytest.mark.parametrize(
    ("host", "proved"), [("pbx.example", False), (HERE, True)], ids=["of-a-name", "of-the-address"]
)
def test_file_of_a_name_on_a_web_server_that_serves_many_proves_nothing(host: str, proved: bool) -> None:
    with giving(200, TOKEN, host=host):
        assert ("file" in prove(claim())) is proved
