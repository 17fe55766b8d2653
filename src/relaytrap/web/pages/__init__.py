"""Pages, one module each: a handler asks the site for rows and hands them to a template. No SQL, no HTML."""

from relaytrap.web.pages import (
    countries,
    feeds,
    findings,
    message,
    messages,
    numbers,
    overview,
    probe,
    probe_opt_out,
    probe_schedule,
    report,
    search,
    sensors,
    sources,
)

__all__ = ["HANDLERS"]

HANDLERS = (
    *overview.HANDLERS,
    *countries.HANDLERS,
    *messages.HANDLERS,
    *message.HANDLERS,
    *sources.HANDLERS,
    *findings.HANDLERS,
    *feeds.HANDLERS,
    *numbers.HANDLERS,
    *sensors.HANDLERS,
    *probe.HANDLERS,
    *probe_schedule.HANDLERS,
    *probe_opt_out.HANDLERS,
    *report.HANDLERS,
    *search.HANDLERS,
)
