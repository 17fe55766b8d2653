"""Several hubs behind one JetStream stream: the hub that a sensor joined puts its segments in, any hub takes them out.

The sensor is answered when the stream has the segment; the stream forgets it when a hub's insert returned. A hub that
dies in between leaves its segments to the others after ACK_WAIT_S. What is delivered again is stored once: by the
insert's token, and by asking the store what it has of it, because the store forgets tokens after a while.

Everything here runs in one thread with an event loop of its own; what blocks (parsing, inserting) runs in threads.
"""

import asyncio
import logging
import secrets
import threading
import zlib
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

from relaytrap.errors import ConfigError, InputError, MissingExtra, RelaytrapError, StoreError
from relaytrap.hub.ingest import HubBusy, HubTooOld, Ingest, Segment, Taken

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
"""A segment that a sensor sends again within this time is not put in twice."""
PUBLISH_S: Final = 10.0
CONNECT_S: Final = 5.0
FETCH_S: Final = 2.0
RETRY_S: Final = 5.0
HEADERS_BYTES: Final = 4096
"""Room for subject and headers within the server's max_payload."""


class Stream:
    """A hub's way to the stream and from it. Start it once; close it before the ingest."""

    def __init__(self, url: str, ingest: Ingest, at_once: int = 4) -> None:
        """at_once: segments that this hub works on at a time."""
        self._url = url
        self._ingest = ingest
        self._at_once = at_once
        self._name = secrets.token_hex(8)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stream", daemon=True)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="stream")
        self._client: Any = None
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
        self._ingest.pass_on = self.put
        self._ingest.listeners.append(self._announce)

    def put(self, segment: Segment) -> bool:
        """Put a segment into the stream; returns when it is there. False: too large, store it yourself.

        Raises StoreError when there is no answer; the sensor keeps its segment then.
        """
        import nats.errors

        payload = zlib.compress(segment.data, 1)
        if len(payload) + HEADERS_BYTES > self._client.max_payload:
            return False
        headers = {
            "Nats-Msg-Id": f"{quote(segment.token, safe='/')}",
            "Sensor": quote(segment.sensor),
            "Spool": quote(segment.spool),
            "Number": str(segment.number),
        }
        stream = self._client.jetstream()
        try:
            self._run(stream.publish(SEGMENTS, payload, timeout=PUBLISH_S, headers=headers), PUBLISH_S * 2)
        except (OSError, TimeoutError, nats.errors.Error) as error:
            raise StoreError(f"the stream of hub.nats_url did not take a segment ({error})") from None
        return True

    def close(self) -> None:
        """Finish what is at work and go; what is left stays in the stream for other hubs, or for later."""
        self._ingest.pass_on = None
        if self._thread.is_alive():
            try:
                self._run(self._disconnect(), ACK_WAIT_S)
            except TimeoutError:
                log.warning("the stream could not be left in order; unfinished segments come again")
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._threads.shutdown()
        self._loop.close()

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
            await stream.stream_info(STREAM)  # an operator's own, with replicas or limits, is left as it is
        except NotFoundError:
            made = StreamConfig(STREAM, subjects=[SEGMENTS], retention=RetentionPolicy.WORK_QUEUE)
            made = made.evolve(storage=StorageType.FILE, discard=DiscardPolicy.NEW, duplicate_window=DUPLICATES_S)
            await stream.add_stream(made)
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
        """Take segments one by one, `at_once` of them at work; ends with those at work when cancelled."""
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
                await self._loop.run_in_executor(self._threads, self._store, message)
            except (RelaytrapError, HubBusy, HubTooOld) as error:
                log.warning("a segment goes back to the stream: %s", error or type(error).__name__)
                await message.nak(delay=RETRY_S)
            else:
                await message.ack()
        except nats.errors.Error as error:
            log.warning("a segment's receipt did not reach the stream, it comes again: %s", error)
        except Exception:  # the edge of one unit of work: the stream delivers it again
            log.exception("a segment could not be taken")
        finally:
            alive.cancel()

    def _store(self, message: "Msg") -> None:
        headers = message.headers or {}
        try:
            data = zlib.decompress(message.data)
            segment = Segment(unquote(headers["Sensor"]), unquote(headers["Spool"]), int(headers["Number"]), data)
        except (KeyError, ValueError, zlib.error):
            log.error("something that is no segment was in the stream, and is dropped bytes=%d", len(message.data))
            return
        try:
            self._ingest.store_segment(segment, again=message.metadata.num_delivered > 1)
        except InputError as error:
            self._ingest.refuse(segment, str(error))

    def _announce(self, taken: Taken) -> None:
        """Tell the other hubs what was stored: one of them analyses, all of them show."""
        text = f"{self._name} {taken.messages} {taken.first_ns} {taken.last_ns}".encode()
        if not self._client.is_closed:
            asyncio.run_coroutine_threadsafe(self._client.publish(TAKEN, text), self._loop)

    async def _hear(self, message: "Msg") -> None:
        name, *numbers = message.data.decode("ascii", "replace").split()
        if name != self._name and len(numbers) == 3 and all(number.isdigit() for number in numbers):
            taken = Taken(*map(int, numbers))
            others = [listener for listener in self._ingest.listeners if listener != self._announce]
            await self._loop.run_in_executor(None, lambda: [listener(taken) for listener in others])


async def _keep(message: "Msg") -> None:
    """Tell the stream now and then that a segment is still at work."""
    import nats.errors

    while True:
        await asyncio.sleep(ACK_WAIT_S / 3)
        try:
            await message.in_progress()
        except nats.errors.Error as error:
            log.info("the stream could not be told of work in progress: %s", error)


async def _note(error: Exception) -> None:
    log.warning("nats: %s", error or type(error).__name__)
