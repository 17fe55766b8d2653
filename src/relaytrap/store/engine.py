"""The store: opens the embedded engine or a server, and is the only way to it. All SQL reaches it through here.

One process owns the embedded engine's directory (store/lock.py). Clients are handed out from a pool, each to one thread
at a time, because the driver serialises the calls of one client; a stream keeps its client until it ends.
"""

import contextlib
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import msgspec

from relaytrap.config import StoreConfig
from relaytrap.errors import DiskError, StoreError
from relaytrap.sip.uri import host_port
from relaytrap.store.gate import Gate
from relaytrap.store.lock import DirectoryLock
from relaytrap.store.schema import Layout, quoted

__all__ = ["Store", "server_of"]

log = logging.getLogger(__name__)
# It logs what it raises: where nobody set up a log, that would stand beside our one sentence.
logging.getLogger("clickhouse_connect").addHandler(logging.NullHandler())
Row = dict[str, Any]

DATABASE: Final = "relaytrap"
SCHEMES: Final = ("clickhouse", "clickhouses", "http", "https")
# One insert is one block, so that a token names all of it or nothing.
BLOCK_ROWS: Final = 1 << 20
BLOCK_BYTES: Final = 1 << 30
NO_SPACE_CODES: Final = frozenset({"243", "74", "75"})


