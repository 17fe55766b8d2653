"""The doors through which messages come in: sensors' segments and heartbeats, captures that the command line sends.

Each asks for a bearer token: a sensor's own, or for imports the one that the running hub left in hub.json. A segment is
acknowledged after its insert returned; anything else leaves it in the sensor's spool. A body comes into memory only
where there is room for it: one segment of a sensor at a time, and of all sensors together what web/doors.py allows.
"""

import asyncio
import hmac
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import msgspec
from litestar import Response, post
from litestar.exceptions import ClientException, NotAuthorizedException

from relaytrap.clock import parse_rfc3339
from relaytrap.errors import DiskError, InputError, StoreError
from relaytrap.hub.ingest import HubTooOld
from relaytrap.hub.keys import Keys
from relaytrap.hub.parcel import INFLATED_MAX, inflated
from relaytrap.hub.turns import HubBusy
from relaytrap.web.api.catalogue import LINES
from relaytrap.web.doors import Doors
from relaytrap.web.room import Room, RoomFull
from relaytrap.web.site import Ask, Site, TheSite
from relaytrap.web.threads import in_thread

__all__ = ["HANDLERS", "SENSOR_HANDLERS"]

HEARTBEAT_BYTES_MAX: Final = 64 << 10
RETRY_AFTER_S: Final = 5
UNREADABLE: Final = 422
BEHIND: Final = 409
UPGRADE_FIRST: Final = 426
NAME_CHARS_MAX: Final = 120
BODY_PAUSE_S: Final = 30.0
"""Without an octet for so long, a body has no end any more: a sensor gives a connection up after this time as well."""
BODY_S: Final = 600.0
"""A whole body takes no longer: 64 MiB at a megabit a second."""
ROOM_WAIT_S: Final = 2.0
"""Memory for a segment is free again when another one is stored, mostly in less; to send it twice costs a line more."""
INFLATING: Final = threading.Semaphore(2)
"""How large a segment really is shows when it is inflated: two at a time, or 128 MiB beside what there is room for."""


@post("/api/segments", status_code=200, request_max_body_size=INFLATED_MAX)
async def take_segment(request: Ask, site: TheSite) -> Response[Any]:
    """One closed spool segment of a sensor: headers X-Relaytrap-Segment (number) and X-Relaytrap-Spool, body pcapng,
    optionally Content-Encoding: deflate, then with its inflated size in X-Relaytrap-Octets. 200 {"acknowledged":
    number} once it is safely stored.

    X-Relaytrap-Acknowledged (hub/number): what the sensor believes this hub has. 409 when it has less: say so in a
    heartbeat, and hear what it has. 426 when the hub must be updated first."""
    doors = _doors(site)
    number, spool = _number(request), request.headers.get("x-relaytrap-spool", "")[:NAME_CHARS_MAX]
    packed = request.headers.get("content-encoding", "") == "deflate"
    # The token is looked at before the body is read: a stranger's 64 MiB never reach memory.
    sensor = await in_thread(_sensor, request, doors.keys)

    room = doors.segments_room
    octets = _bytes_told(request) if packed else 0

    def take(body: bytes) -> int:
        if _believed(request, doors.ledger.hub_id) > doors.ledger.highest(sensor, spool):
            raise ClientException(detail="This hub has less of this spool than it acknowledged.", status_code=BEHIND)
        with _unpacked(body, room, octets) if packed else nullcontext(body) as data:
            receipt = doors.ingest.ingest_segment(sensor, number, data, spool=spool)
        doors.keys.note_seen(sensor)
        return receipt.number

    try:
        with doors.ingest.turn(sensor):
            async with room.kept_soon(_bytes_named(request, INFLATED_MAX), ROOM_WAIT_S):
                body = await _body(request)
                # For what it is inflated to there must be room only now: on a slow line a body takes minutes.
                async with room.kept_soon(octets, ROOM_WAIT_S):
                    return Response({"acknowledged": await in_thread(take, body)})
    except RoomFull:
        return _later(503, "segments of others take all the memory there is; send it again", RoomFull.retry_after_s)
    except HubBusy:
        return _later(429, "the hub has enough to do; send it again", HubBusy.retry_after_s)
    except HubTooOld as error:
        await in_thread(doors.ledger.report, sensor, "format-newer", f"{error}.")
        return _later(UPGRADE_FIRST, str(error), HubTooOld.retry_after_s)
    except InputError as error:
        text = f"Segment {number} of {sensor} cannot be read ({error}); it stays in its spool as .refused."
        await in_thread(doors.ledger.report, sensor, "segment-unreadable", text)
        return Response({"error": str(error)}, status_code=UNREADABLE)
    except (StoreError, DiskError) as error:
        return _later(503, str(error), RETRY_AFTER_S)


