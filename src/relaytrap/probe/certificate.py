"""The certificate of our own servers: self-signed, made where it is first needed.

A relay that forwards over TLS is seen only if its handshake succeeds, so towards servers under test every version and
cipher is taken that the library still has. Between our own two ends it is TLS 1.3, and the fingerprint is pinned.
"""

import hashlib
import ssl
import tempfile
from functools import cache
from pathlib import Path

from relaytrap.certificate import make_certificate, write_private
from relaytrap.errors import DiskError

__all__ = ["any_peer", "fingerprint", "pinning_peer", "server_context", "server_fingerprint", "throwaway_context"]

VALID_DAYS = 3650


@cache
def throwaway_context() -> ssl.SSLContext:
    """A server's context for any client, with a certificate that lives as long as this process."""
    with tempfile.TemporaryDirectory(prefix="relaytrap-") as folder:
        return _widened(server_context(Path(folder)))


def server_context(folder: Path) -> ssl.SSLContext:
    """A context for TLS 1.3 with the certificate of a folder, made there when there is none. Raises DiskError."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        if not (certificate.exists() and key.exists()):
            # RSA, as an old border controller may know nothing else.
            made = make_certificate("CN=relaytrap.invalid", key="rsa", days=VALID_DAYS)
            write_private(key, made.key)
            write_private(certificate, made.certificate)
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        why = error.strerror or error
        raise DiskError(
            f"{folder}: the certificate cannot be made or read ({why}); remove it, free space or give access"
        ) from None
    return context


def server_fingerprint(folder: Path) -> str:
    """The fingerprint of a folder's certificate. Raises DiskError."""
    try:
        return fingerprint(ssl.PEM_cert_to_DER_cert((folder / "certificate.pem").read_text(encoding="ascii")))
    except (OSError, ValueError) as error:
        raise DiskError(f"{folder}: the certificate cannot be read ({error}); remove it or give access") from None


def any_peer() -> ssl.SSLContext:
    """A client's context for any server: who it is was settled by the address its owner named."""
    return _widened(pinning_peer())


def pinning_peer() -> ssl.SSLContext:
    """A client's context for TLS 1.3 with a server whose fingerprint the caller compares."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def fingerprint(certificate: bytes) -> str:
    """SHA-256 of a certificate in DER, as hexadecimal digits."""
    return hashlib.sha256(certificate).hexdigest()


def _widened(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED  # an old SBC is to be tested, not refused
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context
