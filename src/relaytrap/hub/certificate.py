"""The certificate that the hub shows its sensors: made at the first start, or the operator's own.

One that nobody else signed is recognised by its SHA-256 fingerprint, which joining tells each sensor; one that an
authority signed is left to the authority, so that it can be renewed without telling anybody.
"""

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from relaytrap.certificate import make_certificate, write_private
from relaytrap.config import HubConfig
from relaytrap.errors import ConfigError, DiskError

__all__ = ["CERTIFICATE", "KEY", "HubCertificate", "load_certificate", "make_own_certificate"]

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
            make_own_certificate(data_dir)
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


def make_own_certificate(data_dir: Path) -> None:
    """Make the hub's own certificate and key, replacing what was there. Raises DiskError."""
    made = make_certificate("CN=hub", key="ec", days=365 * YEARS, leaf=True)
    for path, data in ((data_dir / KEY, made.key), (data_dir / CERTIFICATE, made.certificate)):
        try:
            write_private(path, data)
        except OSError as error:
            raise DiskError(f"{path}: cannot be written ({error.strerror}); give permission or free space") from None