class Store:
    """Messages and what is derived from them. Thread-safe; open one for each process."""

    def __init__(self, config: StoreConfig, data_dir: Path) -> None:
        """Open, locking the data directory, and bring the schema up to date.

        Raises StoreLocked, StoreTooNew, DiskError or StoreError, each with one sentence.
        """
        self.config = config
        self.data_dir = data_dir
        server_of(config)
        self.database = _database(config)
        self.layout = Layout(config.cluster, self.database)
        self.gate = Gate()
        self._idle: list[Any] = []
        self._all: list[Any] = []
        self._mutex = threading.Lock()
        self._closed = False
        self._lock = DirectoryLock(data_dir)
        try:
            self._connect_first()
            from relaytrap.store.migrations import migrate

            migrate(self)
        except BaseException:
            self.close()
            raise

    @property
    def embedded(self) -> bool:
        """The engine runs in this process (no server is configured)."""
        return not self.config.url

    def rows(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """All rows of a SELECT as dicts; parameters are bound as `{name:Type}`."""
        data = self.raw(sql, params)
        return [DECODER.decode(line) for line in data.splitlines()] if data else []

    def row(self, sql: str, params: Mapping[str, Any] | None = None) -> Row:
        """The only row of an aggregate."""
        return self.rows(sql, params)[0]

    def stream(self, sql: str, params: Mapping[str, Any] | None = None) -> Iterator[Row]:
        """Rows of a SELECT one by one, in bounded memory; close the iterator to stop early."""
        with (
            self._client() as client,
            _sentences(self.embedded),
            client.raw_stream(f"{sql} FORMAT JSONEachRow", _bound(params)) as data,
        ):
            rest = b""
            while chunk := data.read(1 << 18):
                lines = (rest + chunk).split(b"\n")
                rest = lines.pop()
                for line in lines:
                    yield DECODER.decode(line)

    def raw(self, sql: str, params: Mapping[str, Any] | None = None, fmt: str = "JSONEachRow") -> bytes:
        """The result of a SELECT in one of ClickHouse's formats."""
        with self._client() as client, _sentences(self.embedded):
            data: bytes = client.raw_query(f"{sql} FORMAT {fmt}", parameters=_bound(params))
        return data

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        """Run a statement that returns no rows."""
        with self._client() as client, _sentences(self.embedded):
            client.command(sql, parameters=_bound(params))

    def insert_block(self, table: str, block: bytes | Iterable[bytes], token: str) -> None:
        """Insert one Native block (store/native.py); a token seen before changes nothing. Durable when it returns.

        The engine takes blocks one behind the other as one, so it may come in pieces, which are let go of here as they
        are handed on. Blocks for `messages` wait while a day is being replaced.
        """
        settings = {"insert_deduplication_token": token}
        if not self.embedded and not isinstance(block, bytes):
            block = b"".join(block)  # what lies in one piece, the driver sends again over a new connection
        turn = self.gate.passing() if table == "messages" else contextlib.nullcontext()
        with turn, self._client() as client, _sentences(self.embedded):
            client.raw_insert(table, insert_block=block, fmt="Native", settings=settings)

    def spare_memory(self) -> None:
        """Let the engine in this process give back what it holds and does not use: 160 MB after an import of 200,000
        messages, twice that after their analysis. Where it was built with another allocator it does not."""
        if self.embedded:
            with contextlib.suppress(StoreError):
                self.command("SYSTEM JEMALLOC PURGE")

    def insert_rows(self, table: str, rows: list[Row]) -> None:
        """Insert a few dicts (findings, small tables): values as JSON, keys as column names."""
        if not rows:
            return
        settings = {"insert_deduplicate": 0}
        block = b"\n".join(ENCODER.encode(row) for row in rows)
        with self._client() as client, _sentences(self.embedded):
            client.raw_insert(table, list(rows[0]), insert_block=block, fmt="JSONEachRow", settings=settings)

    def close(self) -> None:
        """Let go of engine and directory; another Store may be opened afterwards, at any path."""
        self._closed = True
        with self._mutex:
            clients, self._all, self._idle = self._all, [], []
        for client in clients:
            client.close()
        self._lock.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect_first(self) -> None:
        first = self._connect(None if self.embedded else "default")
        with _sentences(self.embedded):
            first.command(f"CREATE DATABASE IF NOT EXISTS {quoted(self.database)}{self.layout.on_cluster}")
            first.database = self.database
        self._idle.append(first)

    @contextlib.contextmanager
    def _client(self) -> Iterator[Any]:
        if self._closed:
            raise StoreError(f"the store in {self.data_dir} is closed; open it again")
        with self._mutex:
            client = self._idle.pop() if self._idle else None
        if client is None:
            client = self._connect(self.database)
        try:
            yield client
        finally:
            with self._mutex:
                if client in self._all:
                    self._idle.append(client)

    def _connect(self, database: str | None) -> Any:
        import clickhouse_connect
        from clickhouse_connect.driver.exceptions import ClickHouseError

        settings = _session_settings(self.config)
        try:
            if self.embedded:
                path = self.data_dir / "store"
                path.mkdir(parents=True, exist_ok=True)
                options: dict[str, Any] = {"interface": "chdb", "path": str(path)}
            else:
                # Sessions would tie a client to one node, and hold up its next question while one is open.
                options = {"dsn": self.config.url, "secure": _is_secure(self.config), "autogenerate_session_id": False}
            if database is not None:
                options["database"] = database
            client = clickhouse_connect.get_client(**options, settings=settings)
        except OSError as error:
            raise DiskError(f"{self.data_dir}: the store cannot be made there ({error.strerror})") from None
        except (ClickHouseError, RuntimeError, ValueError) as error:
            why = _first_line(error) if self.embedded else _reason(error)
            raise StoreError(f"{self._where()}: the store cannot be opened: {why}") from None
        with self._mutex:
            self._all.append(client)
        return client

    def _where(self) -> str:
        server = server_of(self.config)  # never the whole address: it holds the password
        return f"the ClickHouse server {host_port(*server)}" if server else str(self.data_dir / "store")


ENCODER: Final = msgspec.json.Encoder()
DECODER: Final = msgspec.json.Decoder()


def _session_settings(config: StoreConfig) -> dict[str, Any]:
    return (_embedded_limits(config) if not config.url else CLUSTER_SETTINGS if config.cluster else {}) | {
        "max_insert_block_size": BLOCK_ROWS,
        "min_insert_block_size_rows": BLOCK_ROWS,
        "min_insert_block_size_bytes": BLOCK_BYTES,
        "max_partitions_per_insert_block": 0,
        "deduplicate_blocks_in_dependent_materialized_views": 1,
        # What is inserted into sums is summed up already, one row for each key: going through it again as a merge does
        # took half of the time that tracks take, and a sixth of that of messages.
        "optimize_on_insert": 0,
        # A batch is safe, and known by its token, when its insert returns: the server must not collect it first.
        "async_insert": 0,
        # With FINAL as well: only conditions on a table's key are moved then, which all versions of a row share.
        "optimize_move_to_prewhere_if_final": 1,
        "output_format_json_quote_64bit_integers": 0,
        "session_timezone": "UTC",
    }


def _embedded_limits(config: StoreConfig) -> dict[str, Any]:
    """What one query may take of this process; a server has limits of its own."""
    return {
        "max_memory_usage": config.memory_bytes,
        "max_bytes_before_external_group_by": config.memory_bytes // 2,
        "max_bytes_before_external_sort": config.memory_bytes // 2,
        "max_threads": config.threads,
    }


CLUSTER_SETTINGS: Final = {
    # An insert returns when every shard has its part on the disk.
    "distributed_foreground_insert": 1,
    # A set of messages inside a question about messages is made once, over all shards.
    "distributed_product_mode": "global",
}


def server_of(config: StoreConfig, given: str = "store.url") -> tuple[str, int] | None:
    """Host and port of the server that keeps the store; None for the embedded engine. given: where its address stands.

    Raises StoreError for settings that name no server, or a cluster and none.
    """
    if not config.url:
        if config.cluster:
            raise StoreError(
                "store.cluster names a cluster and store.url no server; give a node's address in store.url"
            )
        return None
    try:
        parts = urlsplit(config.url)
        host, port = parts.hostname, parts.port
    except ValueError:  # a port that is none
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in SCHEMES or not host:
        raise StoreError(
            f"{given} is no address of a ClickHouse server; write clickhouse://user:password@host:port/database"
        )
    return host, port or (8443 if _is_secure(config) else 8123)


def _database(config: StoreConfig) -> str:
    return unquote(urlsplit(config.url).path).strip("/") or DATABASE


def _is_secure(config: StoreConfig) -> bool:
    parts = urlsplit(config.url)
    return parts.scheme in ("https", "clickhouses") or parts.port in (443, 8443)


def _bound(params: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return dict(params) if params else None


@contextlib.contextmanager
def _sentences(embedded: bool) -> Iterator[None]:
    """Turns the driver's errors into ours: no room on the disk, and no server, apart from everything else."""
    from clickhouse_connect.driver.exceptions import ClickHouseError, OperationalError

    try:
        yield
    except ClickHouseError as error:
        text = _first_line(error)
        if "No space left" in str(error) or any(f"Code: {code}." in str(error) for code in NO_SPACE_CODES):
            raise DiskError(
                f"the store has no room to write ({text}); free space or lower store.retention_bytes"
            ) from error
        if isinstance(error, OperationalError) and not embedded:
            raise StoreError(
                f"the ClickHouse server of store.url does not answer ({_reason(error)}); see that it runs"
            ) from error
        raise StoreError(f"the store refused a statement: {text}") from error
    except OSError as error:
        raise DiskError(f"the store cannot write ({error.strerror}); free space or give permission") from error


def _reason(error: BaseException) -> str:
    """The innermost cause: the driver wraps the system's words in its own."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return (error.strerror if isinstance(error, OSError) else "") or _first_line(error)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__
