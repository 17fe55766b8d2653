"""What a machine that becomes a sensor fetches from its hub: the sensor, as a wheel."""

from typing import Final

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from relaytrap.hub.sensor_wheel import sensor_wheel

__all__ = ["HANDLERS"]

WHEEL: Final = "application/zip"


@get("/join/{name:str}", sync_to_thread=True, include_in_schema=False)
def take_wheel(name: FromPath[str]) -> Response[bytes]:
    """The sensor of this version; nothing in it is secret."""
    wheel = sensor_wheel()
    if name != wheel.name:
        raise NotFoundException(detail="There is no such file.")
    return Response(wheel.data, media_type=WHEEL)


HANDLERS = (take_wheel,)
