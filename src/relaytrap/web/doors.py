"""What a running hub takes messages in by, as pages and API know it; a server that only shows has none of it."""

from dataclasses import dataclass

from relaytrap.hub.analyse import Analysis
from relaytrap.hub.certificate import HubCertificate
from relaytrap.hub.hep import HepDoor
from relaytrap.hub.ingest import Ingest
from relaytrap.hub.keys import Keys
from relaytrap.hub.ledger import Ledger
from relaytrap.hub.vigil import Vigil

__all__ = ["Doors"]


@dataclass
class Doors:
    """Everything through which messages come in.

    uplink_url, certificate: where sensors of other machines reach this hub, and what it shows them; "" and None when
    they cannot. analysis: what keeps relays, origins and campaigns up to date; None where another hub does.
    """

    ingest: Ingest
    keys: Keys
    ledger: Ledger
    vigil: Vigil
    hep: HepDoor
    uplink_url: str = ""
    certificate: HubCertificate | None = None
    analysis: Analysis | None = None
