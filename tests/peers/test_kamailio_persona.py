"""The Kamailio persona beside the real Kamailio: the same requests, the same answers but for what is made anew."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.peers.kamailio import running_kamailio
from tests.sensor.live import SensorProcess, udp_client
from tests.sensor.talk import request

pytestmark = pytest.mark.peer

# What the default configuration does with authentication on, without a database.
CONFIGURATION = """
disable_tcp=yes
listen=udp:127.0.0.1:{port}
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "sanity.so"
loadmodule "tmx.so"
loadmodule "auth.so"
request_route {{
    force_rport();
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("OPTIONS") && $rU == $null) {{ sl_send_reply("200", "Keepalive"); exit; }}
    if (!sanity_check("17895", "7")) exit;
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{ if (is_method("ACK")) exit; sl_send_reply("404", "Not here"); exit; }}
    if (is_method("ACK")) exit;
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "OK"); exit; }}
    if (is_method("REGISTER")) {{ www_challenge("127.0.0.1", "0"); exit; }}
    if (is_method("PUBLISH")) {{ sl_send_reply("404", "Not here"); exit; }}
    if (is_method("INVITE|MESSAGE")) {{ proxy_challenge("127.0.0.1", "0"); exit; }}
    sl_send_reply("404", "Not Found");
}}
"""

LONG = ("Subject: " + "x" * 200,)
CASES = {
    "options": request(extra=LONG),
    "options to the machine": request(uri="sip:127.0.0.1", extra=LONG),
    "register": request("REGISTER", uri="sip:127.0.0.1", extra=LONG),
    "invite": request("INVITE", extra=LONG),
    "subscribe": request("SUBSCRIBE", extra=LONG),
    "unknown method": request("FROBNICATE", extra=LONG),
    "in a dialog that never was": request("BYE", to_tag="nobody", extra=LONG),
    "cancel of nothing": request("CANCEL", extra=LONG),
    "ack": request("ACK", extra=LONG),
    "hops spent": request(extra=LONG).replace(b"Max-Forwards: 70", b"Max-Forwards: 0"),
    "odd spelling and order": request(extra=LONG)
    .replace(b"\r\nFrom:", b"\r\nf:")
    .replace(b"\r\nCall-ID", b"\r\nCALL-ID"),
    "no rport": request(via="SIP/2.0/UDP 10.1.1.1:5061;branch=z9hG4bK-n", extra=LONG),
    "rport first": request(via="SIP/2.0/UDP 10.1.1.1:5061;rport;branch=z9hG4bK-r", extra=LONG),
    "publish": request("PUBLISH", extra=LONG),
    "sent-by is the source": request(via="SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK-s", extra=LONG),
    "sent-by is the source, and rport": request(via="SIP/2.0/UDP 127.0.0.1;rport;branch=z9hG4bK-s", extra=LONG),
    "no blank behind a colon": request(extra=LONG).replace(b"Call-ID: ", b"Call-ID:").replace(b"Via: ", b"Via:"),
    "blanks around a colon": request(extra=LONG).replace(b"Call-ID: ", b"Call-ID  :\t"),
    "folded headers": request(extra=LONG).replace(b'To: "100" ', b'To: "100"\r\n  ').replace(b"CSeq: ", b"CSeq:\r\n "),
    "blanks at the end of To": request(extra=LONG).replace(b'To: "100" <sip:100@203.0.113.9>', b"To: <sip:1@h>  "),
    "empty To tag": request(extra=LONG).replace(b'To: "100" <sip:100@203.0.113.9>', b"To: <sip:1@h>;tag="),
    "unknown scheme": request("INVITE", uri="foo:bar", extra=LONG),
    "line without a colon": request(extra=("garbage", *LONG)),
    "header name with a blank": request(extra=("Us er: x", *LONG)),
    "Via of another version": request(via="SIP/3.0/UDP 10.1.1.1;branch=z9hG4bK-v", extra=LONG),
    "more than Content-Length says": request("MESSAGE", body=b"hello", extra=LONG).replace(b"Length: 5", b"Length: 2"),
    "two requests in one datagram": request(extra=LONG) + request(branch="z9hG4bK-2"),
    "line end behind the end": request(extra=LONG) + b"\r\n",
    "no empty line": request(extra=LONG)[:-2],
    "cut in a header": request(extra=LONG)[:-30],
    "junk": b"hello\r\n\r\n",
    "method of another CSeq": request(extra=LONG).replace(b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE"),
    "CSeq too large": request(extra=LONG).replace(b"CSeq: 1 ", b"CSeq: 99999999999 "),
    "CSeq that is no number": request(extra=LONG).replace(b"CSeq: 1 ", b"CSeq: x "),
    "body cut": request(extra=LONG).replace(b"Length: 0", b"Length: 70"),
    "Request-URI in brackets": request("INVITE", extra=LONG).replace(b" sip:100@203.0.113.9 ", b" <sip:100@a> "),
    "Request-URI with blanks": request(extra=LONG).replace(b" sip:100@203.0.113.9 ", b" sip:100@a; b "),
    "IPv6 without brackets": request("INVITE", extra=LONG).replace(b" sip:100@203.0.113.9 ", b" sip:2001:db8::1 "),
    "Content-Length below zero": request(extra=LONG).replace(b"Length: 0", b"Length: -7"),
    "two Call-IDs": request(extra=("Call-ID: 2", *LONG)),
    "quote without an end": request(extra=LONG).replace(b'To: "100"', b'To: "100'),
    "Via that is none": request(via="foo", extra=LONG),
    "Contact with gaps": request(extra=LONG).replace(b"7:5060>", b"7:5060>;;;,,"),
    "star for a Contact": request(extra=LONG).replace(b"<sip:100@198.51.100.7:5060>", b"*"),
    "comma in a name": request(extra=LONG).replace(b'From: "100"', b"From: a, b"),
    "blanks in brackets": request(extra=LONG).replace(b'To: "100" <sip', b"To: < sip"),
}
WEB = """
listen=tcp:127.0.0.1:{port}
tcp_accept_no_cl=yes
tcp_children=1
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "xhttp.so"
loadmodule "websocket.so"
request_route {{ exit; }}
event_route[xhttp:request] {{
    if ($hdr(Upgrade)=~"websocket" && $hdr(Connection)=~"Upgrade") {{ ws_handle_handshake(); exit; }}
    xhttp_reply("404", "Not Found", "", "");
}}
"""
WEB_CASES = {
    "WebSocket": b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: sip\r\n\r\n",
    "page": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
}
SILENT = {
    "cancel of nothing", "ack", "junk", "Request-URI with blanks", "Content-Length below zero", "two Call-IDs",
    "quote without an end", "Via that is none", "line without a colon", "header name with a blank",
    "Via of another version", "cut in a header",
}  # fmt: skip
MADE_ANEW = re.compile(
    rb"(?<=tag=)[0-9a-f]{32}[.-][0-9a-f]{8}|(?<=nonce=\")[^\"]*|(?<=realm=\")[^\"]*"
    rb"|(?<=Server: )kamailio \([^\r]*\)|(?<=rport=)\d+"
)


@pytest.fixture(scope="module")
def kamailio(peer: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a real one."""
    folder = tmp_path_factory.mktemp("kamailio")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with running_kamailio(peer("kamailio"), folder, CONFIGURATION.format(port=port)):
        for _ in range(100):
            if answer(port, CASES["options"]):
                break
            time.sleep(0.1)
        yield port


