"""MMDB tables: bundled and the operator's."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.enrich.tables import open_bundled, open_operators, record_asn, record_country
from relaytrap.errors import ConfigError
from tests.enrich.mmdb import write_mmdb

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "src/relaytrap/enrich/data"


def test_bundled_tables_are_those_the_notices_name() -> None:
    for notice in (ROOT / "NOTICE", DATA / "NOTICE"):
        text = notice.read_text(encoding="utf-8")
        for path in DATA.glob("*.xz"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() in text, f"{path.name} in {notice}"


def test_map_shapes_are_those_the_notice_names() -> None:
    shapes = ROOT / "src/relaytrap/web/static/world.topo.json"
    assert hashlib.sha256(shapes.read_bytes()).hexdigest() in (ROOT / "NOTICE").read_text(encoding="utf-8")


def test_bundled_table_is_unpacked_once_and_replaces_older_ones(tmp_path: Path) -> None:
    old = tmp_path / "cache" / "country-0000000000000000.mmdb"
    old.parent.mkdir()
    old.write_bytes(b"old")
    first = open_bundled("country", tmp_path / "cache")
    kept = list((tmp_path / "cache").iterdir())
    stamp = kept[0].stat().st_mtime_ns
    second = open_bundled("country", tmp_path / "cache")
    assert [path.name for path in kept] != [old.name]
    assert len(kept) == 1
    assert kept[0].stat().st_mtime_ns == stamp
    assert record_country(first.find("202.71.111.5")) == record_country(second.find("202.71.111.5")) == "MY"


@pytest.mark.parametrize("cache", [None, Path("/proc/relaytrap-cannot-be-made")])
def test_bundled_table_works_without_a_cache(cache: Path | None) -> None:
    assert record_asn(open_bundled("asn", cache).find("202.71.111.5"))[0] == 17971


def test_bundled_table_works_where_no_file_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/proc/relaytrap-cannot-be-made")
    assert record_country(open_bundled("country", None).find("202.71.111.5")) == "MY"


@pytest.mark.parametrize(
    ("record", "country"),
    [
        ({"country_code": "my"}, "MY"),
        ({"country": {"iso_code": "MY", "names": {"en": "Malaysia"}}}, "MY"),
        ({"country": {"names": {}}}, ""),
        ({"country_code": "None"}, ""),
        ({"country_code": "1?"}, ""),
        ({"country_code": 7}, ""),
        ({}, ""),
        (None, ""),
        ("MY", ""),
    ],
)
def test_country_of_a_record(record: object, country: str) -> None:
    assert record_country(record) == country


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_any_record_is_read(record: object) -> None:
    assert isinstance(record_country(record), str)
    assert isinstance(record_asn(record), tuple)


def test_ipv4_only_table_knows_nothing_of_ipv6(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "c.mmdb", {"8.8.8.0/24": {"country_code": "US"}}, ip_version=4)
    table = open_operators("country", str(path))
    assert (record_country(table.find("8.8.8.8")), table.find("2001:db8::1")) == ("US", None)


def test_missing_table_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"enrich\.country_mmdb: cannot read .*none\.mmdb \(.*\); name a readable"):
        open_operators("country", str(tmp_path / "none.mmdb"))


def test_directory_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"enrich\.asn_mmdb: "):
        open_operators("asn", str(tmp_path))


def test_file_of_another_kind_is_a_sentence(tmp_path: Path) -> None:
    junk = tmp_path / "junk.mmdb"
    junk.write_bytes(b"this is no table" * 100)
    with pytest.raises(ConfigError, match="is not a MaxMind DB file"):
        open_operators("country", str(junk))


def test_empty_file_is_a_sentence(tmp_path: Path) -> None:
    empty = tmp_path / "empty.mmdb"
    empty.write_bytes(b"")
    with pytest.raises(ConfigError, match=r"enrich\.country_mmdb: "):
        open_operators("country", str(empty))


def test_table_without_the_wanted_keys_is_a_sentence(tmp_path: Path) -> None:
    path = write_mmdb(tmp_path / "c.mmdb", {"8.8.8.0/24": {"city": "Nowhere"}})
    with pytest.raises(ConfigError, match=r"has no country_code or country\.iso_code in its records"):
        open_operators("country", str(path))
    with pytest.raises(ConfigError, match="has no autonomous_system_number in its records"):
        open_operators("asn", str(path))
