"""What a guard found, for the terminal. Everything that came off the wire is escaped here."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import click

from relaytrap.cli.output import for_terminal, moment
from relaytrap.wording import counted

__all__ = ["print_finding", "print_result", "status_line"]

Row = dict[str, Any]
COLOURS: Final = {"alarm": "red", "attempt": "yellow"}
SENTENCE_MAX: Final = 1000
QUOTE_MAX: Final = 160


def print_finding(row: Row, *, brief: bool = False) -> None:
    """One finding. brief: only what it is, as it comes up."""
    click.secho(f"{row['level'].upper()}  {row['title']}", bold=True, fg=COLOURS[row["level"]], nl=False)
    click.echo(f"  {row['rule']}, confidence {row['confidence']}")
    click.echo(f"  {for_terminal(row['sentence'], SENTENCE_MAX)}")
    if brief:
        return
    methods = ", ".join(f"{method} {number:,}" for method, number in row["methods"].items())
    answered = f", {row['answered']:,} answered 2xx" if row["answered"] else ""
    times = f"{moment(row['first_seen'])} to {moment(row['last_seen'])} UTC"
    click.echo(f"  {counted(row['requests'], 'request')}{answered}: {for_terminal(methods)}; {times}")
    if row["destinations"]:
        click.echo(f"  handed on to {for_terminal(row['destinations'])}")
    for each in row["evidence"]:
        quote = f"  {for_terminal(each['quote'], QUOTE_MAX)}" if each["quote"] else ""
        click.echo(f"    {for_terminal(each['text'], SENTENCE_MAX)}")
        if quote:
            click.secho(f"    {quote}", dim=True)
    for each in row["sightings"]:
        click.echo(f"    {_sighting(each)}")


def print_result(findings: Sequence[Row], undecided: Sequence[Row], summary: Row) -> None:
    """All findings, what could not be decided, what to change, and what was looked at."""
    for row in findings:
        print_finding(row)
        click.echo()
    if undecided:
        click.secho("Undecided", bold=True, fg="yellow")
        for row in undecided:
            click.echo(f"  {counted(row['requests'], 'request')}: {for_terminal(row['sentence'], SENTENCE_MAX)}")
            for way in row["ways"]:
                click.echo(f"    {for_terminal(way)}")
        click.echo()
    for advice in {row["advice"]["product"]: row["advice"] for row in findings if "advice" in row}.values():
        _print_list(f"What to change on {advice['product']}", advice["steps"])
        if advice["snippet"]:
            click.echo("\n".join(f"    {line}".rstrip() for line in advice["snippet"].splitlines()))
        click.echo()
    click.secho(_verdict(summary), bold=True, fg=_colour(summary))
    for line in _summary_lines(summary):
        click.echo(f"  {line}")
    _print_list("What this policy cannot tell", summary["cannot_know"])


def status_line(summary: Row) -> str:
    """The counts of this moment on one line."""
    return (
        f"{counted(summary['messages'], 'message')}, {summary['handed_on']:,} handed on; "
        f"{counted(summary['alarms'], 'alarm')}, {counted(summary['attempts'], 'attempt')}, "
        f"{summary['undecided']:,} undecided"
    )


def _verdict(summary: Row) -> str:
    if summary["alarms"]:
        return f"{counted(summary['alarms'], 'alarm')}: this edge does what it should not"
    if not summary["messages"]:
        return "No SIP message was seen"
    if not summary["has_policy"]:
        return "Undecided: without network.own_networks nobody can be told from a stranger"
    if not summary["ours"]:
        return "Undecided: no request came to your own networks or from there; is network.own_networks right?"
    if summary["undecided"]:
        return "Undecided: no alarm, but not everything that was handed on could be judged"
    return "No alarm"


def _colour(summary: Row) -> str:
    if summary["alarms"]:
        return "red"
    is_judged = summary["has_policy"] and summary["ours"] and not summary["undecided"]
    return "green" if is_judged else "yellow"


def _summary_lines(summary: Row) -> Iterable[str]:
    yield f"{counted(summary['messages'], 'message')}, of them {counted(summary['requests'], 'request')}"
    if summary["messages"]:
        yield f"{moment(summary['first_seen'])} to {moment(summary['last_seen'])} UTC"
    reasons = "; ".join(f"{number:,} {reason}" for reason, number in summary["allowed"].items())
    yield f"{summary['handed_on']:,} handed on" + (f", rightly: {reasons}" if reasons else "")
    if summary["attempts"]:
        yield f"{counted(summary['attempts'], 'attempt')} by others, in vain"
    for rule, number in summary["untold"].items():
        yield f"{number:,} more cases of {rule}, of sources beyond those that are kept apart"
    for reason, number in summary["unread"].items():
        yield f"not read: {number:,} {for_terminal(reason)}"


def _sighting(row: Row) -> str:
    where = f", {for_terminal(row['capture'])} frame {row['frame']}" if row["capture"] else ""
    ends = f"{row['source']}:{row['source_port']} to {row['destination']}:{row['destination_port']}"
    return f"{moment(row['at'], 23)}  {ends}  {for_terminal(row['line'], QUOTE_MAX)}{where}"


def _print_list(title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    click.echo(f"{title}")
    for line in lines:
        click.echo(f"  - {for_terminal(line, SENTENCE_MAX)}")
