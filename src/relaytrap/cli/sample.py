"""`relaytrap sample`: the bundled scene into the store, and out again."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from relaytrap.cli.main import Group, Settings
from relaytrap.cli.progress import find_anew
from relaytrap.cli.session import Session, StoreSession, open_session
from relaytrap.clock import now_ns
from relaytrap.config import Config

__all__ = ["command"]


@click.group(name="sample", cls=Group)
def command() -> None:
    """Load or remove the bundled sample scene.

    Four honeypots' week, recorded of real programs in network namespaces: a sweep through a hundred open relays, toll
    fraud, password attacks, everyday scanners. Its sensors are named sample-...; its addresses are documentation
    addresses, which belong to nobody.
    """


@command.command()
@click.option("--again", is_flag=True, help="Load it even when it ended less than an hour ago.")
@click.pass_obj
def load(settings: Settings, again: bool) -> None:
    """Load the sample, its times shifted to end now; replaces one that was loaded before."""
    from relaytrap.sample.captures import write_captures
    from relaytrap.sample.loader import what_is_loaded

    config = settings.load()
    with open_session(config) as session, tempfile.TemporaryDirectory(prefix="relaytrap-sample-") as folder:
        loaded = what_is_loaded(session.query("sensors", {}), now_ns())
        if loaded.fresh and not again:
            click.echo(f"the sample is there: {loaded.messages:,} messages (--again loads it anew)")
            return
        if loaded.messages:
            _remove(session)
        stored = 0
        for summary in _import(session, config, write_captures(Path(folder), now_ns())):
            stored += summary["stored"]
        find_anew(session, config)
        click.echo(f"{stored:,} messages loaded; remove them with: {settings.command('sample remove')}")


@command.command()
@click.pass_obj
def remove(settings: Settings) -> None:
    """Remove every message of the sample's sensors."""
    config = settings.load()
    with open_session(config) as session:
        if count := _remove(session):
            find_anew(session, config)
    click.echo(f"{count:,} messages removed" if count else "there is no sample to remove")


def _import(session: Session, config: Config, files: list[Path]) -> Iterator[dict[str, Any]]:
    from relaytrap.hub.importing import import_captures

    if isinstance(session, StoreSession):
        for imported in import_captures(session.store, config, files):
            yield imported.as_dict()
        return
    for file in files:
        with file.open("rb") as stream:
            yield from session.lines("POST", f"/api/import?{urlencode({'name': file.name})}", stream)


def _remove(session: Session) -> int:
    from relaytrap.sample.networks import SENSOR_PREFIX
    from relaytrap.store.retention import drop_sensors

    if isinstance(session, StoreSession):
        return drop_sensors(session.store, SENSOR_PREFIX)
    return sum(int(row["removed"]) for row in session.lines("DELETE", "/api/sample"))
