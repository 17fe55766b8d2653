"""A long table by pages: what page, order and conditions an address asks for, and the way to the pages beside it."""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from litestar.exceptions import NotFoundException

from relaytrap.errors import InputError
from relaytrap.store.queries import Filter, parse_filter
from relaytrap.web.render import url
from relaytrap.web.site import Ask, Rows
from relaytrap.web.window import Window

__all__ = ["PAGE_ROWS", "Asked", "Paging", "asked_address"]

PAGE_ROWS: Final = 100
PAGES_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class Paging:
    """One page of a table.

    path: where the table is; below /api the same gives its JSON. number: from 0. sort: "" where there is one order.
    """

    path: str
    number: int
    sort: str = ""

    @classmethod
    def of(cls, request: Ask, path: str, sorts: Mapping[str, str] | None = None) -> "Paging":
        """What a request asks for; the first page and the first of `sorts` unless it names others."""
        text = request.query_params.get("page", "")
        number = min(int(text), PAGES_MAX) if text.isascii() and text.isdigit() and len(text) <= 18 else 0
        sort = request.query_params.get("sort", "")
        return cls(path, number, sort if sort in sorts else next(iter(sorts))) if sorts else cls(path, number)

    @property
    def options(self) -> dict[str, Any]:
        """What to ask the question of the table for: one row more than a page tells whether there is another page."""
        sort = {"sort": self.sort} if self.sort else {}
        return {"limit": PAGE_ROWS + 1, "offset": self.number * PAGE_ROWS, **sort}

    def shown(self, rows: Rows, keep: Mapping[str, Any], twin: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What a template shows: rows, sort, first (the number of a row), newer, older and json_twin (addresses).

        keep: what the addresses of other pages carry on. twin: what that of the same rows as JSON does; as `keep`.
        """
        start = self.number * PAGE_ROWS
        newer, older = (url(self.path, sort=self.sort, page=self.number + step, **keep) for step in (-1, 1))
        twin = keep if twin is None else twin
        return {
            "rows": rows[:PAGE_ROWS],
            "sort": self.sort,
            "first": start + 1,
            "newer": newer if self.number else "",
            "older": older if len(rows) > PAGE_ROWS else "",
            "json_twin": url(f"/api{self.path}", sort=self.sort, limit=PAGE_ROWS, offset=start or None, **twin),
        }


@dataclass(frozen=True, slots=True)
class Asked:
    """Conditions on messages that an address names. given: as text. where: they and the window. problem: what is wrong
    with them, or ""; then `where` is None."""

    given: dict[str, str]
    where: Filter | None
    problem: str = ""

    @classmethod
    def of(cls, request: Ask, window: Window, names: Iterable[str], now_ns: int) -> "Asked":
        """Those of these names."""
        asked = {name: request.query_params.get(name, "").strip() for name in names}
        given = {name: value for name, value in asked.items() if value}
        span = {"since": window.filter().since, "until": window.filter().until}
        try:
            return cls(given, parse_filter(span | given, now_ns))
        except InputError as error:
            return cls(given, None, str(error))


def asked_address(text: str, under: str) -> str:
    """The IP address in a page's address, as it is stored; a page that does not exist for anything else."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise NotFoundException(detail=f"This is no IP address; write it as in {under}/192.0.2.7.") from None
