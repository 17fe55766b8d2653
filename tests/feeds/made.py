"""Indicators and feeds for tests, some of them written by somebody who knows the formats."""

import dataclasses
from typing import Any

from relaytrap.evidence.indicator import Indicator
from relaytrap.feeds import TITLES, Feed

PAYLOADS = (
    'a" comment "b',
    "x\nflush ruleset\n",
    "x\r\n[general]\r\npermit=0.0.0.0/0",
    "*/ } ; drop table",
    "$(reboot) `reboot`",
    "=HYPERLINK(1)",
    "\u202egnp.exe\u2066",
    "\x1b[31mred\x07",
    "nul\x00byte",
    "</script><script>",
    "'] OR [ipv4-addr:value = '0.0.0.0/0",
    "{{7*7}}\\",
    "L" * 70_000,
)


def indicator(address: str = "198.51.100.7", role: Any = "source", **given: Any) -> Indicator:
    """One that was seen an hour long; any field can be given."""
    usual = Indicator(
        address=address,
        roles=(role,),
        confidence=95,
        first_seen="2026-09-22T12:00:00Z",
        last_seen="2026-09-22T13:00:00Z",
        requests=20,
        reasons=("20 requests at 2 honeypots", "held a connection with us"),
        country="FR",
        asn=64500,
        as_name="Exemple",
        tools=("svwar",),
    )
    return dataclasses.replace(usual, **given)


def hostile() -> list[Indicator]:
    """One for each payload, which stands wherever the text of others does."""
    return [
        indicator(f"198.51.100.{number}", as_name=text, tools=(text,), reasons=(text,))
        for number, text in enumerate(PAYLOADS, 1)
    ]


def feed(*indicators: Indicator, name: str = "attackers", **given: Any) -> Feed:
    """A feed of these, as they are: no barrier."""
    return Feed(name, TITLES[name], indicators, **given)


MIXED = feed(
    indicator("198.51.100.7"),
    indicator("203.0.113.9", "relay", tools=()),
    indicator("2001:db8::7", "origin", relays=4, campaigns=("1341f8ed9e4b",)),
    name="everything",
    choice=("Seen by 2 honeypots since 7d",),
    left_out={"private": 2},
)
