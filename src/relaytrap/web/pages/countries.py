"""Country analysis: the world heatmap with its slider, all countries as a table, and one country in detail."""

import dataclasses
from typing import Any, Final

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from relaytrap.store.queries import Place
from relaytrap.web.pages.first import empty_page
from relaytrap.web.pages.world import hours_on_map, map_context
from relaytrap.web.pictures.theme import THEMES
from relaytrap.web.pictures.timeline import Timeline, stack_timeline
from relaytrap.web.pictures.world import Measure, draw_world, world_spec
from relaytrap.web.render import url
from relaytrap.web.site import Ask, Site, TheSite
from relaytrap.web.window import Window

__all__ = ["HANDLERS"]

FACETS: Final = ("tool", "user_agent", "sensor", "dialled_country", "dialled_core", "verdict")
LEADERS: Final = 8
CACHED: Final = "no-cache"
FINDINGS_SHOWN: Final = 8


@get("/countries", sync_to_thread=True, include_in_schema=False)
def countries(request: Ask, site: TheSite) -> Response[bytes]:
    if empty := empty_page(request, site, "Countries"):
        return empty
    window = site.window(request)
    rows = site.ask("countries", window.filter())
    return site.page(
        request,
        "pages/countries.html",
        window=window,
        rows=rows,
        map=map_context(rows, window),
        json_twin=url("/api/countries", **window.query),
    )


@get("/countries/{code:str}", sync_to_thread=True, include_in_schema=False)
def country(request: Ask, site: TheSite, code: FromPath[str]) -> Response[bytes]:
    if not (len(code) == 2 and code.isascii() and code.isalpha()):
        raise NotFoundException(detail="A country is named by its two-letter ISO code, as in /countries/FR.")
    code = code.upper()
    window = site.window(request)
    where = window.filter(country=code)
    timeline = stack_timeline(site.ask("timeline", where, step_s=window.step_s), window.steps, window.step_s)
    return site.page(
        request,
        "pages/country.html",
        window=window,
        code=code,
        totals=site.totals(window, where),
        timeline=timeline,
        sources_timeline=_different_sources(site, window, code),
        leaders=site.leaders(where, FACETS, LEADERS),
        networks=site.ask("networks", where, limit=LEADERS),
        sources=site.ask("leading_sources", where, limit=LEADERS),
        relays=site.ask("relays", Place(country=code), limit=FINDINGS_SHOWN),
        origins=site.ask("origins", Place(country=code), limit=FINDINGS_SHOWN),
        newest=site.ask("messages", dataclasses.replace(where, direction="in"), limit=12),
        json_twin=url("/api/leaders", country=code, facets=",".join(FACETS), **window.query),
    )


@get("/map/spec/{theme:str}", sync_to_thread=True, include_in_schema=False)
def map_spec(site: TheSite, theme: FromPath[str]) -> Response[dict[str, Any]]:
    """The map's spec without counts: the page's script fills them in."""
    if theme not in THEMES:
        raise NotFoundException(detail="There is a light and a dark map.")
    spec = world_spec([], theme=THEMES[theme], world=site.assets.address("world.topo.json"))
    return Response(spec, headers={"cache-control": "public, max-age=3600"})


@get("/map/hours", sync_to_thread=True, include_in_schema=False)
def map_hours(request: Ask, site: TheSite) -> Response[dict[str, Any]]:
    """Counts of each country in each step of the window, for the slider."""
    window = site.window(request)
    rows = site.ask("countries_by_time", window.filter(), step_s=window.step_s)
    return Response(hours_on_map(rows, window), headers={"cache-control": CACHED})


@get("/map/picture.svg", sync_to_thread=True, include_in_schema=False)
def map_picture(request: Ask, site: TheSite) -> Response[bytes]:
    """The map as a picture, for a reader without scripts."""
    window = site.window(request)
    measure: Measure = "sources" if request.query_params.get("measure") == "sources" else "messages"
    key = ("picture", window, measure)
    picture: str = site.answers.get(
        key,
        lambda: draw_world(site.ask("countries", window.filter()), measure),
    )
    return Response(picture.encode(), media_type="image/svg+xml", headers={"cache-control": CACHED})


def _different_sources(site: Site, window: Window, code: str) -> Timeline:
    """How many different sources of a country each step of a window saw."""
    rows = site.ask("countries_by_time", window.filter(country=code), step_s=window.step_s)
    counts = [{"start": row["start"], "value": "different sources", "messages": row["sources"]} for row in rows]
    return stack_timeline(counts, window.steps, window.step_s, height=70)


HANDLERS = (countries, country, map_spec, map_hours, map_picture)
