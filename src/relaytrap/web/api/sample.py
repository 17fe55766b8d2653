"""DELETE /api/sample: takes the bundled sample out of a running hub's store, for `relaytrap sample remove`."""

from typing import Any

from litestar import Response, delete

from relaytrap.sample.networks import SENSOR_PREFIX
from relaytrap.store.retention import drop_sensors
from relaytrap.web.api.uplink import require_local
from relaytrap.web.site import Ask, TheSite
from relaytrap.web.threads import in_thread

__all__ = ["HANDLERS"]


@delete("/api/sample", status_code=200)
async def remove_sample(request: Ask, site: TheSite) -> Response[Any]:
    """Remove every message of the sample's sensors; needs the token that hub.json holds. `removed`: how many."""
    require_local(request, site)
    removed = await in_thread(drop_sensors, site.store, SENSOR_PREFIX)
    site.answers.forget()
    return Response({"removed": removed})


HANDLERS = (remove_sample,)
