"""A finished open-relay test for the terminal. Everything that a server sent is escaped."""

from collections.abc import Sequence
from typing import Any

import click

from relaytrap.cli.output import emit, for_terminal
from relaytrap.probe.request import METHODS
from relaytrap.probe.tricks import TRICKS
from relaytrap.probe.verdict import EXIT_OPEN

__all__ = ["print_result"]

COLOURS = {0: "green", 1: "red", 2: "yellow", 3: "yellow"}
PROOFS_MAX = 3


def print_result(report: dict[str, Any]) -> None:
    """The verdict, the table, the proof, what to change and what was not tested."""
    target, verdict = for_terminal(report["target"]), report["verdict"]
    click.secho(f"{target}: {verdict}", bold=True, fg=COLOURS[report["exit_status"]])
    for name, sentence in report["classes"]:
        click.echo(f"  {sentence}" if name == verdict else f"  Also {name}: {sentence}")
    click.echo(
        f"  {report['sent']} probes from {report['tested_from']}, witness {report['witness']}, "
        f"{report['seconds']:.0f} s\n"
    )
    _print_table(report["table"])
    for proof in report["proof"][:PROOFS_MAX]:
        _print_proof(proof)
    _print_list("Hints", report["hints"])
    if report["advice"]:
        first, *others = report["advice"]
        change = f"hat to change on {first['product'].replace('Any', 'any')}"
        _print_list(f"W{change}" if report["exit_status"] == EXIT_OPEN else f"If it is open, w{change}", first["steps"])
        click.echo(f"  (other products: {', '.join(each['product'] for each in others)}; see --report or --json)")
    _print_list("Not tested", report["not_tested"])


def _print_table(table: Sequence[dict[str, Any]]) -> None:
    methods = [method for method in METHODS if any(method in row for row in table)]
    places = {(row["transport"], row["sent_to"]) for row in table}
    several = len(places) > len({transport for transport, _ in places})
    columns = [("transport", "by"), *([("sent_to", "to")] if several else []), ("what", "tried")]
    emit(table, [*columns, *((method, method) for method in methods)], as_json=False, as_csv=False)


def _print_proof(proof: dict[str, Any]) -> None:
    click.echo(f"\nProof: {proof['method']} by {proof['sent_by'].upper()}, {TRICKS[proof['trick']].text}")
    click.echo(f"  arrived at the witness from {for_terminal(proof['arrived_from'])} after {proof['after_s']} s")
    for via in proof["vias"]:
        click.echo(f"  Via: {for_terminal(via)}")


def _print_list(title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    click.echo(f"\n{title}")
    for line in lines:
        click.echo(f"  - {for_terminal(line, 1000)}")
