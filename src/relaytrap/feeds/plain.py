"""`txt`: one address a line, with a comment that says why; for pf tables, fail2ban, scripts."""

from relaytrap.feeds.feed import Feed
from relaytrap.sip.text import visible

__all__ = ["write"]


def write(feed: Feed) -> bytes:
    """Comments begin with #; an address is followed by the reason why it stands here."""
    lines = [f"# {visible(line)}" for line in feed.head]
    lines += [f"{each.address:<39} # {visible(each.why)}" for each in feed.indicators]
    return "\n".join([*lines, ""]).encode()
