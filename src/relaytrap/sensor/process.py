"""What every sensor process has, whether it answers or only reads along."""

import asyncio
import logging
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from relaytrap.config import SensorConfig
from relaytrap.errors import ConfigError
from relaytrap.observation import SENSOR_NAME
from relaytrap.sensor.spool import Spool, SpoolLimits

__all__ = ["every", "loop_factory", "open_spool", "sensor_name", "when_told_to_end"]

log = logging.getLogger(__name__)


async def every(seconds: float, do: Callable[[], None]) -> None:
    """Do something again and again; one that fails is logged, and the next is done all the same."""
    while True:
        await asyncio.sleep(seconds)
        try:
            do()
        except Exception:
            log.exception("a periodic duty failed")


def when_told_to_end(stop: Callable[[], object]) -> None:
    """Call this at SIGTERM, at Ctrl-C, and when the terminal goes away, unless started under `nohup`."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, stop)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's where it is installed: less than half the time for connections."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def sensor_name(configured: str) -> str:
    """The sensor's name: it becomes a folder and a header's value."""
    name = configured or socket.gethostname().partition(".")[0] or "sensor"
    if not SENSOR_NAME.fullmatch(name):
        raise ConfigError(f"sensor.name: {name!r} will not do; take letters, digits, dots, dashes and underscores")
    return name


def open_spool(config: SensorConfig, data_dir: Path, name: str, on_closed: Callable[[], None]) -> Spool:
    """The spool of a sensor under its settings. Raises DiskError or StoreLocked."""
    limits = SpoolLimits(
        flush_interval_s=config.flush_interval_s,
        segment_max_bytes=config.segment_max_bytes,
        segment_max_age_s=config.segment_max_age_s,
        spool_max_bytes=config.spool_max_bytes,
        spool_max_days=config.spool_max_days,
        spool_kept_bytes=config.spool_kept_bytes,
    )
    return Spool(data_dir / "spool" / name, name, limits, on_closed=on_closed)
