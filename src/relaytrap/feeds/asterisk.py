"""`asterisk`: named ACLs for `acl.conf`, that deny each address and let everybody else pass.

The last rule that fits decides. So each begins by permitting everybody; without any rule it would not be an ACL, and
Asterisk denies all where one is missing.
"""

from typing import Final

from relaytrap.feeds.feed import Feed
from relaytrap.feeds.quoting import comment

__all__ = ["write"]

EVERYBODY: Final = ("permit=0.0.0.0/0", "permit=::/0")


def write(feed: Feed) -> bytes:
    """A section [relaytrap_NAME] for each set; `#include` them in acl.conf."""
    lines = [f"; {comment(line, 400)}" for line in feed.head]
    for name, indicators in feed.sets.items():
        lines += [f"[relaytrap_{name}]", *EVERYBODY]
        for each in indicators:
            length = 128 if ":" in each.address else 32
            lines += [f"; {comment(each.why, 400)}", f"deny={each.address}/{length}"]
    return "\n".join([*lines, ""]).encode()
