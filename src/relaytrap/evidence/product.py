"""What a relay is: its kind, from what its messages show, and its product, if its own bytes say so."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["KINDS", "product_of", "relay_kind"]

# Kind → what it means, the most telling first.
KINDS: Final = {
    "lying": "names an address that others contradict",
    "b2bua": "makes requests anew; nothing of the sender is left",
    "hiding": "masks the hops below its own",
    "stripping": "takes the hops below its own away",
    "rewriting": "puts its own Contact in place of the sender's",
    "in-dialog": "forwards what claims to belong to a dialog",
    "stateful": "stays on the route, or answers for the transaction",
    "stateless": "passes every message on by itself",
    "proxy": "adds its Via and shows no more",
    "inner": "was seen only behind other relays",
}


def relay_kind(seen: Mapping[str, int], *, lying: bool, b2bua: bool, masked: bool) -> str:
    """Key of KINDS. seen: messages by the `kind` of their path."""
    if lying:
        return "lying"
    if b2bua:
        return "b2bua"
    if masked or seen.get("hiding"):
        return "hiding"
    if seen.get("stripping"):
        return "stripping"
    rewriting, total = seen.get("rewriting", 0), sum(seen.values())
    if rewriting * 2 > total - seen.get("stateless", 0):
        return "rewriting"
    opening = total - seen.get("stateless", 0)
    if opening and seen.get("in-dialog", 0) == opening:
        return "in-dialog"
    for kind in ("stateful", "stateless"):
        if seen.get(kind):
            return kind
    return "proxy"


# Products that stand on the path of calls, by what they write into User-Agent or Server: nmap's and OpenVAS's
# signatures and the vendors' documentation.
PRODUCTS: Final = re.compile(
    r"(?i)siparator|ingate|icewarp|kamailio|opensips|openser|\bser \(|communigate|sipxecs|mediant|audiocodes|patton|"
    r"smartnode|freeswitch|mod_sofia|starface|ngcp|sipwise|sip ?express|\bsbc\b|session border|acme ?packet|"
    r"oracle esbc|"
    r"sonus|ribbon|metaswitch|perimeta|genband|edgemarc|edgewater|sansay|netsapiens|sipbx|brekeke|repro|3cx|yate|"
    r"teles|cisco-cucm|cube\b|tekelec|broadworks|siproxd"
)


def product_of(agents: Sequence[str], *, rewritten: bool, genuine: bool) -> str:
    """The product that a relay's own bytes name; "" when they name none.

    agents: User-Agents of the requests it handed on. A proxy leaves what the sender claimed (RFC 3261 16.6: User-Agent
    is not among what it changes), so they count only when rewritten: the relay makes requests anew, or what it hands
    on for a sender bears another one than what others hand on for the same. One for all of them, or the only one that
    is a relay's product, is its own then. genuine: its branches are Kamailio's.
    """
    own = {agent for agent in agents if PRODUCTS.search(agent)} if rewritten else set()
    return own.pop() if len(own) == 1 else "Kamailio (by its branches)" if genuine else ""
