#!/usr/bin/env python3
"""Puts newer country and AS tables into the package, after checking that they are what they claim to be.

    tools/refresh_geo.py --country country.mmdb --asn asn.mmdb
    tools/refresh_geo.py --check

The files come from the maintainer (MMDB, plain or .xz); nothing is fetched. Both tables are checked against addresses
whose holders have not changed in many years, compressed, and their dates and digests are written into the NOTICE
files. `--check` only says whether the bundled files agree with their NOTICE.
"""

import argparse
import hashlib
import lzma
import re
import sys
import tempfile
from pathlib import Path

from relaytrap.enrich.tables import Kind, Table, open_operators, record_asn, record_country
from relaytrap.errors import RelaytrapError

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "src/relaytrap/enrich/data"
NOTICES = (ROOT / "NOTICE", DATA / "NOTICE")
ANCHORS = {  # address: (country, AS number)
    "8.8.8.8": ("US", 15169),
    "193.0.6.139": ("NL", 3333),
    "2001:67c:2e8:22::c100:68b": ("NL", 3333),
    "133.11.0.1": ("JP", 2501),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--country", type=Path, help="MMDB file with country_code or country.iso_code")
    parser.add_argument("--asn", type=Path, help="MMDB file with autonomous_system_number and _organization")
    parser.add_argument(
        "--check", action="store_true", help="compare the bundled files with their NOTICE, change nothing"
    )
    given = parser.parse_args()
    if given.check:
        return check()
    if not given.country and not given.asn:
        parser.error("name at least one of --country and --asn")
    files: tuple[tuple[Kind, Path | None], ...] = (("country", given.country), ("asn", given.asn))
    try:
        for kind, path in files:
            if path:
                take(kind, path)
    except (RelaytrapError, OSError, lzma.LZMAError) as error:
        print(f"refresh_geo: {error}", file=sys.stderr)
        return 4
    return 0


def take(kind: Kind, path: Path) -> None:
    """Checks one table, compresses it into the package and notes its date and digest."""
    plain = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    with tempfile.NamedTemporaryFile(suffix=".mmdb") as unpacked:
        unpacked.write(plain)
        unpacked.flush()
        table = open_operators(kind, unpacked.name)
        compare(table)
    packed = lzma.compress(plain, preset=9 | lzma.PRESET_EXTREME)
    (DATA / f"{kind}.mmdb.xz").write_bytes(packed)
    note(f"{kind}.mmdb.xz", table.date, hashlib.sha256(packed).hexdigest())
    print(f"{kind}: built {table.date}, {len(plain):,} bytes, {len(packed):,} compressed")


def compare(table: Table) -> None:
    """Raises RelaytrapError when the table contradicts what has been true for years."""
    for address, (country, asn) in ANCHORS.items():
        record = table.find(address)
        found: object = record_country(record) if table.kind == "country" else record_asn(record)[0]
        wanted: object = country if table.kind == "country" else asn
        if found != wanted:
            raise RelaytrapError(f"{table.kind}: {address} is {found!r}, not {wanted!r}; not a usable table")


def note(name: str, date: str, digest: str) -> None:
    """Rewrites the date and SHA-256 lines below a file's name in both NOTICE files."""
    pattern = re.compile(rf"({re.escape(name)}\n(?:  .*\n)*?  Date: )\S+(\n  SHA-256: )[0-9a-f]{{64}}")
    for notice in NOTICES:
        text, count = pattern.subn(rf"\g<1>{date}\g<2>{digest}", notice.read_text(encoding="utf-8"))
        if count != 1:
            raise RelaytrapError(f"{notice}: no entry for {name} with its Date and SHA-256 lines")
        notice.write_text(text, encoding="utf-8")


def check() -> int:
    """0 when each bundled file's digest stands in both NOTICE files."""
    wrong = 0
    for path in sorted(DATA.glob("*.xz")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        missing = [notice for notice in NOTICES if digest not in notice.read_text(encoding="utf-8")]
        for notice in missing:
            print(f"{path.name}: {digest} is not in {notice}", file=sys.stderr)
        wrong += len(missing)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
