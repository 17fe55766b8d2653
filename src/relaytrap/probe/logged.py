"""One test from its line in the log to its result in the log, whatever happens in between.

The same for command line, page and schedule: nothing is sent before the log has the test, and a test that is broken
off is in the log as one that was.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from relaytrap.clock import now_ns, rfc3339
from relaytrap.errors import RelaytrapError
from relaytrap.probe.conduct import Options, conduct
from relaytrap.probe.plan import Progress
from relaytrap.probe.register import Register
from relaytrap.probe.report import not_run
from relaytrap.probe.target import Target

__all__ = ["conduct_logged"]

log = logging.getLogger(__name__)


async def conduct_logged(
    register: Register, secret: str, target: Target, options: Options, on_progress: Callable[[Progress], None]
) -> dict[str, Any]:
    """Run a test that the register has begun, and log its end; gives the report as JSON.

    When it is cancelled, what it left open at the server is ended first, as far as one message each can.
    """
    begun = rfc3339(now_ns())
    report = not_run(target.named, "The test was broken off.", begun)
    try:
        found = await conduct(target, replace(options, opted_out=register.opt_outs.objection), on_progress)
        report = found.as_json()
    except RelaytrapError as error:
        report = not_run(target.named, str(error), begun)
    except Exception:  # the edge of one unit of work: the test ends, the process goes on
        log.exception("a test failed target=%r", target.named)
        report = not_run(target.named, "Relaytrap made a mistake; its log says where.", begun)
    finally:
        register.end(secret, report, now_ns())
    return report
