"""Sensors: which have messages, when each was last heard of, and how much it sees."""

from litestar import Response, get

from relaytrap.web.pictures.timeline import Timeline, stack_timeline
from relaytrap.web.site import Ask, Site

__all__ = ["HANDLERS"]


@get("/sensors", sync_to_thread=True, include_in_schema=False)
def sensors(request: Ask, site: Site) -> Response[bytes]:
    window = site.window(request)
    rows = site.ask("sensors")
    by_sensor: dict[str, list[dict[str, object]]] = {}
    for row in site.ask("timeline", window.filter(), facet="sensor", step_s=window.step_s):
        by_sensor.setdefault(row["value"], []).append(row)
    lines: dict[str, Timeline] = {
        name: stack_timeline(found, window.steps, window.step_s, height=26) for name, found in by_sensor.items()
    }
    return site.page(request, "pages/sensors.html", window=window, rows=rows, lines=lines, json_twin="/api/sensors")


HANDLERS = (sensors,)
