"""Who must never be tested: addresses, networks and domains whose operators said so.

Asked when a name has been resolved, and again before every sending, so that an opt-out ends a running test too. A
domain covers tests that name it; only an address or a network covers a server whatever name leads to it.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from relaytrap.errors import InputError
from relaytrap.probe.records import Records
from relaytrap.probe.target import reached

__all__ = ["OptOut", "OptOuts"]

# A domain of at least two labels in ASCII (RFC 1123 section 2.1, with the underscore of the field).
DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)+")


@dataclass(frozen=True, slots=True)
class OptOut:
    """One entry. name: a network, or a domain that stands for itself and all names below it. note: who asked."""

    name: str
    since_ns: int
    note: str


class OptOuts:
    """The list of this installation."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def add(self, text: str, note: str, now_ns: int) -> str:
        """Never test an address, network or domain; gives it in canonical form. Raises InputError when it is none."""
        name = canonical(text)
        with self._records.change() as connection:
            connection.execute("INSERT OR IGNORE INTO opted_out VALUES (?, ?, ?)", (name, now_ns, note))
        return name

    def remove(self, text: str) -> str:
        """Take an entry back; gives it in canonical form. Raises InputError when there is none."""
        name = canonical(text)
        with self._records.change() as connection:
            if not connection.execute("DELETE FROM opted_out WHERE name = ?", (name,)).rowcount:
                raise InputError(f"{name} has not opted out; `relaytrap probe opt-out list` shows who has")
        return name

    def list_entries(self) -> list[OptOut]:
        """All entries, in order of name."""
        with self._records.read() as connection:
            return [OptOut(*row) for row in connection.execute("SELECT * FROM opted_out ORDER BY name")]

    def refuse(self, names: Iterable[str], addresses: Iterable[str] = ()) -> None:
        """Raise InputError when a name or an address has opted out."""
        for asked in (*names, *addresses):
            if why := self.objection(asked):
                raise InputError(f"{asked} {why}")

    def objection(self, asked: str) -> str:
        """Why an address or name is not tested, as the end of a sentence; "" when it has not opted out."""
        listed = [entry.name for entry in self.list_entries()]
        return "is not tested: its operator asked for that" if any(_covers(name, asked) for name in listed) else ""


def canonical(text: str) -> str:
    """A network as 192.0.2.0/24, a domain in lower-case ASCII. Raises InputError for anything else.

    An IPv6 address that stands for an IPv4 one is that one, by whatever way it is tested.
    """
    bare = text.strip().removeprefix("*.").rstrip(".")
    try:
        network = ipaddress.ip_network(bare.strip("[]"), strict=False)
    except ValueError:
        pass
    else:
        return str(network if network.num_addresses > 1 else ipaddress.ip_network(reached(network.network_address)))
    try:
        name = bare.lower() if bare.isascii() else bare.encode("idna").decode("ascii").lower()
    except UnicodeError:
        name = ""
    if not DOMAIN.fullmatch(name) or name.rpartition(".")[2].isdecimal():
        raise InputError(
            f"{text!r} is no address, network or domain; write it as 192.0.2.7, 192.0.2.0/24 or example.com"
        )
    return name


def _covers(listed: str, asked: str) -> bool:
    if "/" not in listed:
        name = asked.strip().rstrip(".").lower()
        return name == listed or name.endswith("." + listed)
    try:
        address = ipaddress.ip_address(asked)
    except ValueError:
        return False
    network = ipaddress.ip_network(listed)
    return address in network or reached(address) in network
