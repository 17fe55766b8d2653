"""The command line: help, mistakes, exit statuses."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from relaytrap.cli.main import COMMANDS, PURPOSES, Settings, main, relaytrap


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "relaytrap.cli.main", *arguments], capture_output=True, text=True, check=False
    )


def test_help_names_every_command_and_fits_one_screen() -> None:
    shown = run("--help").stdout
    assert all(f"  {name} " in shown for name in COMMANDS)
    assert len(shown.splitlines()) <= 45


def test_help_groups_every_command_by_what_it_is_for() -> None:
    named = [name for names in PURPOSES.values() for name in names]
    assert sorted(set(named) & set(COMMANDS)) == sorted(COMMANDS)
    assert len(named) == len(set(named))


@pytest.mark.parametrize(
    "words", ["sensor", "hub", "store", "sample", "probe", "probe opt-out", "probe schedule", "config"]
)
def test_a_group_tells_what_each_of_its_commands_does_in_a_whole_sentence(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*words.split(), "--help"])
    lines = capsys.readouterr().out.partition("\nCommands:\n")[2].splitlines()
    assert lines
    assert not [line for line in lines if line.endswith("...")]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["completion", shell])
    assert stop.value.code == 0
    assert f"_RELAYTRAP_COMPLETE={shell}_complete" in capsys.readouterr().out


def test_help_imports_neither_store_nor_page() -> None:
    code = (
        "import sys; from relaytrap.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'chdb', 'litestar', 'rich', 'numpy', 'relaytrap.store', 'relaytrap.web'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_command_that_is_shown_is_for_the_same_settings_and_data() -> None:
    assert Settings(None, None).command("sample remove") == "relaytrap sample remove"
    shown = Settings(Path("r.toml"), Path("my data\x1b[31m")).command("doctor")
    assert shown == r"relaytrap --config r.toml --data 'my data\x1b[31m' doctor"


def test_misspelt_command_gets_the_nearest_one() -> None:
    done = run("mesages")
    assert done.returncode == 2
    assert "Did you mean messages?" in done.stderr


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_that_fits_one_screen(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    shown = capsys.readouterr().out
    assert stop.value.code == 0
    assert len(shown.splitlines()) <= 45


def test_wrong_setting_is_one_line_and_its_own_status(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text("[sensor]\nnmae = 'x'\n")
    done = run("--config", str(path), "config", "show")
    assert done.returncode == 3
    assert done.stderr.strip() == f"relaytrap: {path}:2: unknown setting sensor.nmae; did you mean name?"


@pytest.mark.parametrize("write", ["sys.stdout.write", "click.echo", "rich.console.Console(width=200).print"])
@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_reader_that_had_enough_is_no_failure(write: str, size: int, tmp_path: Path) -> None:
    (tmp_path / "talker.py").write_text(
        "import sys, click, rich.console\n"
        f"@click.command()\ndef command():\n    for _ in range({size} // 100 + 1): {write}('x' * 100 + chr(10))\n"
    )
    code = (
        "from relaytrap.cli.main import COMMANDS, main\n"
        "COMMANDS['talk'] = ('talker', '')\n"
        "import sys; sys.stdin.read()\nmain(['talk'])"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    talker = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, **pipes)
    assert talker.stdin
    assert talker.stdout
    assert talker.stderr
    talker.stdout.close()
    talker.stdin.close()
    with talker.stderr:
        assert talker.stderr.read() == b""
    assert talker.wait() == 0


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("mes", "messages"),
        ("messages --verd", "--verdict"),
        ("probe opt", "opt-out"),
        ("probe schedule a", "add"),
        ("probe --tho", "--thorough"),
        ("probe 192.0.2.1 --tho", "--thorough"),
    ],
)
def test_a_shell_can_complete_commands_and_options(typed: str, offered: str) -> None:
    words = f"relaytrap {typed}"
    environ = {"_RELAYTRAP_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(
        [sys.executable, "-m", "relaytrap.cli.main"],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.splitlines() == [f"plain,{offered}"]


def parameters(command: click.Command, words: str = "relaytrap") -> Iterator[tuple[str, click.Parameter]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            member = command.get_command(click.Context(command), name)
            assert member
            yield from parameters(member, f"{words} {name}")
    yield from ((f"{words} {each.opts[0]}", each) for each in command.params)


def test_every_text_that_is_no_path_must_be_utf8() -> None:
    plain = [words for words, each in parameters(relaytrap) if type(each.type) is click.types.StringParamType]
    assert [words for words in plain if not words.endswith(" files")] == []


@pytest.mark.parametrize(
    "words", ["show", "sensor rotate", "sensor revoke", "probe opt-out add 192.0.2.1 --note", "messages --text"]
)
def test_text_that_is_no_utf8_is_refused_in_a_sentence(words: str) -> None:
    command = [sys.executable, "-m", "relaytrap.cli.main", *words.split(), b"caf\xe9"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == (3 if words.startswith("probe") else 2)
    assert "caf\\xe9 is no UTF-8; write it in UTF-8" in done.stderr


def test_ctrl_c_while_the_program_is_loaded_ends_it_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = subprocess.run(
        [sys.executable, "-m", "relaytrap", "messages"],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def test_ctrl_c_of_a_program_in_the_background_stays_ignored() -> None:
    code = "import signal, relaytrap.__main__; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True\n"
