"""Which shape of the world map a country code belongs to.

The map data (Natural Earth 1:50m) draws some territories as part of the state they belong to, while address tables
give them a code of their own. Only pictures join them; rows keep the code the table gave.
"""

from typing import Final

__all__ = ["map_country"]

DRAWN_WITH: Final = {
    "GP": "FR",  # Guadeloupe
    "MQ": "FR",  # Martinique
    "RE": "FR",  # Réunion
    "GF": "FR",  # French Guiana
    "YT": "FR",  # Mayotte
    "SJ": "NO",  # Svalbard and Jan Mayen
    "BQ": "NL",  # Bonaire, Sint Eustatius and Saba
}


def map_country(country: str) -> str:
    """The ISO code under which a country is drawn on the map; its own for nearly all."""
    return DRAWN_WITH.get(country, country)
