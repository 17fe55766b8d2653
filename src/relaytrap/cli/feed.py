"""`relaytrap feed`: block lists and exchange formats."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from relaytrap.cli.main import PLACE, Settings
from relaytrap.cli.output import TEXT, for_terminal
from relaytrap.cli.session import HubSession, open_session
from relaytrap.cli.writing import STANDARD_OUTPUT, write_whole
from relaytrap.clock import now_ns
from relaytrap.config import Config
from relaytrap.evidence.indicator import EVIDENCE
from relaytrap.feeds import FORMATS, TITLES

__all__ = ["command"]


@click.command(name="feed")
@click.argument("form", metavar="[FORMAT]", type=click.Choice(list(FORMATS)), required=False)
@click.option("--what", type=click.Choice(list(TITLES)), default="attackers", help="Whom; relays are victims.")
@click.option("--since", type=TEXT, help="Seen from this time on: a time, or 90m, 24h, 7d ago. Default: 7d.")
@click.option("--country", type=TEXT, help="In this country (ISO code).")
@click.option("--asn", type=TEXT, help="In this autonomous system, such as AS64500.")
@click.option("--network", type=TEXT, help="An address, or a network that it is in.")
@click.option("--sensor", type=TEXT, multiple=True, help="Seen by this sensor; repeatable. Default: the honeypots.")
@click.option("--evidence", type=click.Choice(list(EVIDENCE)), help="What a source has shown.")
@click.option(
    "--confidence", type=click.IntRange(0, 100), metavar="N", help="Least confidence in an origin or a relay."
)
@click.option(
    "--limit", type=click.IntRange(min=0), metavar="N", help="At most this many, the surest; 0: all. Default: 50,000."
)
@click.option("--sample", is_flag=True, help="Also the bundled sample, to see what a feed looks like.")
@click.option("--json", "as_json", is_flag=True, help="The same as the format jsonl.")
@click.option("--output", type=PLACE, metavar="FILE", default=STANDARD_OUTPUT, help="Replaced whole or not at all.")
@click.pass_obj
def command(settings: Settings, /, form: str | None, as_json: bool, output: Path, **given: Any) -> None:
    """Whom to block, whom to warn, in the form that a firewall or an exchange takes.

    FORMAT is txt (default), csv, jsonl, nft, ipset, kamailio, asterisk, stix or misp. A list has no private or
    reserved address, none of your own, none that you allow, and no relay unless it is asked for. Of each address it
    says why it stands there.
    """
    if as_json and form not in (None, "jsonl"):
        raise click.UsageError(f"--json and {form} exclude each other")
    data = _fetch(settings.load(), "jsonl" if as_json else form or "txt", given)
    is_new = write_whole(output, data)
    if output != STANDARD_OUTPUT:
        click.echo(f"{for_terminal(output)}: {len(data):,} bytes{'' if is_new else ', unchanged'}", err=True)


def _fetch(config: Config, form: str, given: dict[str, Any]) -> bytes:
    """The feed, from the running hub or from the store."""
    name = given.pop("what")
    given |= {"sensor": ",".join(given["sensor"]), "sample": "yes" if given["sample"] else ""}
    told = {key: str(value) for key, value in given.items() if value not in (None, "")}
    with open_session(config) as session:
        if isinstance(session, HubSession):
            with session.download(f"/feeds/{name}.{form}?{urlencode(told)}", "GET") as (_, pieces):
                return b"".join(pieces)
        from relaytrap.hub.feed import Wanted, write_feed

        return write_feed(session.store, config, Wanted.parse(name, told, config, now_ns()), form)
