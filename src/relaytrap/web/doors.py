"""What a running hub takes messages in by, as pages and API know it; a server that only shows has none of it."""

from dataclasses import dataclass, field
from typing import Final

from relaytrap.hub.analyse import Analysis
from relaytrap.hub.certificate import HubCertificate
from relaytrap.hub.hep import HepDoor
from relaytrap.hub.ingest import Ingest
from relaytrap.hub.keys import Keys
from relaytrap.hub.ledger import Ledger
from relaytrap.hub.turns import Turns
from relaytrap.hub.vigil import Vigil
from relaytrap.web.room import Room

__all__ = ["Doors"]

SEGMENTS_BYTES_MAX: Final = 256 << 20
"""Segments in memory at a time, as they come and inflated. Those of the usual sensor.segment_max_bytes deflate to a
fifth, so some 26 fit, which is as many as may wait for the store; of the largest there are, two."""
HEARTBEATS_BYTES_MAX: Final = 16 << 20
"""256 of the largest, or thousands of those that sensors send, one of a sensor at a time; apart, so that a flood of
segments makes nobody look silent."""


@dataclass
class Doors:
    """Everything through which messages come in.

    uplink_url, certificate: where sensors of other machines reach this hub, and what it shows them; "" and None when
    they cannot. analysis: what keeps relays, origins and campaigns up to date; None where another hub does.
    segments_room, heartbeats_room: for what comes in, over all sensors. heartbeats: one of a sensor at a time.
    """

    ingest: Ingest
    keys: Keys
    ledger: Ledger
    vigil: Vigil
    hep: HepDoor
    uplink_url: str = ""
    certificate: HubCertificate | None = None
    segments_room: Room = field(default_factory=lambda: Room(SEGMENTS_BYTES_MAX))
    heartbeats_room: Room = field(default_factory=lambda: Room(HEARTBEATS_BYTES_MAX))
    heartbeats: Turns = field(default_factory=Turns)
    analysis: Analysis | None = None
