"""What every page and every API call needs: the store's answers, the clock, the settings, the template renderer."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from litestar import Request, Response
from litestar.datastructures import State
from litestar.di import NamedDependency

from relaytrap import __version__, clock
from relaytrap.config import Config
from relaytrap.enrich import Enricher
from relaytrap.sample.networks import SENSOR_PREFIX as SAMPLE_PREFIX
from relaytrap.sample.networks import country_of
from relaytrap.store import Store
from relaytrap.store.queries import Conditions, Filter, run_query
from relaytrap.web.cache import Answers
from relaytrap.web.changes import Changes
from relaytrap.web.commands import commands_for
from relaytrap.web.doors import Doors
from relaytrap.web.pictures.bundle import Bundle
from relaytrap.web.probing import Tests
from relaytrap.web.render import environment
from relaytrap.web.static_files import Assets
from relaytrap.web.window import NAMES, Window, choose_window

__all__ = ["Ask", "Rows", "Site", "TheSite"]

Rows = list[dict[str, Any]]
Ask = Request[Any, Any, State]
HTML: Final = "text/html"


@dataclass
class Site:
    """One running page server.

    enricher: None leaves out what only address tables can say. doors: None for a server that only shows.
    """

    store: Store
    config: Config
    enricher: Enricher | None = None
    token: str = ""
    doors: Doors | None = None
    now_ns: Callable[[], int] = clock.now_ns
    tests: Tests | None = None
    assets: Assets = field(default_factory=Assets)
    answers: Answers = field(default_factory=Answers)
    changes: Changes = field(default_factory=Changes)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    on_stop: Callable[[], None] = lambda: None

    def __post_init__(self) -> None:
        self.bundle = Bundle(self.config.data_dir / "cache")
        self.templates = environment()
        self.templates.globals |= {"asset": self.assets.address, "version": __version__, "windows": NAMES}
        self.templates.globals["bundle_address"] = f"/static/vega/{self.bundle.name}"

    def ask(self, name: str, where: Conditions | None = None, **options: Any) -> Rows:
        """Rows of a question of the catalogue, at most a few seconds old."""
        where = where or Conditions()
        key = (name, where, tuple(sorted(options.items())))
        rows: Rows = self.answers.get(key, lambda: self.ask_now(name, where, **options))
        return rows

    def ask_now(self, name: str, where: Conditions | None = None, **options: Any) -> Rows:
        """The same, asked of the store every time."""
        given = {key: getattr(where, key) for key in where.narrowed} if where else {}
        return list(run_query(self.store, name, given | options, self.now_ns()))

    def window(self, request: Ask) -> Window:
        """The stretch of time that a request's `last` names, or the usual one."""
        span = self.ask("span")[0]
        return choose_window(request.query_params.get("last", ""), self.now_ns(), span["first_hour"], span["last_hour"])

    def leaders(self, where: Filter, facets: Sequence[str], limit: int) -> dict[str, Rows]:
        """The busiest values of each facet."""
        found: dict[str, Rows] = {name: [] for name in facets}
        for row in self.ask("leaders", where, facets=",".join(facets), limit=limit):
            found[row["facet"]].append(row)
        return found

    def totals(self, window: Window, where: Filter) -> dict[str, Any]:
        """Totals under a window's filter; `before` only where the store knows all of the window before."""
        found = self.ask("totals", where)[0]
        comparable = window.has_before(self.ask("span")[0]["first_hour"])
        return found if comparable else found | {"before": None}

    def is_empty(self) -> bool:
        """Whether no message that asks for something was ever stored."""
        return self.ask("span")[0]["first_hour"] is None

    def page(self, request: Ask, template: str, *, status: int = 200, **context: Any) -> Response[bytes]:
        """A rendered page; a browser that has the same bytes already gets 304."""
        shown = self._frame(request) | context
        if shown["json_twin"]:
            shown["commands"] = commands_for(shown["json_twin"], str(request.base_url))
        body = self.templates.get_template(template).render(shown).encode()
        tag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
        headers = {"etag": tag, "cache-control": "no-cache", "vary": "accept-encoding"}
        if status == 200 and request.headers.get("if-none-match") == tag:
            return Response(b"", status_code=304, headers=headers, media_type=HTML)
        return Response(body, status_code=status, headers=headers, media_type=HTML)

    def home_region(self, local: str, sensor: str = "") -> str:
        """Country whose dialling rules apply at one of our addresses; "" when unknown."""
        if sensor.startswith(SAMPLE_PREFIX):
            return country_of(local)
        configured = self.config.network.home_region.upper()
        return configured or (self.enricher.network(local).country if self.enricher else "")

    def render_rows(self, rows: Rows) -> str:
        """Messages as table rows, for the live ticker."""
        template = self.templates.get_template("parts/rows.html")
        return template.render(rows=rows, now_ns=self.now_ns())

    async def wait_for_stop(self, seconds: float) -> bool:
        """Wait so long; True at once when the server stops."""
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def has_sample(self) -> bool:
        """Whether rows of the bundled sample scene are in the store."""
        return any(row["value"].startswith(SAMPLE_PREFIX) for row in self.ask("leaders", facets="sensor", limit=1000))

    def _frame(self, request: Ask) -> dict[str, Any]:
        """What the frame of every page shows."""
        return {
            "path": request.url.path,
            "query": dict(request.query_params),
            "now_ns": self.now_ns(),
            "data_date": self.enricher.data_date if self.enricher else "",
            "has_sample": self.has_sample,
            "json_twin": "",
            "commands": (),
            "window": None,
        }


# The site, as handlers are given it.
TheSite = NamedDependency[Site]
