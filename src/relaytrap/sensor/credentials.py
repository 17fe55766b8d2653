"""Whether credentials answer a challenge with a password that we know (RFC 7616 3.4.1; without qop RFC 2617)."""

import hashlib

from relaytrap.sip import Credentials

__all__ = ["is_right"]


def is_right(credentials: Credentials, method: bytes, password: str) -> bool:
    """Whether the response is the MD5 digest of this password for the values that the client itself named."""
    if not credentials.is_digest or (credentials.get(b"algorithm") or b"MD5").upper() != b"MD5":
        return False
    user, realm, nonce = (credentials.get(name) or b"" for name in (b"username", b"realm", b"nonce"))
    secret = _md5(b"%b:%b:%b" % (user, realm, password.encode()))
    what = _md5(b"%b:%b" % (method, credentials.get(b"uri") or b""))
    qop, count, client = (credentials.get(name) for name in (b"qop", b"nc", b"cnonce"))
    if qop and count and client:
        expected = _md5(b":".join((secret, nonce, count, client, qop, what)))
    else:
        # svcrack writes qop=auth even where none was offered, and then computes without it.
        expected = _md5(b"%b:%b:%b" % (secret, nonce, what))
    return expected == (credentials.get(b"response") or b"").lower()


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).hexdigest().encode()
