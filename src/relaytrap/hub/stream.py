"""Several hubs behind one JetStream stream: the hub that a sensor joined puts its segments in, any hub takes them out.

Segments travel in parcels (parcel.py, outbox.py). The sensor is answered when the stream has its parcel; the stream
forgets that when a hub's insert returned. A hub that dies in between leaves its parcels to the others after
ACK_WAIT_S. What is delivered again is stored once: by the insert's token, and by asking the store what it has of it,
because the store forgets tokens after a while.

A marked parcel may hold what another one holds that lies before it. Asking the store is of use only when that one is
stored, so a mark is a number: the last that the stream had when the hub that marks began. The parcel goes back until
the stream has let go of all up to there. That cannot go on for ever: what is not marked does not wait, and of marked
ones each waits for lower numbers alone.

Everything here runs in one thread with an event loop of its own; what blocks (parsing, inserting) runs in threads.
"""

import asyncio
import logging
import secrets
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

from relaytrap.errors import ConfigError, InputError, MissingExtra, RelaytrapError, StoreError
from relaytrap.hub.arrival import EPOCH_MAX_NS
from relaytrap.hub.ingest import HubTooOld, Ingest, Taken
from relaytrap.hub.outbox import NotTaken, Outbox
from relaytrap.hub.parcel import Parcel, Segment, inflated, unpack
from relaytrap.hub.turns import HubBusy

if TYPE_CHECKING:
    from nats.aio.msg import Msg

__all__ = ["Stream"]

log = logging.getLogger(__name__)

STREAM: Final = "RELAYTRAP"
SEGMENTS: Final = "relaytrap.segments"
TAKEN: Final = "relaytrap.taken"
GROUP: Final = "hubs"
ACK_WAIT_S: Final = 30.0
DUPLICATES_S: Final = 600.0
"""A parcel that is put in again within this time is there once, unless it was taken out and the stream killed."""
PUBLISH_S: Final = 10.0
CONNECT_S: Final = 5.0
FETCH_S: Final = 2.0
RETRY_S: Final = 5.0
TURN_S: Final = 0.5
"""After this a marked parcel that had to go back is handed out again."""
TRIES: Final = 3
"""From the third time on, a segment at which workers die is put aside: its parcel holds others, and others wait for
it. The parcel stays whole: stored in pieces, under other tokens, it would be doubled by an insert that was believed
to have failed and goes on."""
INSERTING: Final = 2
"""Parcels at work beyond those that a worker process has: they are inserted meanwhile."""
CONFLICT: Final = 409
FORMAT: Final = "1"
DIGITS_MAX: Final = 19
HEADERS_BYTES: Final = 4096
"""Room for subject and headers within the largest message."""


