"""The certificate that the hub shows its sensors: made at the first start, or the operator's own.

One that nobody else signed is recognised by its SHA-256 fingerprint, which joining tells each sensor; one that an
authority signed is left to the authority, so that it can be renewed without telling anybody.
"""

import os
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from relaytrap.config import HubConfig
from relaytrap.errors import ConfigError, DiskError

__all__ = ["CERTIFICATE", "KEY", "HubCertificate", "load_certificate", "make_certificate"]

CERTIFICATE: Final = "hub-certificate.pem"
KEY: Final = "hub-key.pem"
YEARS: Final = 20


@dataclass(frozen=True, slots=True)
class HubCertificate:
    """What the hub shows. key: None when it stands in the same file. fingerprint: SHA-256, 64 hex digits."""

    path: Path
    key: Path | None
    fingerprint: str
    not_after: datetime
    is_self_signed: bool

    @property
    def pin(self) -> str:
        """What a sensor must know to recognise it; "" when an authority vouches."""
        return self.fingerprint if self.is_self_signed else ""


def load_certificate(config: HubConfig, data_dir: Path) -> HubCertificate:
    """The certificate of the settings, or the hub's own, which is made when there is none.

    Raises ConfigError for files that cannot be used, DiskError when its own cannot be written.
    """
    if config.uplink_certificate:
        path = Path(config.uplink_certificate).expanduser()
        key = Path(config.uplink_key).expanduser() if config.uplink_key else None
    else:
        path, key = data_dir / CERTIFICATE, data_dir / KEY
        if not (path.exists() and key.exists()):
            make_certificate(data_dir)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(path, key)
        certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    except OSError as error:  # ssl.SSLError is one
        reason = getattr(error, "reason", "") or error.strerror
        raise ConfigError(
            f"hub.uplink_certificate: {path} and its key cannot be used ({reason}); name PEM files that belong "
            "together, or leave both settings empty"
        ) from None
    except ValueError:
        raise ConfigError(f"hub.uplink_certificate: {path} holds no certificate; name a PEM file") from None
    return HubCertificate(
        path,
        key,
        certificate.fingerprint(hashes.SHA256()).hex(),
        certificate.not_valid_after_utc,
        certificate.issuer == certificate.subject,
    )


def make_certificate(data_dir: Path) -> None:
    """Make the hub's own certificate and key, replacing what was there."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))  # a sensor's clock may be behind
        .not_valid_after(now + timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    _write(data_dir / KEY, private)
    _write(data_dir / CERTIFICATE, certificate.public_bytes(serialization.Encoding.PEM))


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        part.replace(path)
    except OSError as error:
        raise DiskError(f"{path}: cannot be written ({error.strerror}); give permission or free space") from None
