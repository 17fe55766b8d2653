"""`asterisk`: a named ACL for `acl.conf`, that denies each address and lets everybody else pass.

Without a rule that fits Asterisk permits, and the last rule that fits decides; so the list has deny lines alone.
"""

from relaytrap.feeds.feed import Feed
from relaytrap.feeds.quoting import comment

__all__ = ["write"]


def write(feed: Feed) -> bytes:
    """Section [relaytrap_NAME]; `#include` it in acl.conf."""
    lines = [f"; {comment(line, 400)}" for line in feed.head]
    for name, indicators in feed.sets.items():
        lines += [f"[relaytrap_{name}]"]
        for each in indicators:
            length = 128 if ":" in each.address else 32
            lines += [f"; {comment(each.why, 400)}", f"deny={each.address}/{length}"]
    return "\n".join([*lines, ""]).encode()
