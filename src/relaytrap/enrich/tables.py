"""MMDB tables: the two bundled ones, and those that an operator names.

The bundled files stay xz-compressed in the package (4.7 MB against 14.9 MB). Unpacking takes 0.3 s, so it happens once:
into a cache directory under a name that holds the file's own digest, whence it is mapped into memory and shared by
all worker processes. Without a writable cache the tables are unpacked at each start.
"""

import hashlib
import lzma
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from importlib.resources import files
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

import maxminddb

from relaytrap.errors import ConfigError

__all__ = ["Kind", "Table", "open_bundled", "open_operators", "record_asn", "record_country"]

Kind = Literal["country", "asn"]

RECORDS_TRIED: Final = 2000
"""Records of an operator's file that may lack the wanted keys before it is called the wrong kind of file."""


@dataclass(frozen=True, slots=True)
class Table:
    """One open table.

    source: "bundled" or the operator's path, as shown beside each looked-up row.
    date: day the file was built, YYYY-MM-DD, from its own metadata.
    find: the record of an address; None where the table has none, or holds IPv4 only. ValueError for no address.
    """

    kind: Kind
    source: str
    date: str
    find: Callable[[str], object]


def open_bundled(kind: Kind, cache_dir: Path | None) -> Table:
    """The table that comes with the package; unpacked into cache_dir once, or anew at each start without one."""
    packed = files("relaytrap.enrich").joinpath("data", f"{kind}.mmdb.xz").read_bytes()
    path = _unpack_once(packed, kind, cache_dir) if cache_dir is not None else None
    reader = maxminddb.open_database(str(path), maxminddb.MODE_AUTO) if path else _open_unnamed(packed)
    return _table(kind, "bundled", reader)


def _unpack_once(packed: bytes, kind: Kind, cache_dir: Path) -> Path | None:
    """Path of the unpacked table; None where it cannot be kept. Complete or absent: written aside, then renamed."""
    path = cache_dir / f"{kind}-{hashlib.sha256(packed).hexdigest()[:16]}.mmdb"
    if path.is_file():
        return path
    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache_dir, prefix=".unpack-", delete=False) as aside:
            aside.write(lzma.decompress(packed))
        os.replace(aside.name, path)
    except OSError:
        return None
    for old in cache_dir.glob(f"{kind}-*.mmdb"):
        if old != path:
            old.unlink(missing_ok=True)
    return path


def _open_unnamed(packed: bytes) -> Any:
    """The table in a file that is gone from the directory once mapped; in memory where no file can be written."""
    unpacked = lzma.decompress(packed)
    try:
        with tempfile.NamedTemporaryFile(prefix="relaytrap-", suffix=".mmdb") as aside:
            aside.write(unpacked)
            aside.flush()
            return maxminddb.open_database(aside.name, maxminddb.MODE_AUTO)
    except OSError:
        return maxminddb.open_database(BytesIO(unpacked), maxminddb.MODE_FD)


def open_operators(kind: Kind, path: str) -> Table:
    """The MMDB file that an operator's setting names.

    Raises ConfigError when it cannot be read, is no MMDB, or holds nothing of the wanted kind.
    """
    setting = f"enrich.{kind}_mmdb"
    try:
        reader = maxminddb.open_database(path, maxminddb.MODE_AUTO)
        usable = any(_has(kind, record) for _, record in islice(reader, RECORDS_TRIED))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"{setting}: cannot read {path} ({reason}); name a readable MMDB file") from None
    except (maxminddb.InvalidDatabaseError, ValueError) as error:
        raise ConfigError(f"{setting}: {path} is not a MaxMind DB file ({error}); name an MMDB file") from None
    if not usable:
        keys = "country_code or country.iso_code" if kind == "country" else "autonomous_system_number"
        raise ConfigError(f"{setting}: {path} has no {keys} in its records; name a table of that kind")
    return _table(kind, path, reader)


def _has(kind: Kind, record: object) -> bool:
    return bool(record_country(record)) if kind == "country" else record_asn(record)[0] > 0


def _table(kind: Kind, source: str, reader: Any) -> Table:
    metadata = reader.metadata()
    date = datetime.fromtimestamp(metadata.build_epoch, UTC).date().isoformat()
    return Table(kind, source, date, reader.get if metadata.ip_version == 6 else partial(_find_ipv4, reader))


def _find_ipv4(reader: Any, address: str) -> object:
    return None if ":" in address else reader.get(address)


def record_country(record: object) -> str:
    """ISO 3166-1 alpha-2 code of a country record in either common shape; "" when it names none."""
    if not isinstance(record, dict):
        return ""
    code = record.get("country_code")
    if code is None and isinstance(country := record.get("country"), dict):
        code = country.get("iso_code")
    return _country_code(code) if isinstance(code, str) else ""


@lru_cache(maxsize=1 << 10)
def _country_code(text: str) -> str:
    return text.upper() if len(text) == 2 and text.isascii() and text.isalpha() else ""


def record_asn(record: object) -> tuple[int, str]:
    """Number and holder's name of an autonomous system record; (0, "") when it names none."""
    if not isinstance(record, dict):
        return 0, ""
    number, name = record.get("autonomous_system_number"), record.get("autonomous_system_organization")
    return number if isinstance(number, int) else 0, name if isinstance(name, str) else ""
