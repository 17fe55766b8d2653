"""One worker process: observations in, blocks out, over a socket it inherits. It opens no store and owns no file.

Started by workers.py as `python -m relaytrap.hub.worker FD`; ends when its parent does, because the socket closes.
"""

import logging
import marshal
import pickle
import signal
import sys
from io import BytesIO
from multiprocessing.connection import Connection
from typing import Any, Final

import msgspec

from relaytrap.config import Config
from relaytrap.errors import InputError, RelaytrapError
from relaytrap.garbage import spare_collections
from relaytrap.hub.arrival import Calendar
from relaytrap.hub.batch import Batch, make_batch
from relaytrap.hub.rows import RowSetting
from relaytrap.observation import Observation

__all__ = ["serve"]

log = logging.getLogger(__name__)

UNPACK: Final = msgspec.msgpack.Decoder(list[Observation]).decode


def serve(connection: Connection) -> None:
    """Answer jobs until the other side goes. The first message is the settings, pickled; jobs are marshalled.

    An answer is a Batch's fields, or a pair: whether the input is to blame, and a sentence. What is wrong with
    the settings is the answer to each job, until they can be used.
    """
    config: Config = pickle.loads(connection.recv_bytes())
    setting: RowSetting | None = None
    while True:
        try:
            job = connection.recv_bytes()
        except (EOFError, OSError):  # the latter when the hub was killed in the middle of a job
            return
        try:
            if setting is None:
                setting = RowSetting.of(config)
                spare_collections()
            answer: Any = _done(marshal.loads(job), setting)
        except InputError as error:
            answer = True, str(error)
        except RelaytrapError as error:
            answer = False, str(error)
        except Exception as error:  # the edge of one unit of work; the parent tells it
            log.exception("job failed")
            answer = False, f"{type(error).__name__}: {error}"
        try:
            connection.send_bytes(marshal.dumps(answer))
        except ConnectionError:  # the hub was killed meanwhile
            return


def _done(job: tuple[Any, ...], setting: RowSetting) -> tuple[Any, ...]:
    kind, ingested_ms, known, payload = job
    if kind == "segment":
        data, sensor, arrived_ns = payload
        batch = segment_batch(data, sensor, arrived_ns, setting, ingested_ms, frozenset(known))
    else:
        batch = make_batch(UNPACK(payload), setting, ingested_ms, known=frozenset(known))
    return batch.rows, batch.skipped, batch.first_ns, batch.last_ns, batch.block


def segment_batch(
    data: bytes,
    sensor: str,
    arrived_ns: int,
    setting: RowSetting,
    ingested_ms: int,
    known: frozenset[int] = frozenset(),
) -> Batch:
    """The rows of a sensor's segment. The sensor's name is the one its token says, not the one the segment says.

    arrived_ns: when it came to a hub, which may be before ingested_ms; stands in for times that are not believed.
    """
    from relaytrap.capture.segment import read_segment

    segment = read_segment(BytesIO(data), name=f"segment of {sensor}")
    calendar = Calendar(arrived_ns)
    observations = [calendar.dated(_named(seen, sensor)) for seen in segment]
    return make_batch(observations, setting, ingested_ms, known=known)


def _named(seen: Observation, sensor: str) -> Observation:
    if seen.sensor == sensor:
        return seen
    return Observation(
        *(seen.received_at_ns, sensor, seen.direction, seen.transport, seen.source, seen.source_port),
        *(seen.local, seen.local_port, seen.raw, seen.capture, seen.frame, seen.notes),
    )


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when we end
    serve(Connection(int(sys.argv[1])))
