"""Who owns the sample scene's addresses: documentation networks get countries and operators from a settings file."""

import dataclasses
import ipaddress
from functools import lru_cache
from importlib.resources import as_file, files

from relaytrap.config import NetworkConfig, NetworkName, load_config

__all__ = ["SENSOR_PREFIX", "country_of", "load_networks", "name_of", "with_sample"]

# Every sensor of the sample is named so, and no other should be: removing the sample removes what starts with it.
SENSOR_PREFIX = "sample-"


@lru_cache(maxsize=1)
def load_networks() -> NetworkConfig:
    """The scene's networks and its one known proxy; read once from `networks.toml` beside this file."""
    with as_file(files("relaytrap.sample") / "networks.toml") as path:
        return load_config(path, environ={})[0].network


def with_sample(network: NetworkConfig) -> NetworkConfig:
    """The operator's networks with the sample's added; where both name a network, the operator's row is kept.

    The home region is left to each honeypot's own address: the scene's four stand in four countries.
    """
    sample = load_networks()
    own = {row.network for row in network.names}
    return dataclasses.replace(
        network,
        names=(*network.names, *(row for row in sample.names if row.network not in own)),
        known_proxies=(*network.known_proxies, *sample.known_proxies),
        home_region="",
    )


@lru_cache(maxsize=1024)
def name_of(address: str) -> NetworkName | None:
    """The row of one of the scene's addresses; None for any other. The table's networks do not overlap."""
    parsed = ipaddress.ip_address(address)
    return next((row for row in load_networks().names if parsed in ipaddress.ip_network(row.network)), None)


def country_of(address: str) -> str:
    """Country of one of the scene's addresses; "" for any other."""
    row = name_of(address)
    return row.country if row else ""
