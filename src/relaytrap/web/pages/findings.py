"""What is concluded over many messages: relays (victims that forward), origins (who is behind them), campaigns.

Every claim on these pages is one step from the bytes: a link to the messages it rests on, each of which shows its
reasons beside its raw text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from relaytrap.clock import NS_PER_S, parse_rfc3339
from relaytrap.errors import InputError
from relaytrap.evidence.product import KINDS
from relaytrap.store.queries import Conditions, Filter, Place, Seen, fields_of, parse_conditions
from relaytrap.store.queries.campaign import fan_of, relay_hours_of, sweep_of
from relaytrap.web.pages.paging import Paging, asked_address
from relaytrap.web.pictures.fan import draw_fan
from relaytrap.web.pictures.relay_hours import stack_relay_hours
from relaytrap.web.pictures.shapes import country_name
from relaytrap.web.pictures.standalone import draw_standalone, to_png
from relaytrap.web.pictures.sweep import draw_sweep
from relaytrap.web.pictures.timeline import Timeline, stack_timeline
from relaytrap.web.render import url
from relaytrap.web.site import Ask, Rows, Site, TheSite
from relaytrap.web.window import Window, steps_over

__all__ = ["HANDLERS"]

POINTS: Final = 4000
EXAMPLES: Final = 8
AGENTS: Final = 8
WITNESSES: Final = 500
RELAY_SORTS: Final = {
    "messages": "Requests",
    "origins": "Origins",
    "first_seen": "First seen",
    "last_seen": "Last seen",
}
CAMPAIGN_SORTS: Final = {
    "messages": "Requests",
    "relays": "Relays",
    "first_seen": "First seen",
    "last_seen": "Last seen",
}
MINUTE_S: Final = 60
CAMPAIGN_ID: Final = re.compile(r"[0-9a-f]{12}")


@get("/relays", sync_to_thread=True, include_in_schema=False)
def relays(request: Ask, site: TheSite) -> Response[bytes]:
    paging, window = Paging.of(request, "/relays", RELAY_SORTS), site.window(request)
    found = _found(request, site, "relays", paging)
    keep = {"last": request.query_params.get("last", "")}
    return site.page(
        request,
        "pages/relays.html",
        status=400 if found.problem else 200,
        kinds=KINDS,
        sorts=RELAY_SORTS,
        window=window,
        by_country=_relays_by_country(site, window, found.messages),
        found=found,
        keep=keep,
        **paging.shown(found.rows, keep | found.given, found.given),
    )


@get("/relays/{address:str}", sync_to_thread=True, include_in_schema=False)
def relay(request: Ask, site: TheSite, address: FromPath[str]) -> Response[bytes]:
    canonical = asked_address(address, "/relays")
    found = site.ask("relay", address=canonical)
    if not found:
        return site.page(request, "pages/no_finding.html", status=404, address=canonical, kind="relay")
    handed_on = Filter(relay=canonical)
    example = site.ask("messages", Filter(relay=canonical, kind="request"), limit=1)
    return site.page(
        request,
        "pages/relay.html",
        row=found[0],
        kinds=KINDS,
        timeline=_history(site, Filter(source=canonical), "verdict", found[0]),
        example=example[0] if example else None,
        newest=site.ask("messages", handed_on, limit=EXAMPLES),
        json_twin=url("/api/relay", address=canonical),
    )


@get("/origins", sync_to_thread=True, include_in_schema=False)
def origins(request: Ask, site: TheSite) -> Response[bytes]:
    paging = Paging.of(request, "/origins")
    found = _found(request, site, "origins", paging)
    status = 400 if found.problem else 200
    return site.page(request, "pages/origins.html", status=status, found=found, **paging.shown(found.rows, found.given))


@get("/origins/{address:str}", sync_to_thread=True, include_in_schema=False)
def origin(request: Ask, site: TheSite, address: FromPath[str]) -> Response[bytes]:
    canonical = asked_address(address, "/origins")
    found = site.ask("origin", address=canonical)
    if not found:
        return site.page(request, "pages/no_finding.html", status=404, address=canonical, kind="origin")
    return site.page(
        request,
        "pages/origin.html",
        row=found[0],
        witnesses=found[0]["by_relays"][:WITNESSES],
        fan=draw_fan(site.ask("fan", id=found[0]["campaign"])),
        newest=site.ask("messages", Filter(origin=canonical), limit=EXAMPLES),
        json_twin=url("/api/origin", address=canonical),
    )


@get("/campaigns", sync_to_thread=True, include_in_schema=False)
def campaigns(request: Ask, site: TheSite) -> Response[bytes]:
    paging = Paging.of(request, "/campaigns", CAMPAIGN_SORTS)
    relayed = request.query_params.get("relayed", "") == "1"
    found = _found(request, site, "campaigns", paging, Seen, relayed=relayed)
    keep = {"relayed": "1" if relayed else ""}
    return site.page(
        request,
        "pages/campaigns.html",
        status=400 if found.problem else 200,
        sorts=CAMPAIGN_SORTS,
        relayed=relayed,
        found=found,
        keep=keep,
        **paging.shown(found.rows, keep | found.given),
    )


@get("/campaigns/{id:str}", sync_to_thread=True, include_in_schema=False)
def campaign(request: Ask, site: TheSite, id: FromPath[str]) -> Response[bytes]:
    found = site.ask("campaign", id=id) if CAMPAIGN_ID.fullmatch(id) else []
    if not found:
        raise NotFoundException(detail="No campaign has this identifier; its messages may have passed their time.")
    row = found[0]
    by_country, by_relays = stack_relay_hours(_of(site, relay_hours_of, row), row)
    first, last = (parse_rfc3339(row[name]) for name in ("first_seen", "last_seen"))
    members = Filter(campaign=id, since=first, until=last + 1)
    return site.page(
        request,
        "pages/campaign.html",
        row=row,
        sweep=draw_sweep(_of(site, sweep_of, row, limit=POINTS)),
        fan=draw_fan(_of(site, fan_of, row)) if row["relays"] else None,
        by_country=by_country,
        by_relays=by_relays,
        agents=site.leaders(members, ("user_agent",), AGENTS)["user_agent"],
        place=site.ask("origins", Place(network=row["origin"]), limit=1) if row["origin"] and row["relays"] else [],
        newest=site.ask("messages", Filter(campaign=id), limit=EXAMPLES),
        json_twin=url("/api/campaign", id=id),
    )


@get("/campaigns/{id:str}/{file:str}", sync_to_thread=True, include_in_schema=False)
def campaign_picture(request: Ask, site: TheSite, id: FromPath[str], file: FromPath[str]) -> Response[bytes]:
    """The sweep chart or the fan as SVG or PNG, for a report or a letter to a relay's owner."""
    name, _, form = file.partition(".")
    found = site.ask("campaigns", id=id, limit=1) if CAMPAIGN_ID.fullmatch(id) else []
    if name not in ("sweep", "fan") or form not in ("svg", "png") or not found:
        raise NotFoundException(detail="There are sweep and fan of a campaign, each as .svg and .png.")
    picture: Any = (
        draw_sweep(_of(site, sweep_of, found[0], limit=POINTS))
        if name == "sweep"
        else draw_fan(_of(site, fan_of, found[0]))
    )
    svg = draw_standalone(name, picture, theme="dark" if request.query_params.get("theme") == "dark" else "light")
    headers = {"cache-control": "no-cache", "content-disposition": f'inline; filename="{id}-{name}.{form}"'}
    if form == "png":
        return Response(to_png(svg), media_type="image/png", headers=headers)
    return Response(svg.encode(), media_type="image/svg+xml", headers=headers)


