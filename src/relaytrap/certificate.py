"""Certificates that are made here: the hub's for its sensors, a persona's for attackers, the relay test's for servers.

The library that makes them takes 12 MB of memory and is needed at a first start only, so it is imported late.
"""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from relaytrap import clock

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

__all__ = ["DAY_NS", "KeyKind", "Made", "make_certificate", "write_private"]

KeyKind = Literal["rsa", "ec"]
RSA_BITS: Final = 2048
DAY_NS: Final = 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Made:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes


def make_certificate(
    subject: str, *, key: KeyKind, days: int, issuer: str = "", age_ns: int = DAY_NS, leaf: bool = False
) -> Made:
    """A new key and its certificate.

    subject, issuer: names as RFC 4514 writes them (`CN=pbx,O=Office`). With an issuer it is signed by a key that is
    thrown away, as small offices do; else by its own. age_ns: how long ago it began to hold; a day by default, as the
    peer's clock may be behind. leaf: say that it signs no others. Raises ValueError for a name that is none.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    own = _new_key(key)
    name = x509.Name.from_rfc4514_string(subject)
    signer = x509.Name.from_rfc4514_string(issuer) if issuer else name
    begins = datetime.fromtimestamp((clock.now_ns() - age_ns) // 10**9, UTC)
    builder = (
        x509.CertificateBuilder(signer, name, own.public_key(), x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
    )
    if leaf:
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    signed = builder.sign(_new_key(key) if issuer else own, hashes.SHA256())
    private = own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Made(signed.public_bytes(Encoding.PEM), private)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that its owner alone may read, whole or not at all; it is on the disk then. Raises OSError."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    is_new = not path.parent.is_dir()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    for folder in (path.parent, path.parent.parent) if is_new else (path.parent,):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _new_key(kind: KeyKind) -> "CertificateIssuerPrivateKeyTypes":
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
