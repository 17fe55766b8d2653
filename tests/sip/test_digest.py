"""Credentials, and the lines that crackers read."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sip import Credentials, Request, SipSyntaxError, parse_credentials, parse_message
from relaytrap.sip.digest import read_credentials
from tests.sip.torture import message

BOB = (
    b'Digest username="bob", realm="a, \\"b\\"", nonce="84a4cc6f", uri="sip:bob@example.com:5061", qop=auth,'
    b' nc=00000001, cnonce="0a4f113b", response="6629fae49393a05397450978507c4ef1", opaque=""'
)


def digest(user: str, realm: str, password: str, method: str, uri: str, nonce: str) -> str:
    """The response of RFC 2617 section 3.2.2.1 without qop."""
    first = hashlib.md5(f"{user}:{realm}:{password}".encode()).hexdigest()
    second = hashlib.md5(f"{method}:{uri}".encode()).hexdigest()
    return hashlib.md5(f"{first}:{nonce}:{second}".encode()).hexdigest()


def test_parameters_are_unquoted_and_named_in_lower_case() -> None:
    credentials = parse_credentials(BOB.replace(b"realm", b"Realm"))
    assert credentials.scheme == b"Digest"
    assert (credentials.get(b"realm"), credentials.get(b"qop")) == (b'a, "b"', b"auth")
    assert credentials.get(b"opaque") == b""


def test_commas_need_no_blanks_behind_them() -> None:
    assert parse_credentials(b'Digest a="1",b=2,c="3"').params == {b"a": b"1", b"b": b"2", b"c": b"3"}


def test_other_schemes_are_kept() -> None:
    credentials = parse_credentials(b"Basic QWxhZGRpbg==")
    assert (credentials.scheme, credentials.params, credentials.raw) == (b"Basic", {}, b"Basic QWxhZGRpbg==")


@pytest.mark.parametrize("text", [b"", b"=x", b'Digest a="open', b'Digest a="1" b="2"', b"Digest \x00"])
def test_what_breaks_the_grammar_is_refused(text: bytes) -> None:
    with pytest.raises(SipSyntaxError):
        parse_credentials(text)


def test_what_stands_before_the_break_is_kept() -> None:
    credentials = read_credentials(b'Digest username="bob", realm="open', [])
    assert credentials is not None
    assert credentials.get(b"username") == b"bob"


def test_message_gives_credentials_of_both_kinds_and_challenges() -> None:
    parsed = parse_message(
        message(
            b"REGISTER sip:h SIP/2.0",
            b"Authorization: " + BOB,
            b"Proxy-Authorization: Basic x",
            b"WWW-Authenticate: Digest a=b",
        )
    )
    assert isinstance(parsed, Request)
    assert [credentials.scheme for credentials in parsed.credentials] == [b"Digest", b"Basic"]
    assert [challenge.params for challenge in parsed.challenges] == [{b"a": b"b"}]


def line(uri: str, user: str = "200", method: str = "REGISTER", password: str = "123456") -> bytes | None:
    response = digest(user, "asterisk", password, method, uri, "46cce857")
    value = f'Digest username="{user}", realm="asterisk", nonce="46cce857", uri="{uri}", response="{response}"'
    return parse_credentials(value.encode()).john_line(method.encode(), server=b"192.0.2.1", client=b"192.0.2.2")


def test_line_has_fourteen_fields_in_the_order_of_the_format() -> None:
    expected = digest("200", "asterisk", "123456", "REGISTER", "sip:192.0.2.4", "46cce857")
    assert line("sip:192.0.2.4") == (
        f"$sip$*192.0.2.1*192.0.2.2*200*asterisk*REGISTER*sip*192.0.2.4**46cce857****MD5*{expected}".encode()
    )


# The self-test lines of John the Ripper's sip format and the example on hashcat's wiki: what their readers accept.
PUBLISHED = [
    (
        (
            b"$sip$*192.168.1.111*192.168.1.104*200*asterisk*REGISTER*sip*192.168.1.104**46cce857****MD5"
            b"*4dfc7515936a667565228dbaa0293dfc"
        ),
        "123456",
    ),
    (
        (
            b"$sip$*10.0.1.20*10.0.1.10*1001*asterisk*REGISTER*sips*10.0.1.20*5061*0ef95b07****MD5"
            b"*576e39e9de6a9ed053eb218f65fe470e"
        ),
        "q1XCLF0KaBObo797",
    ),
    (
        (
            b"$sip$*192.168.100.100*192.168.100.121*username*asterisk*REGISTER*sip*192.168.100.121**2b01df0b****MD5"
            b"*ad0520061ca07c120d7e8ce696a6df2d"
        ),
        "hashcat",
    ),
]


@pytest.mark.parametrize(("published", "password"), PUBLISHED)
def test_line_equals_the_published_ones(published: bytes, password: str) -> None:
    _, server, client, user, realm, method, scheme, resource, port, nonce, _, _, _, _, response = published.split(b"*")
    uri = b":".join(part for part in (scheme, resource, port) if part)
    value = b'Digest username="%s",realm="%s",nonce="%s",uri="%s",response="%s"' % (user, realm, nonce, uri, response)
    credentials = parse_credentials(value)
    assert credentials.john_line(method, server=server, client=client) == published
    assert (
        digest(user.decode(), realm.decode(), password, method.decode(), uri.decode(), nonce.decode())
        == response.decode()
    )


@pytest.mark.parametrize(
    "uri", ["sip:h", "sips:h:5061", "sip:a@h:5060", "sip:h;transport=UDP", "h", "sip:[2001:db8::1]:5060"]
)
def test_uri_fields_joined_by_colons_are_the_uri(uri: str) -> None:
    fields = (line(uri) or b"").split(b"*")
    assert b":".join(part for part in fields[6:9] if part) == uri.encode()


def test_line_carries_qop_count_and_client_nonce() -> None:
    fields = (parse_credentials(BOB).john_line(b"REGISTER") or b"").split(b"*")
    assert fields[9:] == [b"84a4cc6f", b"0a4f113b", b"00000001", b"auth", b"MD5", b"6629fae49393a05397450978507c4ef1"]


@pytest.mark.parametrize(
    "change",
    [
        (b"Digest", b"Basic"),
        (b"6629fae4", b"zzzzzzzz"),
        (b"6629fae4", b"6629"),
        (b"qop=auth", b"qop=auth-int"),
        (b"opaque", b"algorithm=SHA-256, opaque"),
        (b"bob", b"b*b"),
        (b'nonce="84a4cc6f", ', b""),
    ],
)
def test_what_the_format_cannot_hold_gives_no_line(change: tuple[bytes, bytes]) -> None:
    credentials = read_credentials(BOB.replace(*change), [])
    assert credentials is not None
    assert credentials.john_line(b"REGISTER") is None


@given(st.binary(max_size=80) | st.text('Digest a="\\,b= ', max_size=60).map(str.encode))
def test_any_octets_are_read(value: bytes) -> None:
    defects: list[tuple[str, int]] = []
    credentials = read_credentials(value, defects)
    assert isinstance(credentials, Credentials) or defects
    assert all(0 <= offset <= len(value) for _, offset in defects)
    if credentials is not None:
        credentials.john_line(b"REGISTER")
