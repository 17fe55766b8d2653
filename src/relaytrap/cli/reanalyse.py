"""`relaytrap reanalyse`: everything derived, derived again from the raw bytes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from relaytrap.cli.main import Settings
from relaytrap.cli.progress import find_anew, message_bar
from relaytrap.cli.session import HubSession, StoreSession, open_session
from relaytrap.config import Config
from relaytrap.garbage import spare_collections
from relaytrap.wording import counted

if TYPE_CHECKING:
    from relaytrap.store import Store

__all__ = ["command"]


@click.command(name="reanalyse")
@click.option("--outdated", is_flag=True, help="Only days with messages that older rules looked at.")
@click.pass_obj
def command(settings: Settings, /, outdated: bool) -> None:
    """Derive everything again: parse, enrich, fingerprint and judge every stored message anew.

    Stopping it is safe: days that are done stay done, the others stay as they were.
    """
    config = settings.load()
    with open_session(config) as session, message_bar() as advance:
        if isinstance(session, StoreSession):
            steps = _done_here(session.store, config, outdated)
        else:
            steps = _asked(session, outdated)
        last: dict[str, Any] = {"messages": 0}
        for last in steps:
            advance(last["messages"], last["of"])
        find_anew(session, config)
    click.echo(f"{counted(last['messages'], 'message')} analysed again")


def _asked(session: HubSession, outdated: bool) -> Iterator[dict[str, Any]]:
    """The running hub does it and tells how far it is."""
    return session.lines("POST", f"/api/reanalyse?outdated={'1' if outdated else '0'}")


def _done_here(store: "Store", config: Config, outdated: bool) -> Iterator[dict[str, Any]]:
    from relaytrap.hub.reanalyse import reanalyse
    from relaytrap.hub.rows import RowSetting
    from relaytrap.hub.workers import Workers

    RowSetting.of(config)  # what is wrong with networks or tables is told here, not by a worker that ends
    spare_collections()
    workers = Workers(config)
    try:
        for step in reanalyse(store, workers, only_outdated=outdated):
            yield {"messages": step.messages, "of": step.of}
    finally:
        workers.close()
