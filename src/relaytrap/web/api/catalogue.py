"""GET /api/<name>: rows of one question of the store's catalogue, as one JSON document or as one object a line."""

from collections.abc import Generator, Iterable
from typing import Any, Final

import msgspec
from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from relaytrap.store.queries import CATALOGUE, run_query
from relaytrap.web.site import Ask, TheSite
from relaytrap.web.streaming import streamed

__all__ = ["HANDLERS", "LINES"]

ENCODER: Final = msgspec.json.Encoder()
LINES: Final = "application/x-ndjson"
# Rows are sent in pieces of about this size: one thread switch for each row would cost more than the row.
PIECE_BYTES: Final = 1 << 16


@get("/api/{name:str}", sync_to_thread=True)
def catalogue(request: Ask, site: TheSite, name: FromPath[str]) -> Response[Any]:
    """Rows of one question. `format=lines` (or Accept: application/x-ndjson) streams one JSON object a line."""
    if name not in CATALOGUE:
        raise NotFoundException(detail=f"There is no /api/{name[:60]}; /api lists what there is.")
    given = dict(request.query_params)
    wanted = given.pop("format", "")
    rows = run_query(site.store, name, given, site.now_ns())
    if wanted == "lines" or request.headers.get("accept", "").startswith(LINES):
        return streamed(_pieces(rows), LINES)
    body = ENCODER.encode({"query": name, "rows": list(rows)})
    return Response(body, media_type="application/json", headers={"cache-control": "no-cache"})


def _pieces(rows: Iterable[dict[str, Any]]) -> Generator[bytes, None, None]:
    piece = bytearray()
    for row in rows:
        piece += ENCODER.encode(row) + b"\n"
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


HANDLERS = (catalogue,)
