"""Credentials and challenges (RFC 3261 section 22, RFC 7616, RFC 8760), and the lines that password crackers read.

Nothing is tried here: a line holds what a client sent, in the form that John the Ripper (format `sip`) and hashcat
(mode 11400) read: `$sip$*server*client*user*realm*method*scheme*resource*port*nonce*cnonce*nc*qop*MD5*response`. The
three URI fields, joined with colons, are the digest URI.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from relaytrap.sip.anomaly import Defect, SipSyntaxError
from relaytrap.sip.grammar import AUTH_PARAM
from relaytrap.sip.params import MAX_PARAMS, unquote

__all__ = ["Credentials", "parse_credentials", "read_credentials"]


class Credentials(NamedTuple):
    """An Authorization, Proxy-Authorization, WWW-Authenticate or Proxy-Authenticate value.

    params: by lower-case name, unquoted; of a repeated one the first. Empty for a scheme without name=value pairs.
    """

    scheme: bytes
    params: Mapping[bytes, bytes]
    raw: bytes

    def get(self, name: bytes) -> bytes | None:
        """Value of a parameter by its lower-case name."""
        return self.params.get(name)

    @property
    def is_digest(self) -> bool:
        """Whether the scheme is Digest."""
        return self.scheme.lower() == b"digest"

    def john_line(self, method: bytes, *, server: bytes = b"", client: bytes = b"") -> bytes | None:
        """The line for `john --format=sip`; None when these are no MD5 digest credentials that the format can hold.

        method: of the request. server, client: addresses for the reader's use; they do not enter the hash.
        """
        response = self.params.get(b"response", b"")
        if (
            not self.is_digest
            or self.params.get(b"algorithm", b"MD5").upper() != b"MD5"
            or not _MD5.fullmatch(response)
        ):
            return None
        if self.params.get(b"qop", b"") not in (b"", b"auth"):
            return None
        scheme, resource, port = _split_digest_uri(self.params.get(b"uri", b""))
        named = [self.params.get(name, b"") for name in (b"nonce", b"cnonce", b"nc", b"qop")]
        fields = [server, client, self.params.get(b"username", b""), self.params.get(b"realm", b""), method]
        fields += [scheme, resource, port, *named, b"MD5", response.lower()]
        if not resource or not named[0] or any(_UNFIT.search(field) for field in fields):
            return None
        return b"$sip$*" + b"*".join(fields)


_MD5: Final = re.compile(rb"[0-9A-Fa-f]{32}")
# A star ends a field, a line end the line.
_UNFIT: Final = re.compile(rb"[*\r\n\x00]")


def _split_digest_uri(uri: bytes) -> tuple[bytes, bytes, bytes]:
    """A digest-uri as (scheme, resource, port), whose non-empty parts joined with ":" are the uri again."""
    scheme, colon, rest = uri.partition(b":")
    if not colon:
        return b"", uri, b""
    resource, colon, port = rest.rpartition(b":")
    return (scheme, resource, port) if colon and port.isdigit() and resource else (scheme, rest, b"")


def parse_credentials(value: bytes) -> Credentials:
    """Credentials or a challenge by the letter of the grammar; raises SipSyntaxError where they break it."""
    defects: list[Defect] = []
    credentials = read_credentials(value, defects)
    if defects or credentials is None:
        raise SipSyntaxError(*defects[0])
    return credentials


def read_credentials(value: bytes, defects: list[Defect]) -> Credentials | None:
    """Credentials or a challenge as far as they can be told, with what is wrong noted; None when there is no scheme."""
    scheme, _, rest = value.replace(b"\t", b" ").partition(b" ")
    if not scheme or re.search(rb"[=,\"]", scheme):
        defects.append(("auth", 0))
        return None
    params: dict[bytes, bytes] = {}
    position, end = 0, len(rest)
    if scheme.lower() == b"basic":  # one base64 text, whose padding looks like a parameter
        end = 0
    while position < end and len(params) < MAX_PARAMS:
        match = AUTH_PARAM.match(rest, position)
        if match is None:
            break
        params.setdefault(match[1].lower(), unquote(match[2]))
        position = match.end()
        if position < end and rest[position] != 0x2C:
            break
    if position < end and (params or scheme.lower() == b"digest"):
        defects.append(("auth", len(scheme) + 1 + position))
    return Credentials(scheme, params, value)
