"""A ClickHouse server for tests: the real engine behind ClickHouse's HTTP interface, in a process of its own.

    python -m tests.clickhouse DIRECTORY [CLUSTER]

Prints its port. Debian has no ClickHouse newer than 2018 and no registry has the server, but the engine in the process
reads a server's configuration: with CLUSTER it knows that cluster, and Distributed tables plan and run over its
shards. "one" has this node as its only shard; "two" has it twice, so that every message is seen by both shards.

What the engine cannot do without a server's threads: a queue of DDL for ON CLUSTER, and replication. The clause is
taken out of statements here (there is one node), and Replicated families stand as their plain selves;
tests/store/test_cluster.py has the engine itself make the replicated tables.
"""

import contextlib
import io
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from multipart import MultipartParser, parse_options_header

__all__ = ["CLUSTERS", "running_clickhouse", "write_configuration"]

ROOT = Path(__file__).parent.parent
SHARD = (
    "<shard><internal_replication>true</internal_replication>"
    "<replica><host>127.0.0.1</host><port>9000</port></replica></shard>"
)
CLUSTERS = {"one": 1, "two": 2}
# What the HTTP interface takes for itself.
OWN = {"query", "database", "client_protocol_version", "wait_end_of_query", "buffer_size", "session_id", "query_id"}
OWN |= {"compress", "decompress", "enable_http_compression", "send_progress_in_http_headers", "default_format"}
OWN |= {"http_headers_progress_interval_ms", "session_timeout", "session_check", "user", "password", "role"}
# An insert whose data follow in the body, behind one line end.
INSERT = re.compile(rb"\s*INSERT INTO (\S+)\s*(\([^)]*\))?\s*FORMAT (\w+)\s?\n", re.IGNORECASE)


def write_configuration(folder: Path) -> Path:
    """A server's configuration with the clusters, macros and a keeper in memory."""
    clusters = "".join(f"<{name}>{SHARD * shards}</{name}>" for name, shards in CLUSTERS.items())
    path = folder / "config.xml"
    path.write_text(
        "<clickhouse><tcp_port>9000</tcp_port><zookeeper><implementation>testkeeper</implementation></zookeeper>"
        f"<remote_servers>{clusters}</remote_servers>"
        "<macros><shard>1</shard><replica>node</replica></macros></clickhouse>"
    )
    return path


@contextlib.contextmanager
def running_clickhouse(folder: Path) -> Iterator[str]:
    """URL, without a database, of a server that keeps its data in a folder; it ends with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.clickhouse", str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        yield f"clickhouse://default:@127.0.0.1:{int(process.stdout.readline())}/"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


class Handle:
    """One thread's handle of the engine: the database and settings of the request at hand."""

    def __init__(self, place: str) -> None:
        import chdb

        self._handle = chdb.connect(place)
        self._set: dict[str, str] = {}

    def run(self, asked: dict[str, str], body: bytes) -> bytes:
        self._prepare(asked)
        params = {key.removeprefix("param_"): value for key, value in asked.items() if key.startswith("param_")}
        fmt = asked.get("default_format", "TabSeparated")
        if insert := INSERT.match(body):
            table, columns, form = ((part or b"").decode() for part in insert.groups())
            with tempfile.NamedTemporaryFile() as file:
                file.write(body[insert.end() :])
                file.flush()
                into = f"INSERT INTO {table} {columns} FROM INFILE '{file.name}' FORMAT {form}"
                return bytes(self._handle.query(into, fmt).bytes())
        sql = asked.get("query", "") + body.decode()
        sql = re.sub(r" ON CLUSTER `?\w+`?", "", sql)
        sql = re.sub(r"Replicated(\w*MergeTree)\('[^']*', '[^']*',? ?", r"\1(", sql)
        sql = re.sub(r"(?<!non_)replicated_dedup\w+_seconds = \d+, ", "", sql)
        return bytes(self._handle.query(sql.replace(" replicated_dedup", " non_replicated_dedup"), fmt, params).bytes())

    def _prepare(self, asked: dict[str, str]) -> None:
        wanted = {k: v for k, v in asked.items() if k not in OWN and not k.startswith("param_")}
        for key, value in wanted.items():
            if self._set.get(key) != value:
                self._handle.query(f"SET {key} = '{_escaped(value)}'")
        for key in self._set.keys() - wanted.keys():
            self._handle.query(f"SET {key} = DEFAULT")
        self._set = wanted
        if database := asked.get("database"):
            self._handle.query(f"USE `{database}`")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


class Door(BaseHTTPRequestHandler):
    """POST with the query as parameter or body, as ClickHouse has it."""

    protocol_version = "HTTP/1.1"
    place = ""
    handles = threading.local()

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # hubs are killed while they ask
            super().handle()

    def do_GET(self) -> None:
        self._answer(200, b"Ok.\n")

    def do_POST(self) -> None:
        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self._body()
        kind, options = parse_options_header(self.headers.get("content-type", ""))
        if kind == "multipart/form-data":  # long parameters
            asked |= {part.name: part.value for part in MultipartParser(io.BytesIO(body), options["boundary"])}
            body = b""
        if not hasattr(self.handles, "own"):
            self.handles.own = Handle(self.place)
        try:
            self._answer(200, self.handles.own.run(asked, body))
        except RuntimeError as error:
            text = str(error)
            self._answer(500, text[max(text.find("Code: "), 0) :].encode())

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if status != 200:
            code = re.match(rb"Code: (\d+)", data)
            self.send_header("X-ClickHouse-Exception-Code", code[1].decode() if code else "1")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    Door.place = f"{folder / 'engine'}?config-file={write_configuration(folder)}"
    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
