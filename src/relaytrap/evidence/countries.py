"""English names of countries, for sentences that people read."""

import tomllib
from functools import lru_cache
from importlib.resources import files

__all__ = ["country_name"]


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    return tomllib.loads(files("relaytrap.evidence").joinpath("countries.toml").read_text(encoding="utf-8"))


def country_name(code: str) -> str:
    """Short English name of an ISO 3166-1 alpha-2 code; the code itself when it is not one."""
    return _names().get(code, code)