@dataclass(frozen=True, slots=True)
class Found:
    """Relays, origins or campaigns, all or some.

    given: the conditions that were asked for, as text. problem: what is wrong with them, or "". messages: the place
    among them as a filter's fields. nowhere: where there is nothing, of what was asked for, when there are no rows.
    """

    rows: Rows
    given: dict[str, str]
    problem: str = ""
    messages: dict[str, Any] = field(default_factory=dict)
    nowhere: tuple[str, ...] = ()


def _found(
    request: Ask, site: Site, question: str, paging: Paging, kind: type[Conditions] = Place, **options: bool
) -> Found:
    """What a request asks for of a question about findings. kind: the conditions that it takes."""
    asked = {name: request.query_params.get(name, "").strip() for name in fields_of(kind)}
    given = {name: value for name, value in asked.items() if value}
    try:
        where = parse_conditions(kind, given, _minute(site.now_ns()))
    except InputError as error:
        return Found([], given, str(error))
    rows = site.ask(question, where, **paging.options, **options)
    each = {name: getattr(where, name) for name in given if name != "since"}
    nowhere = [n for n, value in each.items() if not rows and not site.ask(question, Place(**{n: value}), limit=1)]
    messages = {"source" if name == "network" else name: value for name, value in each.items()}
    return Found(rows, given, "", messages, tuple(_in_words(name, each[name]) for name in nowhere))


def _minute(now_ns: int) -> int:
    """Its beginning, so that what was seen since some time ago is asked once a minute and not at every look."""
    return now_ns - now_ns % (60 * NS_PER_S)


def _in_words(name: str, value: Any) -> str:
    return {"country": country_name, "asn": "AS{}".format}.get(name, str)(value)


def _of(site: Site, question: Callable[..., Rows], row: dict[str, Any], **options: int) -> Rows:
    """What a picture of a campaign needs, which is not looked up again for each."""
    key = (question.__name__, row["id"], *options.values())
    rows: Rows = site.answers.get(key, lambda: question(site.store, row, **options))
    return rows


def _relays_by_country(site: Site, window: Window, narrowed: dict[str, Any]) -> Timeline:
    """Different relays in each step of a window, stacked by country."""
    rows = [
        {"start": row["start"], "value": country_name(row["country"]), "messages": row["relays"]}
        for row in site.ask("relays_by_time", window.filter(**narrowed), step_s=window.step_s)
    ]
    return stack_timeline(rows, window.steps, window.step_s)


def _history(site: Site, where: Filter, facet: str, row: dict[str, Any]) -> Timeline:
    """Messages over all the time in which something was seen."""
    steps, step_s = steps_over(row["first_seen"], row["last_seen"], MINUTE_S)
    return stack_timeline(site.ask("timeline", where, facet=facet, step_s=step_s), steps, step_s)


HANDLERS = (relays, relay, origins, origin, campaigns, campaign, campaign_picture)