class Stream:
    """A hub's way to the stream and from it. Start it once; close it before the ingest."""

    def __init__(self, url: str, ingest: Ingest, at_once: int = 0) -> None:
        """at_once: parcels that this hub works on at a time; 0 for some more than it has worker processes."""
        self._url = url
        self._ingest = ingest
        self._at_once = at_once = at_once or ingest.workers + INSERTING
        self._name = secrets.token_hex(8)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stream", daemon=True)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="stream")
        self._client: Any = None
        self._mark = 0
        self._message_bytes = 0
        self._closing = False
        self._consumer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, make the stream when there is none, and begin to take. Raises ConfigError or MissingExtra."""
        if self._ingest.store.embedded:
            raise ConfigError(
                "hub.nats_url: hubs that share segments need a store that they share; name its server in store.url"
            )
        try:
            import nats.errors
        except ImportError:
            raise MissingExtra("hub.nats_url needs the package nats-py; install relaytrap[nats]") from None
        self._thread.start()
        try:
            self._run(self._connect(), CONNECT_S + PUBLISH_S)
        except (OSError, TimeoutError, nats.errors.Error) as error:
            self.close()
            raise ConfigError(
                f"hub.nats_url: no JetStream at {urlsplit(self._url).netloc.rpartition('@')[2]} "
                f"({error or type(error).__name__}); start nats-server with -js there"
            ) from None
        outbox = Outbox(self._publish, self._ingest.ledger, self._message_bytes - HEADERS_BYTES)
        self._ingest.pass_on = outbox.put
        self._ingest.listeners.append(self._announce)

    def close(self) -> None:
        """Finish what is at work and go; what is left stays in the stream for other hubs, or for later.

        Sensors are sent away from now on: what was put into the stream must not be stored beside it.
        """
        self._closing = True
        if self._thread.is_alive():
            try:
                self._run(self._disconnect(), ACK_WAIT_S)
            except TimeoutError:
                log.warning("the stream could not be left in order; unfinished segments come again")
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._threads.shutdown()
        self._loop.close()

    def _publish(self, parcel: Parcel, marked: bool) -> None:
        import nats.errors
        from nats.js.errors import APIError

        if self._closing or not self._client.is_connected:
            raise NotTaken("the stream of hub.nats_url is away")
        headers = {"Nats-Msg-Id": quote(parcel.token, safe="/"), "Parcel": FORMAT}
        if marked:
            headers["After"] = str(self._mark)
        publishing = self._client.jetstream().publish(SEGMENTS, parcel.payload, timeout=PUBLISH_S, headers=headers)
        try:
            self._run(publishing, PUBLISH_S * 2)
        except APIError as error:
            # The server says no; but CONFLICT is that another one of this name is on its way in.
            refused = StoreError if error.code == CONFLICT else NotTaken
            raise refused(f"the stream of hub.nats_url refuses a segment ({error})") from None
        except (OSError, TimeoutError, nats.errors.Error) as error:
            raise StoreError(f"the stream of hub.nats_url did not take a segment ({error})") from None

    def _run(self, work: Coroutine[Any, Any, Any], seconds: float) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    async def _connect(self) -> None:
        import nats
        from nats.js.api import ConsumerConfig, DiscardPolicy, RetentionPolicy, StorageType, StreamConfig
        from nats.js.errors import NotFoundError

        self._client = await asyncio.wait_for(
            nats.connect(self._url, name="relaytrap", max_reconnect_attempts=-1, reconnect_time_wait=1, error_cb=_note),
            CONNECT_S,
        )
        stream = self._client.jetstream()
        try:
            info = await stream.stream_info(STREAM)  # an operator's own, with replicas or limits, is left as it is
        except NotFoundError:
            made = StreamConfig(STREAM, subjects=[SEGMENTS], retention=RetentionPolicy.WORK_QUEUE)
            made = made.evolve(storage=StorageType.FILE, discard=DiscardPolicy.NEW, duplicate_window=DUPLICATES_S)
            info = await stream.add_stream(made)
        self._mark = info.state.last_seq
        limit = info.config.max_msg_size or 0  # of an operator's own; -1 is none
        self._message_bytes = min(self._client.max_payload, limit) if limit > 0 else self._client.max_payload
        config = ConsumerConfig(durable_name=GROUP, ack_wait=ACK_WAIT_S, max_ack_pending=4096)
        subscription = await stream.pull_subscribe(SEGMENTS, durable=GROUP, stream=STREAM, config=config)
        await self._client.subscribe(TAKEN, cb=self._hear)
        self._consumer = self._loop.create_task(self._consume(subscription))

    async def _disconnect(self) -> None:
        if self._consumer is not None:
            self._consumer.cancel()
            await asyncio.gather(self._consumer, return_exceptions=True)
        if self._client is not None:
            await self._client.close()

    async def _consume(self, subscription: Any) -> None:
        """Take parcels one by one, `at_once` of them at work; ends with those at work when cancelled."""
        import nats.errors

        places = asyncio.Semaphore(self._at_once)
        working: set[asyncio.Task[None]] = set()
        try:
            while True:
                await places.acquire()
                message = None
                try:
                    (message,) = await subscription.fetch(1, FETCH_S)
                except (TimeoutError, nats.errors.Error) as error:
                    if not isinstance(error, TimeoutError):  # an empty stream is no news
                        log.warning("the stream does not answer: %s", error)
                        await asyncio.sleep(1)
                if message is None:
                    places.release()
                    continue
                task = asyncio.create_task(self._take(message))
                working.add(task)
                task.add_done_callback(working.discard)
                task.add_done_callback(lambda _: places.release())
        finally:
            await asyncio.gather(*working, return_exceptions=True)

    async def _take(self, message: "Msg") -> None:
        import nats.errors

        alive = asyncio.create_task(_keep(message))
        try:
            try:
                is_its_turn = await self._is_its_turn(message)
            except (nats.errors.Error, TimeoutError) as error:
                log.warning(
                    "the stream does not say what a marked parcel waits for, it comes again: %s", error or "no answer"
                )
                return
            if not is_its_turn:
                await message.nak(delay=TURN_S)
                return
            try:
                await self._loop.run_in_executor(self._threads, self._store, message)
            except (RelaytrapError, HubBusy, HubTooOld) as error:
                log.warning("a parcel goes back to the stream: %s", error or type(error).__name__)
                await message.nak(delay=RETRY_S)
            else:
                await message.ack()
        except (nats.errors.Error, TimeoutError) as error:
            log.warning("a parcel's receipt did not reach the stream, it comes again: %s", error or "no answer")
        except Exception:  # the edge of one unit of work: the stream delivers it again
            log.exception("a parcel could not be taken")
        finally:
            alive.cancel()

    async def _is_its_turn(self, message: "Msg") -> bool:
        """Whether all that a marked parcel must wait for is stored; others wait for nothing."""
        mark = _mark_of(message)
        if mark is None:
            return True
        # A stream that was made anew counts from one again: no mark reaches beyond the parcel itself.
        last = min(mark, message.metadata.sequence.stream - 1)
        stream = self._client.jetstream()
        if (await stream.stream_info(STREAM)).state.first_seq > last:
            return True
        # An operator's own stream may keep what was taken out.
        floor = (await stream.consumer_info(STREAM, GROUP)).ack_floor
        return floor is not None and floor.stream_seq >= last

    def _store(self, message: "Msg") -> None:
        if (message.headers or {}).get("Parcel", FORMAT) != FORMAT:
            raise StoreError("a parcel of a newer form is in the stream: update this hub")
        try:
            segments = _segments(message)
        except (KeyError, ValueError, InputError) as error:
            log.error(
                "something that is no parcel was in the stream, and is dropped bytes=%d: %s", len(message.data), error
            )
            return
        times = message.metadata.num_delivered
        self._ingest.store_parcel(segments, again=times > 1 or _mark_of(message) is not None, patient=times < TRIES)

    def _announce(self, taken: Taken) -> None:
        """Tell the other hubs what was stored: one of them analyses, all of them show."""
        text = f"{self._name} {taken.messages} {taken.first_ns} {taken.last_ns}".encode()
        if not self._client.is_closed:
            asyncio.run_coroutine_threadsafe(self._client.publish(TAKEN, text), self._loop)

    async def _hear(self, message: "Msg") -> None:
        name, taken = _told(message.data)
        if taken is not None and name != self._name:
            others = [listener for listener in self._ingest.listeners if listener != self._announce]
            await self._loop.run_in_executor(None, lambda: [listener(taken) for listener in others])


def _told(data: bytes) -> tuple[str, Taken | None]:
    """Which hub says that it stored something, and what; None for what no hub says."""
    name, *numbers = data.decode("ascii", "replace").split() or [""]
    if len(numbers) != 3 or not all(number.isdigit() and len(number) <= DIGITS_MAX for number in numbers):
        return name, None
    taken = Taken(*map(int, numbers))
    return name, taken if taken.first_ns <= taken.last_ns <= EPOCH_MAX_NS else None


def _segments(message: "Msg") -> list[Segment]:
    headers = message.headers or {}
    # The stream's word for it, the same however often and to whom it hands the parcel out: what is stored under one
    # token must lie on the same days.
    arrived_ns = int(message.metadata.timestamp.timestamp() * 1e9)
    if "Sensor" not in headers:
        return unpack(message.data, arrived_ns)
    # One segment, as hubs put it in before there were parcels.
    names = unquote(headers["Sensor"]), unquote(headers["Spool"])
    return [Segment(*names, int(headers["Number"]), inflated(message.data), arrived_ns)]


def _mark_of(message: "Msg") -> int | None:
    """The number up to which a marked parcel waits; None for one that does not."""
    mark = (message.headers or {}).get("After", "")
    return int(mark) if mark.isascii() and mark.isdigit() and len(mark) <= 20 else None


async def _keep(message: "Msg") -> None:
    """Tell the stream now and then that a parcel is still at work."""
    import nats.errors

    while True:
        await asyncio.sleep(ACK_WAIT_S / 3)
        try:
            await message.in_progress()
        except nats.errors.Error as error:
            log.info("the stream could not be told of work in progress: %s", error)


async def _note(error: Exception) -> None:
    log.warning("nats: %s", error or type(error).__name__)
