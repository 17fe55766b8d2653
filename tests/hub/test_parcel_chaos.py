"""A door hub that dies, a stream that is killed and forgets, hubs that stall: whatever happens in whatever order, each
segment that was acknowledged is stored, and none twice. Stream and store are models; outbox and ledger are real.
"""

from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from random import Random

import pytest

from relaytrap.errors import StoreError
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.ledger import Ledger
from relaytrap.hub.outbox import Outbox
from relaytrap.hub.parcel import Segment, pack, unpack
from relaytrap.hub.turns import HubBusy
from tests.storing import NOON_NS

SENSORS, SEGMENTS, STEPS = 4, 6, 150


@dataclass
class Message:
    payload: bytes
    token: str
    mark: int | None
    delivered: int = 0


class World:
    """Everything beside the door hub. A step that takes time is two: what happens between them is left to chance."""

    def __init__(self, ledger, chance):
        self.ledger, self.chance = ledger, chance
        self.messages: dict[int, Message] = {}
        self.last = 0
        self.names: dict[str, int] = {}
        self.tokens: set[str] = set()
        self.rows: Counter[Segment] = Counter()
        self.at_work: list[tuple[int, str, list[Segment]]] = []
        self.next = dict.fromkeys((f"trap-{n}" for n in range(SENSORS)), 1)
        self.start_door()

    def start_door(self):
        self.mark = self.last
        self.outbox = Outbox(self.send, self.ledger, 1 << 20, apart_s=0.0)

    def send(self, parcel, marked):
        arrives, answers = self.chance.choice([(True, True)] * 3 + [(True, False), (False, False)])
        if arrives and self.names.get(parcel.token) is None:
            self.last += 1
            self.messages[self.last] = Message(parcel.payload, parcel.token, self.mark if marked else None)
            self.names[parcel.token] = self.last
        if not answers:
            raise StoreError("no answer")

    def kill_stream(self):
        """It forgets the names of what was taken out, and how often the rest was handed out."""
        self.names = {token: number for token, number in self.names.items() if number in self.messages}
        for message in self.messages.values():
            message.delivered = 0

    def segment_of(self, sensor):
        number = self.next[sensor]
        return Segment(sensor, "s", number, f"{sensor} {number}".encode())

    def ship(self):
        """Some sensors ship at once."""
        together: dict[bool, list] = {False: [], True: []}
        for sensor in self.chance.sample(sorted(self.next), self.chance.randint(1, SENSORS)):
            if self.next[sensor] > SEGMENTS:
                continue
            segment = self.segment_of(sensor)
            seen = self.ledger.look_up(sensor, "s", segment.number, segment.digest)
            if seen == "again":
                self.next[sensor] += 1
            elif segment.token in self.outbox._sending:
                with suppress(StoreError, HubBusy):
                    self.outbox.put(segment, seen == "begun")
            else:
                together[seen == "begun"].append(pack(segment))
        for marked, group in together.items():
            if group:
                with suppress(StoreError):
                    self.outbox._send_group(group, marked=marked)

    def hand_out(self):
        if not self.messages:
            return
        number = self.chance.choice(sorted(self.messages))
        message = self.messages[number]
        message.delivered += 1
        if message.mark is not None and min(self.messages) <= min(message.mark, number - 1):
            return
        again = message.delivered > 1 or message.mark is not None
        rows = [each for each in unpack(message.payload, NOON_NS) if not (again and self.rows[each])]
        self.at_work.append((number, message.token, rows))

    def finish(self):
        if not self.at_work:
            return
        number, token, rows = self.at_work.pop(self.chance.randrange(len(self.at_work)))
        end = self.chance.choice(["stored"] * 3 + ["died before", "died after"])
        if end != "died before" and rows and token not in self.tokens:
            self.tokens.add(token)
            self.rows.update(rows)
        if end == "stored":
            self.messages.pop(number, None)

    def step(self):
        usual = [self.ship] * 6 + [self.hand_out] * 6 + [self.finish] * 6
        self.chance.choice([*usual, self.start_door, self.kill_stream])()


@pytest.mark.parametrize("seed", range(40))
def test_whatever_dies_in_whatever_order_each_segment_is_stored_once(seed, tmp_path):
    with closing(HubDatabase(tmp_path)) as database:
        world = World(Ledger(database), Random(seed))
        for _ in range(STEPS):
            world.step()
        for _ in range(10_000):
            if min(world.next.values()) > SEGMENTS and not world.messages:
                break
            world.chance.choice([world.ship, world.hand_out, world.finish])()
        assert not world.messages
        assert set(world.rows.values()) == {1}
        assert len(world.rows) == SENSORS * SEGMENTS
