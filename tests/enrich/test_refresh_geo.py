"""The maintainer's script that replaces the bundled tables."""

import importlib.util
import lzma
import shutil
from pathlib import Path
from types import ModuleType

import pytest

from tests.enrich.mmdb import write_mmdb

ROOT = Path(__file__).resolve().parents[2]
ANCHORS = {"8.8.8.0/24": "US", "193.0.0.0/16": "NL", "2001:67c::/32": "NL", "133.11.0.0/16": "JP"}


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, let loose on a copy of the data directory."""
    spec = importlib.util.spec_from_file_location("refresh_geo", ROOT / "tools/refresh_geo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shutil.copytree(module.DATA, tmp_path / "data")
    shutil.copy(ROOT / "NOTICE", tmp_path / "NOTICE")
    monkeypatch.setattr(module, "DATA", tmp_path / "data")
    monkeypatch.setattr(module, "NOTICES", (tmp_path / "NOTICE", tmp_path / "data" / "NOTICE"))
    return module


def run(script: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["refresh_geo.py", *map(str, arguments)])
    return int(script.main())


def test_bundled_files_agree_with_their_notices(script: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(script, monkeypatch, "--check") == 0


def test_new_table_is_compressed_and_noted(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = write_mmdb(tmp_path / "new.mmdb", {network: {"country_code": code} for network, code in ANCHORS.items()})
    assert run(script, monkeypatch, "--country", new) == 0
    assert lzma.decompress((script.DATA / "country.mmdb.xz").read_bytes()) == new.read_bytes()
    assert "Date: 2023-11-14" in script.NOTICES[0].read_text()
    assert run(script, monkeypatch, "--check") == 0


def test_table_that_contradicts_the_anchors_is_refused(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (script.DATA / "country.mmdb.xz").read_bytes()
    wrong = write_mmdb(tmp_path / "w.mmdb", {network: {"country_code": "ZZ"} for network in ANCHORS})
    assert run(script, monkeypatch, "--country", wrong) == 4
    assert "8.8.8.8 is 'ZZ', not 'US'" in capsys.readouterr().err
    assert (script.DATA / "country.mmdb.xz").read_bytes() == before


def test_changed_file_is_noticed(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (script.DATA / "asn.mmdb.xz").write_bytes(b"changed")
    assert run(script, monkeypatch, "--check") == 1
    assert "asn.mmdb.xz" in capsys.readouterr().err
