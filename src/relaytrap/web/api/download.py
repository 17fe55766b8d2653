"""GET /messages.pcapng: the messages that a filter finds, byte for byte, for Wireshark and sngrep."""

import io
from collections.abc import Generator, Iterator, Mapping
from typing import Any, Final

from litestar import get
from litestar.response import Stream

from relaytrap.capture.pcapng import SegmentWriter
from relaytrap.observation import Observation
from relaytrap.store.queries import FIELDS, parse_filter
from relaytrap.store.queries.messages import export_messages
from relaytrap.web.file_names import safe_name
from relaytrap.web.site import Ask, TheSite
from relaytrap.web.streaming import streamed

__all__ = ["HANDLERS"]

MESSAGES_MAX: Final = 100_000
PIECE_BYTES: Final = 1 << 16


@get("/messages.pcapng", sync_to_thread=True, include_in_schema=False)
def download(request: Ask, site: TheSite) -> Stream:
    """At most 100,000 messages, oldest first."""
    given = {name: value for name, value in request.query_params.items() if name in FIELDS}
    where = parse_filter(given, site.now_ns())
    name = safe_name("-".join(["relaytrap", *given.values()]))
    rows = export_messages(site.store, where, limit=MESSAGES_MAX)
    return streamed(
        _segment(_observation(row) for row in rows),
        "application/octet-stream",
        {"content-disposition": f'attachment; filename="{name}.pcapng"', "cache-control": "no-store"},
    )


def _observation(row: Mapping[str, Any]) -> Observation:
    fields = {name: row[name] for name in Observation.__struct_fields__}
    return Observation(**fields | {"notes": tuple(row["notes"])})


def _segment(observations: Iterator[Observation]) -> Generator[bytes, None, None]:
    sink = io.BytesIO()
    writer = SegmentWriter(sink, sensor="download")
    for observation in observations:
        writer.write(observation)
        if sink.tell() >= PIECE_BYTES:
            yield _taken(sink)
    yield _taken(sink)


def _taken(sink: io.BytesIO) -> bytes:
    piece = sink.getvalue()
    sink.seek(0)
    sink.truncate()
    return piece


HANDLERS = (download,)
