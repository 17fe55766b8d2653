"""`relaytrap hub`: takes in what sensors send; serves the page and the API."""

import contextlib
import logging
import secrets
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from relaytrap.cli.main import Settings
from relaytrap.clock import now_ns
from relaytrap.errors import RelaytrapError

if TYPE_CHECKING:
    from relaytrap.config import Config
    from relaytrap.store import Store
    from relaytrap.web.site import Site

__all__ = ["command", "run_hub"]

log = logging.getLogger(__name__)
UPKEEP_S = 3600.0
STOP_S = 10.0


@click.command(name="hub")
@click.option("--listen", metavar="ADDR:PORT", help="Where the page is served; default 127.0.0.1:8060.")
@click.pass_obj
def command(settings: Settings, listen: str | None) -> None:
    """Take in what sensors send; serve the page and the API. Runs in the foreground until Ctrl-C or SIGTERM."""
    run_hub(settings.load(web__listen=listen), ready=lambda site, url: click.echo(f"relaytrap hub: {url}"))


def run_hub(config: "Config", *, ready: "Callable[[Site, str], None] | None" = None) -> None:
    """Open everything a hub needs, serve until asked to stop, close everything again.

    ready: called once pages are answered, in a thread of its own, with the running site and its address.
    Raises ConfigError, ListenError, StoreError and their like, each with one sentence, before anything is served.
    """
    from relaytrap.enrich import Enricher
    from relaytrap.hub.analyse import Analysis, Analyst
    from relaytrap.hub.database import HubDatabase
    from relaytrap.hub.hep import HepDoor
    from relaytrap.hub.ingest import Ingest
    from relaytrap.hub.keys import Keys
    from relaytrap.hub.ledger import Ledger
    from relaytrap.hub.vigil import Vigil
    from relaytrap.store import Store
    from relaytrap.web.security import parse_listen, refuse_beyond_loopback
    from relaytrap.web.serve import bind, serve
    from relaytrap.web.site import Site

    endpoint = parse_listen(config.web.listen)
    refuse_beyond_loopback(endpoint)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(bind(endpoint)))
        store = stack.enter_context(Store(config.store, config.data_dir))
        enricher = Enricher.open(config.enrich, config.network, config.data_dir / "tables")
        database = stack.enter_context(contextlib.closing(HubDatabase(config.data_dir)))
        keys, ledger = Keys(database), Ledger(database)
        ingest = stack.enter_context(contextlib.closing(Ingest(store, config, ledger)))
        analyst = stack.enter_context(contextlib.closing(Analyst(Analysis(store, enricher))))
        ingest.listeners.append(lambda taken: analyst.take(taken.first_ns, taken.last_ns))
        hep = stack.enter_context(contextlib.closing(HepDoor(config, ingest.ingest_observations, ledger)))
        site = Site(
            store,
            config,
            enricher=enricher,
            token=secrets.token_urlsafe(32),
            ingest=ingest,
            keys=keys,
            ledger=ledger,
            vigil=Vigil(database, keys, ledger),
            hep=hep,
        )
        stack.callback(site.answers.close)
        # The map's script takes a second to make, once an installation: before the first reader asks.
        threading.Thread(target=site.bundle.asset, name="bundle", daemon=True).start()
        stack.callback(keep_up(store))
        analyst.start()
        hep.start()
        serve(site, listener, ready)


def keep_up(store: "Store") -> "Callable[[], None]":
    """Apply the retention settings and mend rollups, now and once an hour; gives what ends that."""
    from relaytrap.store import upkeep

    ended = threading.Event()

    def keep() -> None:
        while True:
            try:
                upkeep.keep_up(store, now_ns())
            except RelaytrapError as error:
                log.warning("the store could not be kept up: %s", error)
            if ended.wait(UPKEEP_S):
                return

    thread = threading.Thread(target=keep, name="upkeep", daemon=True)
    thread.start()

    def end() -> None:
        ended.set()
        thread.join(STOP_S)

    return end
