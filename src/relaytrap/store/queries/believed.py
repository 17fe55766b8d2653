"""SQL that turns what single messages say into what is believed after everything was settled.

The expressions stand over the columns verdict, source (or relay), stack, origin, inner, deeper of the tables of hours.
Conclusions are few; each is a subquery that the engine keeps as a set.
"""

from typing import Final

from relaytrap.store.findings_schema import NONE
from relaytrap.store.queries.shape import address

__all__ = [
    "APPARENT",
    "BEHIND",
    "BELIEVED",
    "CAMPAIGN_CONDITION",
    "FRONTING",
    "HIDDEN_DIRECT",
    "INNER",
    "PLACED",
    "PLACED_AT",
    "campaign_of",
]

NEWEST: Final = "version = (SELECT max(version) FROM conclusions)"


def said(kind: str, columns: str, condition: str = "1") -> str:
    """Conclusions of one kind, as a set."""
    return f"(SELECT {columns} FROM conclusions WHERE kind = '{kind}' AND {condition} AND {NEWEST})"


PAIR: Final = "toIPv6OrDefault(one), toIPv6OrDefault(other)"
FRONTING: Final = said("fronting", "toIPv6OrDefault(other)")
# Addresses that relays name and that are no origins: those of liars, and of what hides behind another relay.
NO_ORIGIN: Final = f"(SELECT toIPv6OrDefault(other) FROM conclusions WHERE kind IN ('lying', 'fronting') AND {NEWEST})"
DOUBTED: Final = said("doubted", "toIPv6OrDefault(other)")
HIDING: Final = said("hiding", "toIPv6OrDefault(one), toUInt64OrZero(other)")
CHAINED_SELF: Final = said("chained", PAIR, "said != ''")
CHAINED_AWAY: Final = said("chained", PAIR, "said = ''")
INNER: Final = said("inner", "toIPv6OrDefault(one)")
UNSEEN: Final = said("unseen", "toIPv6OrDefault(one)")
BEHIND_SELF: Final = said("behind", PAIR, "said != ''")
BEHIND_AWAY: Final = said("behind", PAIR, "said = ''")

# Looks direct and is a relay's.
HIDDEN_DIRECT: Final = f"(verdict = 'direct' AND (source, stack) IN {HIDING})"
# Came from its source itself, as far as anybody can tell.
APPARENT: Final = f"(verdict IN ('direct', 'forged') AND NOT {HIDDEN_DIRECT})"
# The origin that is believed when a relay names one; :: when nobody is.
BELIEVED: Final = (
    f"multiIf(verdict != 'relayed' OR origin IN {NO_ORIGIN} OR origin IN {DOUBTED}, {NONE}, "
    f"inner != {NONE} AND (inner, origin) IN {CHAINED_SELF}, inner, "
    f"inner != {NONE} AND (inner, origin) IN {CHAINED_AWAY}, {NONE}, "
    f"inner = {NONE} AND deeper != {NONE} AND (origin, deeper) IN {BEHIND_SELF}, deeper, "
    f"inner = {NONE} AND deeper != {NONE} AND (origin, deeper) IN {BEHIND_AWAY}, {NONE}, origin)"
)
# A placement that counts: nobody believed is named by the message itself.
GUEST: Final = (
    f"(verdict = 'hidden' OR (verdict = 'relayed' AND (named = {NONE} OR named IN {NO_ORIGIN})) OR {HIDDEN_DIRECT})"
)
# Where a placement leads in the end: nowhere when it leads to an address that only a lying relay or a hop that is not
# believed names.
PLACED_AT: Final = f"if(origin IN {NO_ORIGIN} OR origin IN {UNSEEN}, {NONE}, origin)"
# Placements that count, with where they lead in the end.
PLACED: Final = f"SELECT * REPLACE ({PLACED_AT} AS origin) FROM placements FINAL WHERE {GUEST}"
# Neither from an apparent source nor with a believed origin, and no guest of the association either.
BEHIND: Final = f"(verdict = 'relayed' AND origin != {NONE} AND origin NOT IN {NO_ORIGIN} AND {BELIEVED} = {NONE})"


def campaign_of(base: str, column: str) -> str:
    """The identifier of a campaign (evidence.campaign.campaign_id) of an address column."""
    return f"lower(substring(hex(MD5(concat('{base} ', {address(column)}))), 1, 12))"


def on_hours(column: str, campaign: str) -> str:
    """SELECT of a column of track_hours for one campaign, given as an expression."""
    return (
        f"SELECT {column} FROM track_hours FINAL WHERE ({APPARENT} OR {BELIEVED} != {NONE}) AND "
        f"{campaign_of('origin', f'if({APPARENT}, source, {BELIEVED})')} = {campaign} UNION ALL "
        f"SELECT {column} FROM track_hours FINAL WHERE {BEHIND} AND {campaign_of('behind', 'source')} = {campaign}"
    )


# Messages of one campaign, {campaign:String}: a condition over `messages`.
CAMPAIGN_CONDITION: Final = (
    f"(track IN ({on_hours('track', '{campaign:String}')}) OR id IN (SELECT id FROM ({PLACED}) WHERE "
    f"if(origin = {NONE}, {campaign_of('behind', 'source')}, {campaign_of('origin', 'origin')}) = {{campaign:String}}))"
)
