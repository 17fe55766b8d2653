"""`relaytrap config show`: every effective setting and where it came from."""

import dataclasses
import re
from typing import Any

import click

from relaytrap.cli.main import Group, Settings
from relaytrap.cli.output import emit, output_options
from relaytrap.config import Given

__all__ = ["command", "is_secret"]

# Shown as set or not set: a terminal's scroll-back and a bug report are no place for a secret.
SECRETS = {"sensor.token", "sensor.seed", "hub.hep_password", "probe.witness_token"}
URLS = {"store.url", "hub.nats_url"}
PASSWORD = re.compile(r"(?<=://)([^/@:]*):.*@")


@click.group(cls=Group)
def command() -> None:
    """Effective settings, and where each came from."""


@command.command()
@output_options
@click.pass_obj
def show(settings: Settings, as_json: bool, as_csv: bool) -> None:
    """Print every setting: its value, its source (default, file, variable, flag) and where that stands."""
    _, given = settings.load_given()
    rows = [row_of(key, one) for key, one in given.items()]
    emit(
        rows,
        [("key", "setting"), ("value", "value"), ("source", "from"), ("where", "where")],
        as_json=as_json,
        as_csv=as_csv,
    )


def row_of(key: str, one: Given) -> dict[str, Any]:
    """One setting as a row; secrets say only whether they are set."""
    value = ("(set)" if one.value else "") if key in SECRETS else plain(one.value)
    if key in URLS:
        value = PASSWORD.sub(r"\1:(set)@", str(value))
    return {"key": key, "value": value, "source": one.source, "where": one.detail}


def is_secret(key: str, value: Any) -> bool:
    """Whether the value of a setting is, or holds, what others must not read."""
    return bool(value) and (key in SECRETS or (key in URLS and PASSWORD.search(str(value)) is not None))


def plain(value: Any) -> Any:
    """A setting's value in JSON's own types."""
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    return value if isinstance(value, (int, float, bool)) else str(value)
