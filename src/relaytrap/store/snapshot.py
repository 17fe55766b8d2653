"""The embedded store as it is at one moment: a folder beside it that nothing writes to any more.

The engine's own BACKUP wants a server's configuration, and the embedded engine has none. FREEZE gives hard links to the
data parts, which never change; the few small files around them (definitions, tokens of past inserts) are copied.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from relaytrap.errors import DiskError
from relaytrap.store.engine import DATABASE

if TYPE_CHECKING:
    from relaytrap.store.engine import Store

__all__ = ["snapshot_store"]

PASSED_OVER: Final = frozenset({"shadow", "tmp", "detached"})


def snapshot_store(store: "Store", folder: Path) -> int:
    """Fill a new folder on the same disk with the store as it is now; gives how many messages it holds.

    Inserts wait meanwhile: a second at most. Raises DiskError when there is no room.
    """
    source = store.data_dir / "store"
    tables = _tables(store)
    try:
        with store.gate.alone(), _frozen(store, list(tables)) as shadow:
            shutil.copytree(source, folder, symlinks=True, ignore=lambda path, names: _left_out(path, names, tables))
            shutil.copytree(shadow, folder, symlinks=True, copy_function=os.link, dirs_exist_ok=True)
            return int(store.row("SELECT count() AS n FROM messages")["n"])
    except OSError as error:
        raise DiskError(f"{folder}: the store cannot be copied there ({error.strerror}); free space") from None


def _tables(store: "Store") -> dict[str, str]:
    """Tables that have parts, and the real folder of each."""
    sql = (
        "SELECT name, data_paths[1] AS folder FROM system.tables "
        "WHERE database = {database:String} AND engine LIKE '%MergeTree'"
    )
    return {row["name"]: os.path.realpath(row["folder"]) for row in store.rows(sql, {"database": DATABASE})}


def _left_out(path: str, names: list[str], tables: dict[str, str]) -> set[str]:
    """Parts come from the shadow; a table's folder holds besides them its tokens and a few files."""
    found = set(PASSED_OVER.intersection(names))
    if os.path.realpath(path) in tables.values():
        found |= {name for name in names if os.path.isdir(os.path.join(path, name)) and name != "deduplication_logs"}
    return found


@contextmanager
def _frozen(store: "Store", tables: list[str]) -> Iterator[Path]:
    name = f"backup{secrets.token_hex(8)}"  # letters and digits: the engine escapes all else in the folder's name
    shadow = store.data_dir / "store" / "shadow" / name
    try:
        for table in tables:
            store.command(f"ALTER TABLE {table} FREEZE WITH NAME '{name}'")
        shadow.mkdir(parents=True, exist_ok=True)  # a store without a single part makes none
        yield shadow
    finally:
        shutil.rmtree(shadow, ignore_errors=True)
