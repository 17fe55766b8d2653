"""Certificates made here: what they say, and who may read the key."""

import os
import ssl
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from relaytrap.certificate import DAY_NS, make_certificate, write_private

NOBODY = 65534


def test_certificate_and_key_belong_together_and_began_a_day_ago(tmp_path: Path) -> None:
    made = make_certificate("CN=pbx,O=Office", key="ec", days=30)
    (tmp_path / "both.pem").write_bytes(made.certificate + made.key)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "both.pem")
    read = x509.load_pem_x509_certificate(made.certificate)
    assert read.subject == read.issuer == x509.Name.from_rfc4514_string("CN=pbx,O=Office")
    assert (read.not_valid_after_utc - read.not_valid_before_utc).days == 30


def test_issuer_signs_with_another_key_and_age_moves_the_beginning() -> None:
    young, old = (
        x509.load_pem_x509_certificate(
            make_certificate(
                "CN=pbx", issuer="CN=Office CA", key="ec", days=30, age_ns=age * DAY_NS, leaf=True
            ).certificate
        )
        for age in (0, 20)
    )
    assert young.issuer.rfc4514_string() == "CN=Office CA"
    with pytest.raises(ValueError, match="Issuer"):
        young.verify_directly_issued_by(young)
    assert (young.not_valid_before_utc - old.not_valid_before_utc).days in (19, 20)
    assert young.fingerprint(hashes.SHA256()) != old.fingerprint(hashes.SHA256())


def test_name_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="length"):
        make_certificate("C=Atlantis", key="ec", days=1)


def test_private_file_is_its_owners_alone_and_replaces_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "new" / "key.pem"
    for text in (b"one", b"two"):
        write_private(path, text)
    assert path.read_bytes() == b"two"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]


def test_what_was_written_outlives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file before it has its name, and then the folders, of which one may be new."""
    synced: list[Path] = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    write_private(tmp_path / "new" / "file", b"precious")
    assert [path.parent if path.suffix else path for path in synced] == [tmp_path / "new", tmp_path / "new", tmp_path]
    assert synced[0].suffix == ".part"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_folder_in_one_that_may_not_be_listed_takes_files() -> None:
    """As /srv/relaytrap for a service whose user may pass through /srv and no more."""
    with tempfile.TemporaryDirectory() as outer:
        os.chmod(outer, 0o711)
        own = Path(outer, "own")
        own.mkdir()
        os.chown(own, NOBODY, NOBODY)
        code = (
            "import os\nfrom pathlib import Path\nfrom relaytrap.certificate import write_private\n"
            f"os.setgid({NOBODY}), os.setuid({NOBODY})\nwrite_private(Path({str(own)!r}, 'key.pem'), b'secret')"
        )
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
        assert Path(own, "key.pem").read_bytes() == b"secret"
