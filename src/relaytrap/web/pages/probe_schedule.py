"""Tests that run again and again, under a secret link of their own: a single result may be shared without them."""

from dataclasses import asdict
from typing import Any

from litestar import Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect

from relaytrap.clock import rfc3339
from relaytrap.probe.register import Entry
from relaytrap.probe.schedule import STATED, Notice, Schedule
from relaytrap.probe.verdict import CLASSES, EXIT_OPEN
from relaytrap.web.pages.probe import find_tests
from relaytrap.web.site import Ask, Site, TheSite

__all__ = ["HANDLERS"]

Shown = dict[str, Any]


@get("/probe/schedule/{secret:str}", sync_to_thread=True, include_in_schema=False)
def show(request: Ask, site: TheSite, secret: FromPath[str]) -> Response[bytes]:
    schedule = _schedule(site, secret)
    return site.page(
        request,
        "pages/probe_schedule.html",
        schedule=schedule,
        stated=STATED,
        address=str(request.url),
        json_twin=f"/api/probe/schedule/{secret}",
        **_shown(site, schedule),
    )


@post("/probe/schedule/{secret:str}/stop", sync_to_thread=True, include_in_schema=False)
def stop(site: TheSite, secret: FromPath[str]) -> Redirect:
    """End a schedule; whoever has its link may."""
    schedule = _schedule(site, secret)
    find_tests(site).schedules.remove(secret)
    return Redirect("/probe", query_params={"host": schedule.target}, status_code=303)


@get("/api/probe/schedule/{secret:str}", sync_to_thread=True)
def show_json(site: TheSite, secret: FromPath[str]) -> Shown:
    """One schedule with the results and changes so far."""
    schedule = _schedule(site, secret)
    return {"target": schedule.target, "problem": schedule.problem, **_shown(site, schedule)}


def _schedule(site: Site, secret: str) -> Schedule:
    schedule = find_tests(site).schedules.find(secret)
    if schedule is None:
        raise NotFoundException(detail="There is no such schedule.")
    return schedule


def _shown(site: Site, schedule: Schedule) -> Shown:
    tests = find_tests(site)
    hours = schedule.every_s // 3600
    return {
        "every": f"{hours // 24} days" if hours % 24 == 0 and hours > 24 else "day" if hours == 24 else f"{hours} h",
        "next_at": rfc3339(schedule.next_at_ns),
        "notices": [_notice(each) for each in tests.schedules.notices(schedule.secret)],
        "history": [_result(each) for each in tests.register.history(schedule.secret)],
    }


def _notice(notice: Notice) -> Shown:
    shown = asdict(notice)
    is_open = notice.after in CLASSES and CLASSES[notice.after].exit_status == EXIT_OPEN
    return shown | {"at": rfc3339(shown.pop("at_ns")), "is_open": is_open}


def _result(entry: Entry) -> Shown:
    sentence = entry.report["sentence"] if entry.report else ""
    judged = CLASSES.get(entry.verdict or "")
    return {
        "at": rfc3339(entry.started_at_ns),
        "verdict": entry.verdict,
        "exit_status": judged.exit_status if judged else None,
        "sentence": sentence,
        "secret": entry.secret,
    }


HANDLERS = (show, stop, show_json)