@post("/api/heartbeat", status_code=200, request_max_body_size=HEARTBEAT_BYTES_MAX)
async def take_heartbeat(request: Ask, site: TheSite) -> Response[Any]:
    """What a sensor says of itself: a JSON object; `clock` is its time in RFC 3339. The answer says which hub this is,
    what it calls the sensor, and the highest segment that it has of its spool."""
    doors = _doors(site)
    sensor = await in_thread(_sensor, request, doors.keys)
    try:
        with doors.heartbeats.taken(sensor), doors.heartbeats_room.kept(_bytes_named(request, HEARTBEAT_BYTES_MAX)):
            body = await _body(request)
    except RoomFull:
        return _later(503, "too many heartbeats come at once", RoomFull.retry_after_s)
    except HubBusy:
        return _later(429, "another heartbeat of this sensor is on its way", HubBusy.retry_after_s)
    try:
        status = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # the last for brackets in brackets
        raise ClientException(detail="A heartbeat is a JSON object.") from None
    try:
        sent_at_ns = parse_rfc3339(str(status.get("clock", "")))
    except ValueError:
        sent_at_ns = None
    address = request.client.host if request.client else ""
    return Response(await in_thread(doors.vigil.take, sensor, status, sent_at_ns, address))


@post("/api/import", status_code=200, request_max_body_size=None)
async def take_capture(request: Ask, site: TheSite) -> Response[bytes]:
    """A capture file as body; query `name` (its file name) and `sensor`. One JSON object a line: what became of it."""
    doors = _doors(site)
    require_local(request, site)
    name = Path(request.query_params.get("name", "")).name.replace("\0", "")
    name = "-" if name in ("", "..") else name
    if len(name.encode()) > NAME_CHARS_MAX * 2:
        raise InputError(f"the file name has {len(name):,} characters; rename it to fewer than {NAME_CHARS_MAX}")
    sensor = request.query_params.get("sensor", "")
    folder = Path(await in_thread(_make_folder, site.config.data_dir))
    try:
        path = folder / name
        with path.open("wb") as file:
            async for chunk in request.stream():
                await in_thread(file.write, chunk)
        done = await in_thread(lambda: doors.ingest.import_captures([path], sensor=sensor))
    except OSError as error:
        raise DiskError(
            f"{folder}: the capture cannot be kept while it is read ({error.strerror}); free space"
        ) from None
    except asyncio.CancelledError:  # the hub stops: its loop waits for no thread any more
        shutil.rmtree(folder, ignore_errors=True)
        raise StoreError("the hub stops; import the file again when it runs") from None
    finally:
        if folder.exists():
            await in_thread(lambda: shutil.rmtree(folder, ignore_errors=True))
    site.answers.forget()
    return Response(b"".join(msgspec.json.encode(each.as_dict()) + b"\n" for each in done), media_type=LINES)


def require_local(request: Ask, site: Site) -> None:
    """Only who can read hub.json may change what is stored."""
    if not site.token or not hmac.compare_digest(_bearer(request).encode(), site.token.encode()):
        raise NotAuthorizedException(detail="This needs the token that hub.json holds.", headers=CHALLENGE)


CHALLENGE: Final = {"www-authenticate": 'Bearer realm="relaytrap"'}


def _make_folder(data_dir: Path) -> str:
    return tempfile.mkdtemp(prefix="import-", dir=data_dir)


def _doors(site: Site) -> Doors:
    if site.doors is None:
        raise ClientException(detail="This server shows pages only; it takes nothing in.", status_code=405)
    return site.doors


def _sensor(request: Ask, keys: Keys) -> str:
    name = keys.check(_bearer(request))
    if name is None:
        raise NotAuthorizedException(detail="No sensor has this token.", headers=CHALLENGE)
    return name


def _bearer(request: Ask) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _bytes_named(request: Ask, at_most: int) -> int:
    """How large the body is going to be; one that does not say so may become as large as it is allowed to."""
    named = request.content_length
    return at_most if named is None else min(named, at_most)


def _bytes_told(request: Ask) -> int:
    """What the sensor says that its segment is inflated to; 0 when it does not."""
    text = request.headers.get("x-relaytrap-octets", "")
    return min(int(text), INFLATED_MAX) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


async def _body(request: Ask) -> bytes:
    """The body, of a size for which there is room. 408 for one that does not go on."""
    now = asyncio.get_running_loop().time
    end, taken = now() + BODY_S, BytesIO()
    try:
        async with asyncio.timeout(BODY_PAUSE_S) as limit:
            async for piece in request.stream():
                taken.write(piece)
                limit.reschedule(min(end, now() + BODY_PAUSE_S))
    except TimeoutError:
        raise ClientException(detail="The rest of the body does not come; send it again.", status_code=408) from None
    return taken.getvalue()


@contextmanager
def _unpacked(body: bytes, room: Room, kept: int) -> Iterator[bytes]:
    """A deflated segment's bytes, while there is room for them. kept: what is kept for them already."""
    with INFLATING:
        data = inflated(body)
    with room.kept(max(0, len(data) - kept)):
        yield data


def _number(request: Ask) -> int:
    text = request.headers.get("x-relaytrap-segment", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ClientException(detail="X-Relaytrap-Segment is the segment's number.")
    return int(text)


def _believed(request: Ask, hub_id: str) -> int:
    """The highest number that the sensor believes to be here; 0 when it says nothing about this hub."""
    hub, _, number = request.headers.get("x-relaytrap-acknowledged", "").partition("/")
    return int(number) if hub == hub_id and number.isascii() and number.isdigit() and len(number) <= 18 else 0


def _later(status: int, sentence: str, seconds: int) -> Response[Any]:
    return Response({"error": sentence}, status_code=status, headers={"retry-after": str(seconds)})


SENSOR_HANDLERS = (take_segment, take_heartbeat)
HANDLERS = (*SENSOR_HANDLERS, take_capture)
