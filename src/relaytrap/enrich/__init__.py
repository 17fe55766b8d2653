"""Addresses to countries and networks, from local tables only: nothing is ever asked of the network."""

from relaytrap.enrich.network import Enricher, Network
from relaytrap.enrich.tables import Table

__all__ = ["Enricher", "Network", "Table"]
