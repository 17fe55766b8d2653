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
    "CAMPAIGN",
    "CAMPAIGN_CONDITION",
    "FRONTING",
    "HIDDEN_DIRECT",
    "INNER",
    "PLACED",
    "PLACED_AT",
    "SETTLED_HOURS",
    "SETTLED_PLACES",
    "campaign_of",
]

NEWEST: Final = "version = (SELECT max(version) FROM conclusions)"


def said(kind: str, columns: str, condition: str = "1") -> str:
    """Conclusions of one kind, as a set."""
    return f"(SELECT {columns} FROM conclusions WHERE kind = '{kind}' AND {condition} AND {NEWEST})"


FRONTING: Final = said("fronting", "toIPv6OrDefault(other)")
# Addresses that relays name and that are no origins: those of liars, and of what hides behind another relay.
NO_ORIGIN: Final = f"(SELECT toIPv6OrDefault(other) FROM conclusions WHERE kind IN ('lying', 'fronting') AND {NEWEST})"
# The same, and addresses whose word about others is not believed.
NOT_NAMED: Final = (
    f"(SELECT toIPv6OrDefault(other) FROM conclusions WHERE kind IN ('lying', 'fronting', 'doubted') AND {NEWEST})"
)
# No origins, or only a hop that is not believed names them.
NOWHERE: Final = (
    "(SELECT toIPv6OrDefault(if(kind = 'unseen', one, other)) FROM conclusions "
    f"WHERE kind IN ('lying', 'fronting', 'unseen') AND {NEWEST})"
)
HIDING: Final = said("hiding", "toIPv6OrDefault(one), toUInt64OrZero(other)")
INNER: Final = said("inner", "toIPv6OrDefault(one)")


def told(condition: str) -> str:
    """Pairs of a chain of which something is concluded, as a set for PAIR."""
    return (
        "(SELECT kind = 'chained', toIPv6OrDefault(one), toIPv6OrDefault(other) FROM conclusions "
        f"WHERE kind IN ('chained', 'behind') AND {condition} AND {NEWEST})"
    )


# To the nearer of the two, or to nobody.
TAKEN_BACK: Final = told("said != ''")
LEADS_NOWHERE: Final = told("said = ''")
# A hop and whom it names; without one the origin and what lies deeper.
PAIR: Final = f"(inner != {NONE}, if(inner = {NONE}, origin, inner), if(inner = {NONE}, deeper, origin))"

# Looks direct and is a relay's.
HIDDEN_DIRECT: Final = f"(verdict = 'direct' AND (source, stack) IN {HIDING})"
# Came from its source itself, as far as anybody can tell.
APPARENT: Final = f"(verdict IN ('direct', 'forged') AND NOT {HIDDEN_DIRECT})"
# The origin that is believed when a relay names one; :: when nobody is.
BELIEVED: Final = (
    f"multiIf(verdict != 'relayed' OR origin IN {NOT_NAMED}, {NONE}, "
    f"inner = {NONE} AND deeper = {NONE}, origin, "
    f"{PAIR} IN {TAKEN_BACK}, if(inner = {NONE}, deeper, inner), "
    f"{PAIR} IN {LEADS_NOWHERE}, {NONE}, origin)"
)
# A placement that counts: nobody believed is named by the message itself.
GUEST: Final = (
    f"(verdict = 'hidden' OR (verdict = 'relayed' AND (named = {NONE} OR named IN {NO_ORIGIN})) OR {HIDDEN_DIRECT})"
)
# Where a placement leads in the end: nowhere when it leads to an address that only a lying relay or a hop that is not
# believed names.
PLACED_AT: Final = f"if(origin IN {NOWHERE}, {NONE}, origin)"
# Placements that count, with where they lead in the end.
PLACED: Final = f"SELECT * REPLACE ({PLACED_AT} AS origin) FROM placements FINAL WHERE {GUEST}"
# A relay names an origin that may be one.
NAMED: Final = f"(verdict = 'relayed' AND origin != {NONE} AND origin NOT IN {NO_ORIGIN})"
# Neither from an apparent source nor with a believed origin, and no guest of the association either.
BEHIND: Final = f"({NAMED} AND {BELIEVED} = {NONE})"


def campaign_of(base: str, column: str) -> str:
    """The identifier of a campaign (evidence.campaign.campaign_id) of an address column."""
    return identifier(f"'{base}'", column)


def identifier(base: str, column: str) -> str:
    """The same with an expression for the base."""
    return f"lower(substring(hex(MD5(concat({base}, ' ', {address(column)}))), 1, 12))"


def campaigns(believed: str) -> str:
    """The columns that say whose campaign it is, by the column of who is believed: base ('origin' or 'behind'), key."""
    return f"if({believed} = {NONE}, 'behind', 'origin') AS base, if({believed} = {NONE}, source, {believed}) AS key"


# Each set costs time to plan, so what is needed several times is worked out once, here: hours of tracks that belong to
# a campaign, whether they came straight (apparent), from whom (believed), and whose campaign it is (base, key).
SETTLED_HOURS: Final = (
    f"SELECT *, {APPARENT} AS apparent, if(apparent, source, {BELIEVED}) AS believed, {campaigns('believed')} "
    f"FROM track_hours FINAL WHERE apparent OR believed != {NONE} OR {NAMED}"
)
SETTLED_PLACES: Final = f"SELECT *, {campaigns('origin')} FROM ({PLACED})"
CAMPAIGN: Final = identifier("base", "key")

# Messages of one campaign, {campaign:String}: a condition over `messages`.
CAMPAIGN_CONDITION: Final = (
    f"(track IN (SELECT track FROM ({SETTLED_HOURS}) WHERE {CAMPAIGN} = {{campaign:String}}) OR id IN "
    f"(SELECT id FROM ({SETTLED_PLACES}) WHERE {CAMPAIGN} = {{campaign:String}}))"
)
