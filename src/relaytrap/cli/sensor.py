"""`relaytrap sensor`: listen, answer as a persona, record every byte."""

import logging
from pathlib import Path

import click

from relaytrap.cli.main import Group, Settings
from relaytrap.cli.output import TEXT
from relaytrap.cli.sensor_join import join
from relaytrap.cli.sensor_tokens import COMMANDS
from relaytrap.cli.service import notify_ready, start_log

__all__ = ["command"]


@click.group("sensor", cls=Group, invoke_without_command=True)
@click.option(
    "--listen", type=TEXT, multiple=True, metavar="WHERE", help="transport:address:port, IPv6 in brackets; repeatable."
)
@click.option(
    "--listen-only", type=TEXT, metavar="IFACE", help="Read SIP off an interface; listen on no port, answer nobody."
)
@click.option("--name", type=TEXT, help="Name the hub shows.")
@click.option("--persona", type=TEXT, help="The device to play: a bundled name, or the path of a persona file.")
@click.option("--hub", "hub_url", type=TEXT, metavar="URL", help="Hub to ship segments to.")
@click.option("--token", type=TEXT, help="Token this sensor shows the hub.")
@click.option("--flush", "flush_interval_s", type=float, metavar="SECONDS", help="Longest wait in memory; 0: none.")
@click.option("--count", is_flag=True, help="Print how many received messages the spool holds, and end.")
@click.option("--personas", "list_personas", is_flag=True, help="Print the bundled personas, and end.")
@click.option("-v", "--verbose", is_flag=True, help="Log more.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    listen: tuple[str, ...],
    listen_only: str | None,
    name: str | None,
    persona: str | None,
    hub_url: str | None,
    token: str | None,
    flush_interval_s: float | None,
    count: bool,
    list_personas: bool,
    verbose: bool,
) -> None:
    """Listen, answer as a persona, record every byte.

    Answers only the source of a request, and an unproven UDP source never with more bytes than it sent. Runs until
    SIGTERM or Ctrl-C, which flush and close the spool. On the hub, `add`, `list`, `rotate` and `revoke` rule who may
    send to it; `join`, here, makes this machine one of those.
    """
    if ctx.invoked_subcommand is not None:
        return
    settings: Settings = ctx.obj
    if list_personas:
        _print_personas()
        return
    config = settings.load(
        sensor__listen=list(listen) or None,
        sensor__listen_only=listen_only,
        sensor__name=name,
        sensor__persona=persona,
        sensor__hub_url=hub_url,
        sensor__token=token,
        sensor__flush_interval_s=flush_interval_s,
    )
    if count:
        _print_count(config.data_dir / "spool")
        return
    from relaytrap.sensor.link import parse_hub_url
    from relaytrap.sensor.run import Running, run_sensor

    def say(running: Running) -> None:
        does = f"plays {running.persona}, listens on" if running.persona else "answers nobody, reads"
        where = ", ".join(running.listening)
        hub = parse_hub_url(config.sensor.hub_url).url if config.sensor.hub_url else "no hub"  # without a password
        click.echo(f"sensor {running.sensor} {does} {where}, records in {running.spool}, ships to {hub}")
        notify_ready(f"{does} {where}")

    start_log(logging.DEBUG if verbose else logging.INFO)
    if config.sensor.listen_only:
        from relaytrap.sensor.watch import run_watch

        run_watch(config.sensor, config.network.own_networks, config.data_dir, ready=say)
        return
    run_sensor(config.sensor, config.data_dir, ready=say)


for each in (*COMMANDS, join):
    command.add_command(each)


def _print_count(spool: Path) -> None:
    from relaytrap.sensor.spool import count_spool

    click.echo(count_spool(spool))


def _print_personas() -> None:
    from relaytrap.sensor.personas import load_persona, persona_names

    for name in persona_names():
        click.echo(f"{name:10} {load_persona(name, seed='').title}")
