"""The persona's certificate: plausible, made once, nobody else's."""

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from relaytrap.errors import ConfigError, DiskError
from relaytrap.sensor.certificate import check_certificate, load_certificate
from relaytrap.sensor.persona import Certificate
from relaytrap.sensor.personas import load_persona, persona_names
from relaytrap.sensor.tls import TlsTerms

SMALL = Certificate(subject="CN=pbx,O=Office", key="ec")


def test_certificate_is_made_once_and_kept_secret(tmp_path: Path) -> None:
    path = load_certificate(tmp_path / "c", "t", SMALL)
    before = path.read_bytes()
    assert load_certificate(tmp_path / "c", "t", SMALL).read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["t.pem"]
    TlsTerms(path)


def test_certificate_has_begun_to_hold_and_still_does(tmp_path: Path) -> None:
    made = x509.load_pem_x509_certificate(load_certificate(tmp_path, "t", SMALL).read_bytes())
    assert made.subject == made.issuer == x509.Name.from_rfc4514_string("CN=pbx,O=Office")
    assert made.not_valid_before_utc < made.not_valid_after_utc
    assert (made.not_valid_after_utc - made.not_valid_before_utc).days == SMALL.days


def test_certificate_of_an_issuer_names_it(tmp_path: Path) -> None:
    wanted = Certificate(subject="CN=pbx", issuer="CN=Asterisk Private CA", key="ec")
    made = x509.load_pem_x509_certificate(load_certificate(tmp_path, "t", wanted).read_bytes())
    assert made.issuer == x509.Name.from_rfc4514_string("CN=Asterisk Private CA")


@pytest.mark.parametrize("name", persona_names())
def test_every_persona_has_a_name_to_show_that_differs_between_installations(name: str) -> None:
    wanted = [load_persona(name, seed=f"seed {number}").certificate for number in range(40)]
    assert len({each.subject for each in wanted}) > 1
    for each in wanted:
        assert x509.Name.from_rfc4514_string(each.subject)
        assert "{" not in each.subject + each.issuer


def test_subject_that_is_no_name_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a name such as CN="):
        load_certificate(tmp_path, "t", Certificate(subject="pbx"))


def test_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("a file")
    with pytest.raises(DiskError, match=r"t\.pem"):
        load_certificate(tmp_path / "c", "t", SMALL)


def test_operators_own_file_is_checked(tmp_path: Path) -> None:
    path = load_certificate(tmp_path, "t", SMALL)
    check_certificate(path)
    path.write_text("no certificate")
    with pytest.raises(ConfigError, match="is no PEM file with a certificate and its key"):
        check_certificate(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        check_certificate(tmp_path / "none.pem")
    assert ssl.OPENSSL_VERSION
