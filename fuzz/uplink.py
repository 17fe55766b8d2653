"""What a sensor that was taken over may post. A body inflates within its bound or is refused with an InputError, a
segment becomes rows or is refused the same way, and a heartbeat of any JSON is judged without an exception.
"""

import zlib
from pathlib import Path

import msgspec
from tests.capture.packets import request
from tests.capture.test_pcapng import observation, written

from relaytrap.capture.segment import HEAD_BYTES, mark_of
from relaytrap.config import Config
from relaytrap.errors import InputError
from relaytrap.hub.parcel import inflated
from relaytrap.hub.rows import RowSetting
from relaytrap.hub.vigil import judge_heartbeat
from relaytrap.hub.worker import segment_batch

PIECES = (b'{"spool":', b'"waiting_segments":', b"null", b"[", b"1e999", b"-1", b'"format"', b'"clock_steps"', b"{}")
INFLATED_MAX = 1 << 16
ARRIVED_NS = 1_790_078_400_000_000_000
SETTING = RowSetting.of(Config(Path("/nonexistent")))
BEAT = (
    b'{"run":"a","beat":7,"format":1,"clock_steps":1,"sensor":"s","spool":{"id":"x","hub":"h","acknowledged":9,'
    b'"next_segment":3,"lost_observations":1,"dropped_observations":2,"waiting_segments":4,"kept":[1,2],"is_full":true}}'
)


def seeds() -> list[bytes]:
    """One of each kind, which the first octet tells."""
    segment = written(observation(request(1)), observation(request(2), direction="out"))
    return [b"\0" + zlib.compress(segment), b"\1" + segment, b"\2" + BEAT, b"\0" + zlib.compress(bytes(1 << 18))]


def check(data: bytes) -> None:
    """Hold one input against the invariant."""
    kind, body = data[:1], data[1:]
    try:
        if kind == b"\0":
            assert len(inflated(body, INFLATED_MAX)) <= INFLATED_MAX
        elif kind == b"\1":
            mark_of(body[:HEAD_BYTES])
            batch = segment_batch(body, "s", ARRIVED_NS, SETTING, 0)
            assert bool(batch.rows) == bool(batch.block)
        else:
            heartbeat(body)
    except InputError:
        return


def heartbeat(body: bytes) -> None:
    """Two heartbeats that differ in nothing, and a first one."""
    try:
        status = msgspec.json.decode(body, type=dict[str, object])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return
    for before in ({}, status):
        for incident in judge_heartbeat("s", before, status, hub_id="h", highest=5):
            assert incident.text.encode()
