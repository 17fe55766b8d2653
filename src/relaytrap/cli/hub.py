"""`relaytrap hub`: takes in what sensors send; serves the page and the API."""

import contextlib
import logging
import secrets
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from relaytrap.cli.hub_backup import backup, restore
from relaytrap.cli.main import Group, Settings
from relaytrap.cli.output import TEXT
from relaytrap.cli.service import notify_ready, start_log
from relaytrap.clock import now_ns
from relaytrap.errors import ConfigError, RelaytrapError
from relaytrap.garbage import spare_collections

if TYPE_CHECKING:
    from relaytrap.config import Config
    from relaytrap.store import Store
    from relaytrap.web.doors import Doors
    from relaytrap.web.site import Site

__all__ = ["command", "doors_of", "run_hub"]

log = logging.getLogger(__name__)
UPKEEP_S = 3600.0
STOP_S = 10.0


@click.group(name="hub", cls=Group, invoke_without_command=True)
@click.option("--listen", type=TEXT, metavar="ADDR:PORT", help="Where the page is served; default 127.0.0.1:8060.")
@click.option("--uplink", type=TEXT, metavar="ADDR:PORT", help="Where sensors of other machines ship to, over HTTPS.")
@click.pass_context
def command(ctx: click.Context, listen: str | None, uplink: str | None) -> None:
    """Take in what sensors send; serve the page and the API. Runs in the foreground until Ctrl-C or SIGTERM."""
    if ctx.invoked_subcommand is None:
        settings: Settings = ctx.obj
        run_hub(settings.load(web__listen=listen, hub__uplink_listen=uplink), ready=tell)


def tell(site: "Site", url: str) -> None:
    """Where the hub answers."""
    where = "; ".join([f"page at {url}", *(f"{what} at {place}" for what, place in doors_of(site))])
    click.echo(f"relaytrap hub: {where}")
    notify_ready(where)


def doors_of(site: "Site") -> "Iterator[tuple[str, str]]":
    """Who reaches this hub where, beside its page: sensors of other machines, capture agents."""
    if site.doors and site.doors.uplink_url:
        yield "sensors", site.doors.uplink_url
    if site.doors and (places := site.doors.hep.status().places):
        yield "HEP", ", ".join(place.listening for place in places)


@command.command()
@click.option("--renew", is_flag=True, help="Make a new one; every sensor must then be told its fingerprint.")
@click.pass_obj
def certificate(settings: Settings, renew: bool) -> None:
    """Show the certificate by which sensors recognise this hub; make it when there is none."""
    from relaytrap.hub.certificate import load_certificate, make_own_certificate

    config: Config = settings.load()
    if renew:
        if config.hub.uplink_certificate:
            raise ConfigError(
                f"hub.uplink_certificate: {config.hub.uplink_certificate} is yours to renew; without that setting the "
                "hub makes its own"
            )
        make_own_certificate(config.data_dir)
    found = load_certificate(config.hub, config.data_dir)
    click.echo(f"certificate  {found.path}")
    click.echo(f"fingerprint  {found.fingerprint}")
    click.echo(f"valid until  {found.not_after:%Y-%m-%d}")
    click.echo(f"sensors      {'pin it' if found.pin else 'ask an authority; nothing is pinned'}")
    if renew:
        click.echo("Restart the hub; then on each sensor: relaytrap sensor join --pin " + found.fingerprint)


for each in (backup, restore):
    command.add_command(each)


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
    from relaytrap.hub.restore import finish_restore
    from relaytrap.hub.stream import Stream
    from relaytrap.hub.vigil import Vigil
    from relaytrap.store import Store
    from relaytrap.web.doors import Doors
    from relaytrap.web.security import parse_listen, refuse_beyond_loopback
    from relaytrap.web.serve import bind, serve
    from relaytrap.web.site import Site

    start_log()
    endpoint = parse_listen(config.web.listen)
    refuse_beyond_loopback(endpoint)
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(bind(endpoint)))
        finish_restore(config.data_dir)
        store = stack.enter_context(Store(config.store, config.data_dir))
        enricher = Enricher.open(config.enrich, config.network, config.data_dir / "tables")
        database = stack.enter_context(contextlib.closing(HubDatabase(config.data_dir)))
        keys, ledger = Keys(database), Ledger(database)
        ingest = stack.enter_context(contextlib.closing(Ingest(store, config, ledger)))
        analysis = Analysis(store, enricher) if config.hub.analyse else None
        if analysis:
            analyst = stack.enter_context(contextlib.closing(Analyst(analysis)))
            ingest.listeners.append(lambda taken: analyst.take(taken.first_ns, taken.last_ns))
            stack.callback(start_upkeep(store))
            analyst.start()
        hep = stack.enter_context(contextlib.closing(HepDoor(config, ingest.ingest_observations, ledger)))
        doors = Doors(ingest, keys, ledger, Vigil(database, keys, ledger), hep, analysis=analysis)
        site = Site(
            store,
            config,
            enricher=enricher,
            token=secrets.token_urlsafe(32),
            doors=doors,
        )
        stack.callback(site.answers.close)
        if config.hub.nats_url:
            stream = stack.enter_context(contextlib.closing(Stream(config.hub.nats_url, ingest)))
            stream.start()
        if config.hub.uplink_listen:
            stack.enter_context(uplink_door(site, doors))
        # The map's script takes a second to make, once an installation: before the first reader asks.
        threading.Thread(target=site.bundle.asset, name="bundle", daemon=True).start()
        hep.start()
        spare_collections()
        serve(site, listener, ready)


@contextlib.contextmanager
def uplink_door(site: "Site", doors: "Doors") -> "Iterator[None]":
    """Answer sensors of other machines while this block runs; where, is noted in the doors."""
    from relaytrap.hub.certificate import load_certificate
    from relaytrap.web.security import Endpoint, parse_listen, public_url
    from relaytrap.web.serve import bind
    from relaytrap.web.uplink import UplinkServer

    config = site.config.hub
    doors.certificate = certificate = load_certificate(config, site.config.data_dir)
    listener = bind(parse_listen(config.uplink_listen, "hub.uplink_listen"), "hub.uplink_listen")
    doors.uplink_url = config.uplink_url.rstrip("/") or public_url(Endpoint(*listener.getsockname()[:2]))
    server = UplinkServer(site, listener, certificate)
    server.start()
    try:
        yield
    finally:
        server.close()


def start_upkeep(store: "Store") -> "Callable[[], None]":
    """Apply the retention settings and mend rollups, now and once an hour; gives what ends that."""
    from relaytrap.store.upkeep import keep_up

    ended = threading.Event()

    def keep() -> None:
        while True:
            try:
                keep_up(store, now_ns())
            except RelaytrapError as error:
                log.warning("the store could not be kept up: %s", error)
            except Exception:  # the edge of one unit of work: without the next, nothing old is ever dropped
                log.exception("the store could not be kept up")
            if ended.wait(UPKEEP_S):
                return

    thread = threading.Thread(target=keep, name="upkeep", daemon=True)
    thread.start()

    def end() -> None:
        ended.set()
        thread.join(STOP_S)

    return end
