"""What an identifier or address that somebody types can mean, and what is known under it."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from relaytrap.store.engine import Row

__all__ = ["find_known"]

MESSAGE_ID: Final = re.compile(r"[0-9a-f]{16}")


def find_known(ask: "Callable[[str, Mapping[str, Any]], Iterable[Row]]", what: str) -> "dict[str, Row]":
    """What is known under an identifier or address: question → its one row; {} when nothing is.

    ask: gives the rows of a question of the catalogue. An address is looked up as source, relay and origin.
    """
    what = what.strip()
    given: dict[str, dict[str, str]]
    if address := _address(what):
        given = {name: {"address": address} for name in ("source", "relay", "origin")}
    elif MESSAGE_ID.fullmatch(what.lower()):
        given = {name: {"id": what.lower()} for name in ("message", "campaign")}
    else:
        given = {"campaign": {"id": what}}
    rows = {name: next(iter(ask(name, options)), None) for name, options in given.items()}
    return {name: row for name, row in rows.items() if row}


def _address(what: str) -> str:
    try:
        return str(ipaddress.ip_address(what))
    except ValueError:
        return ""
