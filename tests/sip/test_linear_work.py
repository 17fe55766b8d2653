"""Work grows with the input, whatever the input: no pattern and no loop may be made to go over it again and again.

Counted in calls, which is the same on any machine; patterns work below that, so they also get inputs on which going
over them again and again would not end within the suite's time limit.
"""

from collections.abc import Callable
from functools import partial

import pytest

from relaytrap.sip import Request, parse_message, validate
from relaytrap.sip.address import read_addresses
from relaytrap.sip.build import build_response
from relaytrap.sip.digest import read_credentials
from relaytrap.sip.multipart import split_multipart
from relaytrap.sip.params import read_params
from relaytrap.sip.sdp import find_odd_line, read_sdp
from relaytrap.sip.stream import StreamParser
from relaytrap.sip.uri import read_uri
from relaytrap.sip.via import read_vias
from tests.counting import count_calls

UNITS = [
    b'"', b"\\", b'\\"', b"<", b">", b",", b";", b"=", b" ", b"\t", b"%", b"@", b":", b"[", b"a", b"-", b".", b"a-",
    b"a.", b'";', b';a="', b";a", b",<", b"<>,", b"\r", b"\n", b"\r\n", b"\r\n ", b" \r\n", b"a\n", b"a: b\r\n\r",
    b"\r\n;", b"1", b"Via: ;\r\n", b"l:1\r\n", b"SIP/2.0/UDP a,", b"sip:a@", b"\r\n--x\r\n", b"v=\r\n", b"m=\r\n",
    b"SIP/", b" SIP/2.0\n", b"x SIP/2.0\r\n", b"\x00", b"\x80", b'a="b",', b"a b ", b"\\\x00", b"?", b"&", b"/",
]  # fmt: skip


def read_whole(data: bytes) -> None:
    message = parse_message(data)
    _ = message.anomalies
    validate(message)
    if isinstance(message, Request):
        build_response(message, 400, b"x", to_tag=b"t", received=b"192.0.2.1", rport=1)


def read_stream(data: bytes) -> None:
    parser = StreamParser()
    for start in range(0, len(data), 100):
        parser.receive(data[start : start + 100])
    parser.close()


LEAVES: dict[str, Callable[[bytes], object]] = {
    "vias": lambda data: read_vias(data, []),
    "addresses": lambda data: read_addresses(data, []),
    "uri": read_uri,
    "credentials": lambda data: read_credentials(b"Digest " + data, []),
    "sdp": lambda data: (read_sdp(data).media, find_odd_line(data)),
    "multipart": lambda data: split_multipart(data, b"multipart/mixed;boundary=x"),
    "params": lambda data: read_params(data, 0, []),
}

WHOLES: dict[str, Callable[[bytes], object]] = {
    "message": read_whole,
    "headers": lambda data: read_whole(b"INVITE sip:a SIP/2.0\r\n" + data),
    "via": lambda data: read_whole(b"INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP " + data),
    "from": lambda data: read_whole(b"INVITE sip:a SIP/2.0\r\nFrom: <" + data),
    "request line": lambda data: read_whole(b"INVITE " + data + b" SIP/2.0\r\n\r\n"),
    "stream": read_stream,
}


@pytest.mark.parametrize("name", [*LEAVES, *WHOLES])
def test_twice_the_input_is_at_most_twice_the_work(name: str) -> None:
    read = LEAVES.get(name) or WHOLES[name]
    for unit in UNITS:
        once = count_calls(partial(read, unit * (3000 // len(unit))))
        twice = count_calls(partial(read, unit * (6000 // len(unit))))
        assert twice <= 2.2 * once + 400, unit


@pytest.mark.parametrize("name", LEAVES)
def test_patterns_end_on_long_inputs(name: str) -> None:
    for unit in UNITS:
        LEAVES[name](unit * (200_000 // len(unit)))


@pytest.mark.parametrize("name", WHOLES)
def test_messages_of_the_largest_datagram_end(name: str) -> None:
    for unit in UNITS:
        WHOLES[name](unit * (65_000 // len(unit)))