def web_answer(port: int, data: bytes) -> bytes:
    """The same over TCP, with the port that we ask from masked; waits until somebody listens."""
    for _ in range(100):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
                sock.sendall(data)
                said = sock.recv(65535).replace(b":%d" % sock.getsockname()[1], b":*")
                return MADE_ANEW.sub(b"*", said)
        except ConnectionRefusedError:
            time.sleep(0.1)
    raise AssertionError("nobody listens")


def answer(port: int, data: bytes) -> bytes:
    """What comes back within a moment; b"" for silence."""
    with udp_client() as sock:
        sock.settimeout(0.4)
        sock.sendto(data, ("127.0.0.1", port))
        try:
            return MADE_ANEW.sub(b"*", sock.recv(65535))
        except TimeoutError:
            return b""


@pytest.fixture(scope="module")
def persona(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with SensorProcess(tmp_path_factory.mktemp("persona"), "--persona", "kamailio") as sensor:
        yield sensor.ports["udp"]


@pytest.mark.parametrize("case", CASES)
def test_persona_answers_as_the_real_one_does(kamailio: int, persona: int, case: str) -> None:
    real = answer(kamailio, CASES[case])
    assert answer(persona, CASES[case]) == real
    assert (real == b"") is (case in SILENT)


def test_persona_speaks_http_as_the_real_one_does(peer: Callable[[str], str], tmp_path: Path) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    sensor = SensorProcess(tmp_path / "persona", "--persona", "kamailio", listen=("ws:127.0.0.1:0",))
    with running_kamailio(peer("kamailio"), tmp_path, WEB.format(port=port)), sensor:
        shown = re.search(r"ws:127\.0\.0\.1:(\d+)", sensor.line)
        assert shown
        for name, data in WEB_CASES.items():
            assert web_answer(int(shown[1]), data) == web_answer(port, data), name
