"""docs/reference/commands.md has every command, every subcommand and every option, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from relaytrap.cli.main import COMMANDS, relaytrap
from relaytrap.errors import RelaytrapError
from relaytrap.store.queries import FIELDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")


def commands() -> Iterator[tuple[str, click.Command]]:
    """(words after relaytrap, command), groups before their members."""
    context = click.Context(relaytrap)
    for name in COMMANDS:
        command = relaytrap.get_command(context, name)
        assert command
        yield from with_members(name, command)


def with_members(words: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        for name, member in command.commands.items():
            yield from with_members(f"{words} {name}", member)


ALL = dict(commands())


def section_of(words: str) -> str:
    found = re.search(rf"^### `relaytrap {words}[`\s].*?(?=^##+ |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/reference/commands.md lacks the heading ### `relaytrap {words} …`"
    return found[0]


CONDITIONS = PAGE.partition("\n## Conditions\n")[2]


@pytest.mark.parametrize("words", ALL)
def test_every_option_of_a_command_is_named(words: str) -> None:
    section = section_of(words)
    if "(#conditions)" in section:
        section += CONDITIONS
    for parameter in ALL[words].params:
        if isinstance(parameter, click.Option):
            assert any(f"`{name}" in section for name in parameter.opts), f"{words}: {parameter.opts}"


@pytest.mark.parametrize("field", FIELDS)
def test_every_condition_is_named(field: str) -> None:
    assert f"| `--{field.replace('_', '-')}` | {FIELDS[field]['doc']}. |" in CONDITIONS


@pytest.mark.parametrize("words", ALL)
def test_no_option_is_named_that_a_command_does_not_have(words: str) -> None:
    known = {name for parameter in ALL[words].params for name in (*parameter.opts, *parameter.secondary_opts)}
    named = set(re.findall(r"^\| `(--[\w-]+)", section_of(words), re.MULTILINE))
    assert named <= known


def test_no_command_is_described_that_does_not_exist() -> None:
    headings = re.findall(r"^### `relaytrap ([a-z]+(?: [a-z][a-z-]*)*)", PAGE, re.MULTILINE)
    assert set(headings) == set(ALL)


def errors(base: type[RelaytrapError] = RelaytrapError) -> Iterator[type[RelaytrapError]]:
    for each in base.__subclasses__():
        yield each
        yield from errors(each)


def test_every_exit_status_stands_in_one_table() -> None:
    table = PAGE.partition("\n## Exit status\n")[2].partition("\n## ")[0]
    told = {int(status) for status in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    assert {each.exit_status for each in errors() if each.__module__.startswith("relaytrap.")} | {0, 1, 2, 130} == told


def test_the_readme_names_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"relaytrap {name}" not in readme] == []
