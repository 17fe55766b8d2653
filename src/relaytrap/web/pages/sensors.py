"""Sensors: which have messages, when each was last heard of, and how much it sees."""

from typing import Any, Final

from litestar import Response, get

from relaytrap.clock import rfc3339
from relaytrap.hub.fares import Fares
from relaytrap.hub.hep import HepStatus
from relaytrap.web.pages.first import first_place
from relaytrap.web.pictures.timeline import Timeline, stack_timeline
from relaytrap.web.site import Ask, Site, TheSite

__all__ = ["HANDLERS"]

# A sensor says something every five seconds; after this many it is away.
ONLINE_NS: Final = 30_000_000_000
INCIDENTS: Final = 20
SILENT: Final = {"messages": 0, "sources": 0, "first_seen": None, "last_seen": None, "last_ingested": None}


@get("/sensors", sync_to_thread=True, include_in_schema=False)
def sensors(request: Ask, site: TheSite) -> Response[bytes]:
    window = site.window(request)
    by_sensor: dict[str, list[dict[str, Any]]] = {}
    for row in site.ask("timeline", window.filter(), facet="sensor", step_s=window.step_s):
        by_sensor.setdefault(row["value"], []).append(row)
    lines: dict[str, Timeline] = {
        name: stack_timeline(found, window.steps, window.step_s, height=26, bare=True)
        for name, found in by_sensor.items()
    }
    doors = site.doors
    hep = doors.hep.status() if doors else HepStatus()
    return site.page(
        request,
        "pages/sensors.html",
        window=window,
        rows=_rows(site, hep),
        hep=hep,
        first_place=first_place(site),
        uplink_url=doors.uplink_url if doors else "",
        certificate=doors.certificate if doors else None,
        lines=lines,
        incidents=doors.ledger.list_incidents(INCIDENTS) if doors else [],
        json_twin="/api/sensors",
    )


def _rows(site: Site, hep: HepStatus) -> list[dict[str, Any]]:
    """Sensors with messages, joined with those that have a token and with capture agents; all are listed."""
    known = {sensor.name: sensor for sensor in site.doors.keys.list_sensors()} if site.doors else {}
    rows = {row["sensor"]: dict(row) for row in site.ask("sensors")}
    for name in (*known, *hep.agents):
        rows.setdefault(name, {"sensor": name, **SILENT})
    now_ns = site.now_ns()
    for name, row in rows.items():
        agent = row["agent"] = hep.agents.get(name)
        seen_ns = known[name].last_seen_ns if name in known else agent.last_ns if agent else None
        row["known"] = known.get(name)
        row["fares"] = Fares.of(known[name].status) if name in known else None
        row["heard"] = rfc3339(seen_ns) if seen_ns else None
        row["online"] = seen_ns is not None and now_ns - seen_ns < ONLINE_NS
    return [rows[name] for name in sorted(rows)]


HANDLERS = (sensors,)
