"""Tests several servers at the same time, all with one witness, from wherever this runs: a network namespace, say.

usage: probe_many.py OPTIONS_AS_JSON HOST... ; prints a JSON object, HOST → report.
"""

import asyncio
import json
import sys
from dataclasses import replace
from typing import Any

from relaytrap.probe.conduct import Options, conduct
from relaytrap.probe.target import resolve_target
from relaytrap.probe.witness import Witnesses


def tuple_of(value: Any) -> Any:
    """JSON knows no tuples."""
    return tuple(value) if isinstance(value, list) else value


async def main(chosen: dict[str, Any], hosts: list[str]) -> None:
    pool = Witnesses()
    options = replace(Options(), witnesses=pool, **{name: tuple_of(value) for name, value in chosen.items()})

    async def test(host: str) -> dict[str, Any]:
        target = await resolve_target(host, transports=options.transports, domain="family.example")
        return (await conduct(target, options, lambda progress: None)).as_json()

    reports = await asyncio.gather(*map(test, hosts))
    pool.close()
    print(json.dumps(dict(zip(hosts, reports, strict=True))))


asyncio.run(main(json.loads(sys.argv[1]), sys.argv[2:]))
