"""SQL that gives columns the form in which they leave: times as RFC 3339, addresses as canonical text, ids as hex."""

from typing import Final

__all__ = ["COLUMNS_FIRST", "MESSAGE", "NOT_BELIEVED", "address", "hex_id", "moment"]

NOT_BELIEVED: Final = "time of arrival, as its own is not believed"
"""The note of a message whose `own_at` is not its `received_at`."""


def moment(column: str) -> str:
    """RFC 3339 with the column's own precision."""
    return f"concat(replaceOne(toString({column}), ' ', 'T'), 'Z')"


def address(column: str) -> str:
    """Canonical text; IPv4 without the prefix under which it is stored."""
    text = f"IPv6NumToString({column})"
    return f"if(startsWith({text}, '::ffff:'), substring({text}, 8), {text})"


def address_or_null(column: str) -> str:
    """The same, NULL for `::`, which stands for none."""
    return f"if({column} = toIPv6('::'), NULL, {address(column)})"


def hex_id(column: str) -> str:
    """16 hex digits."""
    return f"leftPad(lower(hex({column})), 16, '0')"


# Ends a query that gives columns away under their own names: without it `address(source) AS source` would take the
# column's place in WHERE and ORDER BY.
COLUMNS_FIRST: Final = "SETTINGS prefer_column_name_to_alias = 1"

# Every column of one message but `raw`, in the form in which it leaves, under its own name.
MESSAGE: Final = {
    "id": hex_id("id"),
    "capture": "capture",
    "frame": "frame",
    "received_at": moment("received_at"),
    "own_at": f"if(toUnixTimestamp64Nano(own_at) = 0, NULL, {moment('own_at')})",
    "ingested_at": moment("ingested_at"),
    "sensor": "sensor",
    "direction": "direction",
    "transport": "transport",
    "source": address("source"),
    "source_port": "source_port",
    "local": address("local"),
    "local_port": "local_port",
    "relay": address_or_null("relay"),
    "origin": address_or_null("origin"),
    "claim": address_or_null("claim"),
    "status_code": "if(kind = 'response', status_code, NULL)",
    "max_forwards": "if(max_forwards < 0, NULL, max_forwards)",
    "start": "if(start < 0, NULL, start)",
    "target_key": hex_id("target_key"),
    "shape": hex_id("shape"),
    "stack": hex_id("stack"),
    "track": hex_id("track"),
}
