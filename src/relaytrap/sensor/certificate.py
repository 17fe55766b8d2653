"""The certificate that a persona shows over TLS: made once for an installation, or the operator's own."""

import os
import ssl
from pathlib import Path
from typing import Final

from relaytrap.certificate import DAY_NS, make_certificate, write_private
from relaytrap.errors import ConfigError, DiskError
from relaytrap.sensor.persona import Certificate

__all__ = ["check_certificate", "load_certificate"]

OLDEST_DAYS: Final = 400
"""A made certificate began to hold at some moment within this time: nobody installs a telephone system today."""


def load_certificate(folder: Path, name: str, wanted: Certificate) -> Path:
    """The PEM file with this persona's certificate and key; made when there is none yet.

    name: the persona's. Raises DiskError when it cannot be written, ConfigError for a subject that is none.
    """
    path = folder / f"{name}.pem"
    if path.exists():
        return path
    oldest_days = min(OLDEST_DAYS, wanted.days * 0.7)
    age_ns = int.from_bytes(os.urandom(4), "big") * int(oldest_days * DAY_NS) >> 32
    try:
        made = make_certificate(wanted.subject, issuer=wanted.issuer, key=wanted.key, days=wanted.days, age_ns=age_ns)
        write_private(path, made.certificate + made.key)
    except ValueError as error:
        raise ConfigError(f"certificate.subject of the persona: not a name such as CN=pbx,O=Office ({error})") from None
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
