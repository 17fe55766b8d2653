"""Every question that page, API and command line ask, by name.

A question is a function of the store, usually a Filter (or a Place), and a few options; it gives rows ready for JSON:
times as RFC 3339 text, addresses as canonical text, identifiers as 16 hex digits. `CATALOGUE` names them; `run_query`
takes options as text, as a query string or a command line gives them.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from relaytrap.errors import InputError
from relaytrap.store.queries import (
    arrivals,
    campaign,
    campaigns,
    geo,
    messages,
    numbers,
    origins,
    overview,
    relays,
    sensors,
    sources,
)
from relaytrap.store.queries.filter import (
    FIELDS,
    Conditions,
    Filter,
    Place,
    Seen,
    fields_of,
    parse_conditions,
    parse_filter,
)

if TYPE_CHECKING:
    from relaytrap.store.engine import Row, Store

__all__ = [
    "CATALOGUE",
    "FIELDS",
    "Conditions",
    "Filter",
    "Place",
    "Seen",
    "conditions_of",
    "fields_of",
    "options_of",
    "parse_conditions",
    "parse_filter",
    "run_query",
]

CATALOGUE: Final[dict[str, Callable[..., "Iterable[Row]"]]] = {
    "messages": messages.list_messages,
    "message": messages.get_message,
    "arrivals": arrivals.list_arrivals,
    "conversation": messages.query_conversation,
    "count": messages.count_messages,
    "sources": sources.list_sources,
    "source": sources.get_source,
    "numbers": numbers.list_numbers,
    "sensors": sensors.list_sensors,
    "sensor_addresses": sensors.list_sensor_addresses,
    "countries": geo.list_countries,
    "countries_by_time": geo.list_countries_by_time,
    "networks": geo.list_networks,
    "relays_by_time": geo.list_relays_by_time,
    "totals": overview.query_totals,
    "timeline": overview.query_timeline,
    "leaders": overview.list_leaders,
    "leading_sources": overview.list_leading_sources,
    "span": overview.query_span,
    "relays": relays.list_relays,
    "relay": relays.get_relay,
    "origins": origins.list_origins,
    "origin": origins.get_origin,
    "campaigns": campaigns.list_campaigns,
    "campaign": campaign.get_campaign,
    "sweep": campaign.query_sweep,
    "relay_hours": campaign.query_relay_hours,
    "fan": campaign.query_fan,
}


def options_of(name: str) -> dict[str, inspect.Parameter]:
    """The options of a question besides the filter: name → default and type."""
    return {p.name: p for p in inspect.signature(CATALOGUE[name]).parameters.values() if p.kind is p.KEYWORD_ONLY}


def conditions_of(name: str) -> type[Conditions]:
    """What narrows a question: the class of its conditions, `Conditions` itself for one that takes none."""
    where = inspect.signature(CATALOGUE[name]).parameters.get("where")
    kind: type[Conditions] = Conditions if where is None else where.annotation
    return kind


def run_query(store: "Store", name: str, given: Mapping[str, Any], now: int | None = None) -> "Iterable[Row]":
    """Rows of one question of the catalogue; given: filter fields and options, as text or as values.

    Raises InputError that names what is wrong with a name or a value.
    """
    if name not in CATALOGUE:
        raise InputError(f"no query {name!r}; there are {', '.join(CATALOGUE)}")
    known = options_of(name)
    options = {key: _converted(known[key], value) for key, value in given.items() if key in known}
    if missing := [key for key, p in known.items() if p.default is p.empty and key not in options]:
        raise InputError(f"{name} needs {', '.join(missing)}")
    rest = {key: value for key, value in given.items() if key not in known}
    kind = conditions_of(name)
    where = parse_conditions(kind, rest, now)
    return CATALOGUE[name](store, **options) if kind is Conditions else CATALOGUE[name](store, where, **options)


def _converted(option: inspect.Parameter, value: Any) -> Any:
    kind = option.annotation
    if not isinstance(value, str) or kind is str:
        return value
    try:
        if kind is bool:
            return {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False, "": False}[
                value.lower()
            ]
        return int(value)
    except (KeyError, ValueError):
        raise InputError(f"{option.name}: {value!r} is no {'yes or no' if kind is bool else 'whole number'}") from None
