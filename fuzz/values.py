"""Values of header fields and bodies. The first octet chooses a reader. Each returns, or raises SipSyntaxError with an
offset inside the input; what it read answers every question about it.
"""

from collections.abc import Callable
from typing import Any

from relaytrap.sip import SipSyntaxError, parse_address, parse_credentials, parse_uri, parse_via
from relaytrap.sip.sdp import find_odd_line, read_sdp
from relaytrap.sip.uri import unescape

PIECES = (
    b"sip:", b"sips:", b"tel:", b"@", b":", b";", b"=", b"?", b"&", b"%", b"%41", b"[", b"]", b"::", b'"', b"\\", b"<",
    b">", b",", b" ", b"\t", b"\r\n ", b"\xff", b"SIP/2.0/UDP ", b"branch=z9hG4bK", b"received=", b"rport", b"lr",
    b"Digest ", b'nonce="',
    b"qop=auth", b"v=0\r\n", b"o=- 1 1 IN IP4 a\r\n", b"c=IN IP6 ::1\r\n", b"m=audio 0 RTP/AVP 0",
)  # fmt: skip


def uri(value: bytes) -> None:
    """parse_uri, with parameters, escapes and user text."""
    read = parse_uri(value)
    read.param(b"transport"), read.user_text, unescape(value)


def address(value: bytes) -> None:
    """parse_address with its tag."""
    read = parse_address(value)
    read.tag, read.param(b"expires")


def via(value: bytes) -> None:
    """parse_via: every hop with everything it says."""
    for hop in parse_via(value):
        hop.branch, hop.received, hop.rport, hop.param(b"i")


def credentials(value: bytes) -> None:
    """parse_credentials, and the line for password crackers."""
    read = parse_credentials(value)
    read.get(b"nonce"), read.john_line(b"INVITE", server=b"a", client=b"b")


def sdp(value: bytes) -> None:
    """read_sdp, which never raises, with what the body says of itself."""
    read = read_sdp(value)
    read.origin, read.connection, read.media, read.get(b"a")
    assert -1 <= find_odd_line(value) <= len(value)


READERS: tuple[Callable[[bytes], Any], ...] = (uri, address, via, credentials, sdp)


def seeds() -> list[bytes]:
    """A value or two for each reader."""
    values = (
        (b"sip:100:pw@[2001:db8::1]:5060;transport=tcp;lr?Subject=a&x=%41", b"tel:+44-20;phone-context=+44"),
        (b'"A \\" B" <sip:100@192.0.2.1;x=y>;tag=1', b"sip:a@b;tag=2"),
        (b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport=9;received=192.0.2.9, SIP / 2.0 / TCP [::1];rport",),
        (b'Digest username="100", realm="asterisk", nonce="0a", uri="sip:b", response="0", qop=auth, nc=1',),
        (b"v=0\r\no=- 16264 18299 IN IP4 192.0.2.7\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 1 RTP/AVP 0 8\r\n",),
    )
    return [bytes([number]) + value for number, each in enumerate(values) for value in each]


def check(data: bytes) -> None:
    """Hold one input against the invariant."""
    reader, value = READERS[data[0] % len(READERS) if data else 0], data[1:]
    try:
        reader(value)
    except SipSyntaxError as error:
        assert 0 <= error.offset <= len(value), error.offset
