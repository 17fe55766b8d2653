"""`kamailio`: the address file of Kamailio's permissions module (`modparam("permissions", "address_file", ...)`).

A line has group, address, prefix length, port (0: any) and a tag. `kamcmd permissions.addressReload` takes a new file,
and `allow_source_address("60")` then says whether a request's source is one of them.
"""

from typing import Final

from relaytrap.feeds.feed import Feed
from relaytrap.feeds.quoting import comment

__all__ = ["GROUPS", "write"]

# Victims have a group of their own, so that a script that drops attackers does not drop them.
GROUPS: Final = {"attacker": 60, "relay": 61}


def write(feed: Feed) -> bytes:
    """Attackers in one group, relays in another."""
    lines = [f"# {comment(line, 400)}" for line in feed.head]
    lines += [f"# group {number}: {name}s" for name, number in GROUPS.items()]
    for each in feed.indicators:
        role = "relay" if each.is_victim else "attacker"
        length = 128 if ":" in each.address else 32
        lines += [f"# {comment(each.why, 400)}", f"{GROUPS[role]} {each.address} {length} 0 {role}"]
    return "\n".join([*lines, ""]).encode()
