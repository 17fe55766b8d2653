"""The certificate that a persona shows over TLS: made once for an installation, or the operator's own."""

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relaytrap.errors import ConfigError, DiskError
from relaytrap.sensor.persona import Certificate

if TYPE_CHECKING:  # 12 MB of memory, needed at the first start only
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

__all__ = ["check_certificate", "load_certificate"]

RSA_BITS: Final = 2048
OLDEST_DAYS: Final = 400
"""A made certificate began to hold at some moment within this time: nobody installs a telephone system today."""


def load_certificate(folder: Path, name: str, wanted: Certificate) -> Path:
    """The PEM file with this persona's certificate and key; made when there is none yet.

    name: the persona's. Raises DiskError when it cannot be written, ConfigError for a subject that is none.
    """
    path = folder / f"{name}.pem"
    if path.exists():
        return path
    text = _make(wanted)
    fresh = path.with_suffix(f".{os.getpid()}.new")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(text)
        fresh.replace(path)
    except OSError as error:
        raise DiskError(f"{path}: the certificate cannot be written ({error.strerror}); mend that") from None
    return path


def check_certificate(path: Path) -> None:
    """Raise ConfigError unless the file holds a certificate and its key."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path)
    except ssl.SSLError as error:
        raise ConfigError(
            f"sensor.tls_certificate: {path} is no PEM file with a certificate and its key ({error.reason}); "
            "put both into one file, or leave the setting empty"
        ) from None
    except OSError as error:
        raise ConfigError(f"sensor.tls_certificate: {path} cannot be read ({error.strerror})") from None


def _make(wanted: Certificate) -> bytes:
    """Certificate and key as PEM. One with an issuer is signed by a key that is thrown away, as small offices do."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    try:
        subject = x509.Name.from_rfc4514_string(wanted.subject)
        issuer = x509.Name.from_rfc4514_string(wanted.issuer or wanted.subject)
    except ValueError as error:
        raise ConfigError(f"certificate.subject of the persona: not a name such as CN=pbx,O=Office ({error})") from None
    key = _new_key(wanted.key)
    age_s = int.from_bytes(os.urandom(4), "big") / 2**32 * min(OLDEST_DAYS, wanted.days * 0.7) * 86_400
    begins = datetime.now(UTC) - timedelta(seconds=int(age_s))
    made = (
        x509.CertificateBuilder(issuer, subject, key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=wanted.days))
        .sign(_new_key(wanted.key) if wanted.issuer else key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return made.public_bytes(serialization.Encoding.PEM) + private


def _new_key(kind: str) -> "CertificateIssuerPrivateKeyTypes":
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
