"""`ipset`: input of `ipset restore`, for iptables.

Each list is built aside and swapped with the one in use, so a packet never meets half of it. `ipset restore -exist`
takes the same file again and again.
"""

from collections.abc import Sequence
from typing import Final

from relaytrap.evidence.indicator import Indicator
from relaytrap.feeds.feed import Feed, of_version
from relaytrap.feeds.quoting import comment

__all__ = ["write"]

COMMENT_CHARS: Final = 255
FAMILIES: Final = {4: "inet", 6: "inet6"}
# A set that exists must have been made by the very same words, so its bound does not follow the list's length.
HEADER: Final = "maxelem 1048576 comment"


def write(feed: Feed) -> bytes:
    """Sets relaytrap_NAME4 and relaytrap_NAME6."""
    lines = [f"# {comment(line, 400)}" for line in feed.head]
    for name, indicators in feed.sets.items():
        for version, family in FAMILIES.items():
            kind = f"hash:ip family {family} {HEADER}"
            lines += _set(f"relaytrap_{name}{version}", kind, of_version(version, indicators))
    return "\n".join([*lines, ""]).encode()


def _set(name: str, kind: str, indicators: Sequence[Indicator]) -> list[str]:
    return [
        f"create {name} {kind}",
        f"create {name}_next {kind}",
        f"flush {name}_next",
        *(f'add {name}_next {each.address} comment "{comment(each.why, COMMENT_CHARS)}"' for each in indicators),
        f"swap {name}_next {name}",
        f"destroy {name}_next",
    ]
