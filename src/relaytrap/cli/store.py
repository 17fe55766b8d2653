"""`relaytrap store`: where the messages are kept, moved to another place."""

import dataclasses
from contextlib import ExitStack

import click

from relaytrap.cli.main import Group, Settings
from relaytrap.cli.output import TEXT
from relaytrap.cli.progress import message_bar
from relaytrap.config import Config, StoreConfig
from relaytrap.errors import InputError
from relaytrap.wording import counted

__all__ = ["command"]

EMBEDDED = "embedded"


@click.group(name="store", cls=Group)
def command() -> None:
    """Move the store between this machine and a ClickHouse server or cluster."""


@command.command()
@click.option(
    "--to", "target", type=TEXT, required=True, metavar="URL|embedded", help="Where to: clickhouse://user:pass@host/db."
)
@click.option("--cluster", type=TEXT, default="", metavar="NAME", help="Cluster of that server.")
@click.option("--merge", is_flag=True, help="Add to messages that are there already.")
@click.pass_obj
def move(settings: Settings, target: str, cluster: str, merge: bool) -> None:
    """Copy every message of the configured store to another one, and check that all arrived.

    The hub must not run. An interrupted move goes on where it stopped when it is started again. The old store stays as
    it is, until you remove it.
    """
    from relaytrap.store import Store
    from relaytrap.store.engine import server_of
    from relaytrap.store.moving import Moved, move_messages

    config: Config = settings.load()
    to = dataclasses.replace(config.store, url="" if target == EMBEDDED else target, cluster=cluster)
    server_of(to, given="--to")
    if (to.url, to.cluster) == (config.store.url, config.store.cluster):
        raise InputError(f"the store is at that place already (store.url is {'set to it' if to.url else 'empty'})")
    folder = config.data_dir / "moving"
    last = Moved(0, 0)
    with ExitStack() as stack:
        # Only the embedded store keeps files in the data directory; the lock keeps a hub from starting meanwhile.
        source = stack.enter_context(Store(config.store, config.data_dir if not config.store.url or to.url else folder))
        goal = stack.enter_context(Store(to, folder if to.url else config.data_dir))
        advance = stack.enter_context(message_bar())
        for last in move_messages(source, goal, folder, merge=merge):
            advance(last.messages, last.of)
    click.echo(f"{counted(last.of, 'message')} moved; counts and checksums of every day agree")
    click.echo(f"now set in the configuration: {_setting(to)}")


def _setting(to: StoreConfig) -> str:
    scheme = to.url.partition("://")[0]
    where = f'url = "{scheme}://…"' if to.url else 'url = ""'
    return f"[store] {where}" + (f', cluster = "{to.cluster}"' if to.cluster else "")
