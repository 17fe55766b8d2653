"""Questions about sensors: which ones have messages, since when, and at which addresses."""

import ipaddress
from typing import TYPE_CHECKING, Final

from relaytrap.store.queries.filter import Filter
from relaytrap.store.queries.shape import COLUMNS_FIRST, address, moment

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = ["list_sensor_addresses", "list_sensors"]

# Of a sensor's newest requests: enough to tell by what address the world knows it.
READ_REQUESTS: Final = 20_000
NAMED_SOURCES_MIN: Final = 3
NAMED_SHARE_MIN: Final = 0.1
NAT: Final = tuple(
    map(
        ipaddress.ip_network,
        ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16", "fc00::/7"),
    )
)
"""Networks whose addresses the world does not know a machine by (RFC 1918, 6598, 3927, 4193)."""


def list_sensors(store: "Store", where: Filter) -> "list[Row]":
    """Sensors that have messages: sensor, messages, sources, first_seen, last_seen, last_ingested."""
    clause = where.where()
    return store.rows(
        "SELECT sensor, count() AS messages, uniq(source) AS sources, "
        f"{moment('min(received_at)')} AS first_seen, {moment('max(received_at)')} AS last_seen, "
        f"{moment('max(ingested_at)')} AS last_ingested FROM messages {clause.sql} GROUP BY sensor ORDER BY sensor",
        clause.params,
    )


def list_sensor_addresses(store: "Store") -> "list[Row]":
    """Addresses of our own: sensor, address, messages, known ("socket" or "requests").

    "socket": it received at that address. "requests": it received at a private address only, behind a NAT, and this is
    the public one that many of its requests name, of at least three sources. By sensor, busiest address first.
    """
    sql = (
        f"SELECT sensor, {address('local')} AS address, count() AS messages, 'socket' AS known FROM messages "
        f"GROUP BY sensor, local ORDER BY sensor, messages DESC, local {COLUMNS_FIRST}"
    )
    rows = store.rows(sql)
    hidden = sorted(
        {row["sensor"] for row in rows} - {row["sensor"] for row in rows if not _behind_nat(row["address"])}
    )
    return rows + (_named_addresses(store, hidden) if hidden else [])


def _named_addresses(store: "Store", sensors: list[str]) -> "list[Row]":
    """What requests to these sensors call them."""
    newest = (
        "SELECT sensor, source, request_host FROM messages WHERE sensor IN {hidden:Array(String)} AND kind = 'request' "
        f"AND direction = 'in' ORDER BY received_at DESC LIMIT {READ_REQUESTS} BY sensor"
    )
    sql = (
        "SELECT sensor, request_host AS address, count() AS messages, uniq(source) AS sources, "
        f"sum(messages) OVER (PARTITION BY sensor) AS whole FROM ({newest}) GROUP BY sensor, address "
        "ORDER BY sensor, messages DESC, address"
    )
    return [
        {"sensor": row["sensor"], "address": text, "messages": row["messages"], "known": "requests"}
        for row in store.rows(sql, {"hidden": sensors})
        if row["sources"] >= NAMED_SOURCES_MIN
        and row["messages"] >= NAMED_SHARE_MIN * row["whole"]
        and (text := _public_address(row["address"]))
    ]


def _behind_nat(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return any(address in network for network in NAT)


def _public_address(host: str) -> str:
    """A host that is an address which others may know a sensor by; "" for any other."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return ""
    special = address.is_loopback or address.is_unspecified or address.is_multicast or address.is_link_local
    return "" if special or _behind_nat(str(address)) else str(address)
