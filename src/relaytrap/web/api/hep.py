"""GET /api/hep: how the HEP door stands, for whoever watches it."""

from dataclasses import asdict
from typing import Any

from litestar import Response, get

from relaytrap.clock import rfc3339
from relaytrap.hub.hep import HepStatus
from relaytrap.web.site import TheSite

__all__ = ["HANDLERS"]


@get("/api/hep", sync_to_thread=False)
def hep_status(site: TheSite) -> Response[dict[str, Any]]:
    """Listening places, what they did not take and why; capture agents and their rate; what waits, what is lost."""
    status = site.doors.hep.status() if site.doors else HepStatus()
    told = asdict(status)
    told["agents"] = [
        {"sensor": each.sensor, "messages": each.messages, "a_minute": each.a_minute}
        | {"heard": rfc3339(each.last_ns), "ahead_ms": each.ahead_ms}
        for each in status.agents.values()
    ]
    return Response(told, headers={"cache-control": "no-store"})


HANDLERS = (hep_status,)
