"""Digest answers held against passwords."""

from relaytrap.sensor.credentials import is_right
from relaytrap.sip import parse_credentials

# RFC 2617 section 3.5: Mufasa's "Circle Of Life".
MUFASA = (
    b'Digest username="Mufasa", realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093",'
    b' uri="/dir/index.html", qop=auth, nc=00000001, cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1",'
    b' opaque="5ccc069c403ebaf9f0171e9517f40e41"'
)
# svcrack 0.3.3 writes qop=auth unasked and computes without it.
SVCRACK = (
    b'Digest username="106",realm="asterisk",nonce="ad27ef6c",uri="sip:127.0.0.1",algorithm=MD5,qop=auth,'
    b'response="2e4c2c030c5183c96e1693f7b3d8d2a0"'
)


def test_example_of_the_rfc_is_right_for_its_password_only() -> None:
    credentials = parse_credentials(MUFASA)
    assert is_right(credentials, b"GET", "Circle Of Life")
    assert not is_right(credentials, b"GET", "Circle of Life")
    assert not is_right(credentials, b"PUT", "Circle Of Life")


def test_svcrack_s_own_way_is_understood() -> None:
    assert is_right(parse_credentials(SVCRACK), b"REGISTER", "49")


def test_other_schemes_and_algorithms_are_never_right() -> None:
    assert not is_right(parse_credentials(b"Basic Zm9v"), b"GET", "x")
    assert not is_right(parse_credentials(MUFASA + b", algorithm=SHA-256"), b"GET", "Circle Of Life")
