"""Feeds: indicators in, bytes out. One file per format; what may stand in any of them is decided before.

evidence.indicator ─▶ barrier (who never stands in a feed) ─▶ feed (chosen, in order) ─▶ plain, nftables, stix, ...

Pure: no clock, no socket, no store. Each format escapes for itself, and writes the same bytes for the same feed, so
that a list which did not change is the same file.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from relaytrap.feeds import asterisk, ipset, kamailio, lines, misp, nftables, plain, sheet, stix
from relaytrap.feeds.barrier import Barrier
from relaytrap.feeds.feed import BEYOND, TITLES, Feed, make_feed

__all__ = ["BEYOND", "FORMATS", "TITLES", "Barrier", "Feed", "Format", "make_feed"]


class Format(NamedTuple):
    """How a feed is written. doc: one line for help and documentation."""

    write: Callable[[Feed], bytes]
    media_type: str
    doc: str


TEXT: Final = "text/plain; charset=utf-8"

# Name of a format, which is also the ending of its files → how it is written.
FORMATS: Final = {
    "txt": Format(plain.write, TEXT, "one address a line, with the reason as a comment"),
    "csv": Format(sheet.write, "text/csv; charset=utf-8", "a row for each address, for spreadsheets"),
    "jsonl": Format(lines.write, "application/x-ndjson", "a JSON object for each address"),
    "nft": Format(nftables.write, TEXT, "sets of nftables, for nft -f"),
    "ipset": Format(ipset.write, TEXT, "sets for iptables, for ipset restore -exist"),
    "kamailio": Format(kamailio.write, TEXT, "address file of Kamailio's permissions module"),
    "asterisk": Format(asterisk.write, TEXT, "named ACL for Asterisk's acl.conf"),
    "stix": Format(stix.write, "application/stix+json;version=2.1", "STIX 2.1 bundle (relaytrap[stix])"),
    "misp": Format(misp.write, "application/json", "MISP event (relaytrap[misp])"),
}
