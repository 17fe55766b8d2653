"""The API: the same rows that pages show, the live stream, and the doors through which sensors and imports deliver."""

from relaytrap.web.api import catalogue, docs, download, feeds, hep, join, live, maintenance, sample, uplink

__all__ = ["HANDLERS"]

HANDLERS = (
    *catalogue.HANDLERS,
    *docs.HANDLERS,
    *download.HANDLERS,
    *feeds.HANDLERS,
    *hep.HANDLERS,
    *join.HANDLERS,
    *live.HANDLERS,
    *sample.HANDLERS,
    *uplink.HANDLERS,
    *maintenance.HANDLERS,
)
