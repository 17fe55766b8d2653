"""The rows of a page elsewhere: what to type in a terminal for them. Read off the address of the page's JSON."""

import shlex
from typing import Final
from urllib.parse import parse_qsl, urlsplit

__all__ = ["commands_for"]

LISTS: Final = frozenset({"messages", "sources", "numbers", "relays", "origins", "campaigns"})
# What names the one thing of a question that `relaytrap show` explains.
ONE: Final = {"message": "id", "campaign": "id", "source": "address", "relay": "address", "origin": "address"}
# Pages in the middle of a list, to which no option of the command line leads.
ELSEWHERE: Final = frozenset({"offset", "after"})


def commands_for(json_twin: str, base_url: str) -> tuple[str, ...]:
    """Command lines, safe to paste, for what is at a path of the API: of `relaytrap` where it has one, and of curl."""
    curl = shlex.join(["curl", "-s", base_url.rstrip("/") + json_twin])
    ours = _relaytrap(json_twin)
    return (ours, curl) if ours else (curl,)


def _relaytrap(json_twin: str) -> str:
    """No command where the terminal has no such rows, or where a value would act on the one that it is pasted into."""
    parts = urlsplit(json_twin)
    name, given = parts.path.removeprefix("/api/"), dict(parse_qsl(parts.query))
    if not all(value.isprintable() for value in given.values()):
        return ""
    if name in ONE:
        return shlex.join(["relaytrap", "show", given[ONE[name]]])
    if name not in LISTS or given.keys() & ELSEWHERE:
        return ""
    relayed = ["--relayed"] if given.pop("relayed", "") else []
    options = [f"--{field.replace('_', '-')}={value}" for field, value in given.items()]
    return shlex.join(["relaytrap", name, *relayed, *options])
