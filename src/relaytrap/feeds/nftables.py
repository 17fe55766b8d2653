"""`nft`: sets of nftables, filled in one transaction.

`nft -f` takes a file whole or not at all, so a packet never meets half a list. Table and sets are made when they are
missing and emptied before they are filled; rules that name them stay as they are. The file makes no rule: what is done
to whom stands in a set is the operator's business.
"""

from collections.abc import Sequence
from typing import Final

from relaytrap.evidence.indicator import Indicator
from relaytrap.feeds.feed import Feed, of_version
from relaytrap.feeds.quoting import comment

__all__ = ["write"]

COMMENT_CHARS: Final = 127
"""NFTNL_UDATA_COMMENT_MAXLEN is 128, with the byte that ends it."""
TYPES: Final = {4: "ipv4_addr", 6: "ipv6_addr"}


def write(feed: Feed) -> bytes:
    """Sets NAME4 and NAME6 of the table inet relaytrap."""
    lines = [f"# {comment(line, 400)}" for line in feed.head]
    lines += ["table inet relaytrap {"]
    lines += [f"  set {name}{version} {{ type {kind}; }}" for name in feed.sets for version, kind in TYPES.items()]
    lines += ["}"]
    for name, indicators in feed.sets.items():
        for version in TYPES:
            lines += _filled(f"{name}{version}", of_version(version, indicators))
    return "\n".join([*lines, ""]).encode()


def _filled(name: str, indicators: Sequence[Indicator]) -> list[str]:
    lines = [f"flush set inet relaytrap {name}"]
    if indicators:
        lines += [f"add element inet relaytrap {name} {{"]
        lines += [f'  {each.address} comment "{comment(each.why, COMMENT_CHARS)}",' for each in indicators]
        lines += ["}"]
    return lines
