"""The certificate that sensors see: made once, or the operator's own."""

import hashlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from relaytrap.config import HubConfig
from relaytrap.errors import ConfigError
from relaytrap.hub.certificate import CERTIFICATE, KEY, load_certificate, make_own_certificate


def test_one_is_made_at_the_first_start_and_stays(tmp_path: Path) -> None:
    first = load_certificate(HubConfig(), tmp_path)
    assert load_certificate(HubConfig(), tmp_path).fingerprint == first.fingerprint
    assert first.not_after - datetime.now(UTC) > timedelta(days=7000)
    assert first.pin == first.fingerprint


def test_key_is_for_its_owner_only(tmp_path: Path) -> None:
    load_certificate(HubConfig(), tmp_path)
    assert (tmp_path / KEY).stat().st_mode & 0o077 == 0


def test_fingerprint_is_the_one_that_other_programs_show(tmp_path: Path) -> None:
    found = load_certificate(HubConfig(), tmp_path)
    der = ssl.PEM_cert_to_DER_cert((tmp_path / CERTIFICATE).read_text())
    assert found.fingerprint == hashlib.sha256(der).hexdigest()


def test_renewing_makes_another(tmp_path: Path) -> None:
    before = load_certificate(HubConfig(), tmp_path).fingerprint
    make_own_certificate(tmp_path)
    assert load_certificate(HubConfig(), tmp_path).fingerprint != before


def signed_by_an_authority(folder: Path) -> HubConfig:
    """A certificate and key in one file, as an authority's tool leaves them."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("hub.example", "authority")]
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(named[1], named[0], key.public_key(), 1, now, now + timedelta(days=90))
    certificate = builder.sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    path = folder / "own.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return HubConfig(uplink_certificate=str(path))


def test_one_that_an_authority_signed_is_not_pinned(tmp_path: Path) -> None:
    found = load_certificate(signed_by_an_authority(tmp_path), tmp_path)
    assert (found.pin, found.is_self_signed) == ("", False)
    assert not (tmp_path / CERTIFICATE).exists()


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_file_that_holds_none_is_one_sentence(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "own.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"hub\.uplink_certificate"):
        load_certificate(HubConfig(uplink_certificate=str(path)), tmp_path)
