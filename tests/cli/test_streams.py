"""What commands print, where the place for it is not as good as a UTF-8 terminal."""

import subprocess
import sys
from pathlib import Path

import pytest

FULL = Path("/dev/full")
TALKER = """
import os, sys, click, rich.console
@click.command()
@click.option("--by", default="echo")
@click.option("--status", type=int, default=0)
def command(by, status):
    text = "→ 100–1000 « × … ⠀⡇ é"
    if by == "echo": click.echo(text)
    if by == "write": sys.stdout.write(text + chr(10))
    if by == "rich": rich.console.Console(width=200).print(text)
    if by == "next": print(os.open(os.devnull, os.O_RDONLY), file=sys.stderr)
    sys.exit(status)
"""
START = (
    "from relaytrap.cli.main import COMMANDS, main; COMMANDS['talk'] = ('talker', ''); import sys; main(sys.argv[1:])"
)
WAYS = pytest.mark.parametrize("by", ["echo", "write", "rich"])


@pytest.fixture
def talk(tmp_path):
    (tmp_path / "talker.py").write_text(TALKER, encoding="utf-8")

    def run(by, *more, shell="", **environ):
        line = [sys.executable, "-c", START, "talk", "--by", by, *more]
        if shell:
            line = ["sh", "-c", f'exec "$@" {shell}', "sh", *line]
        return subprocess.run(line, cwd=tmp_path, env=environ, capture_output=True, check=False)

    return run


@WAYS
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp437"])
def test_a_terminal_that_lacks_a_character_gets_one_that_it_has(talk, by, encoding):
    done = talk(by, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode(encoding)
    assert shown.startswith("-> 100")
    if encoding == "ascii":
        assert shown == '-> 100-1000 " x ...  * \\xe9\n'


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@WAYS
def test_output_without_room_is_one_sentence_and_its_own_status(talk, by):
    done = talk(by, shell=f"> {FULL}")
    assert done.returncode == 10
    assert done.stderr.startswith(b"relaytrap: what this prints cannot be written (No space left on device);")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_output_without_room_leaves_a_status_that_says_more(talk):
    assert talk("write", "--status", "4", shell=f"> {FULL}").returncode == 4


@WAYS
@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_failure(talk, by, closed):
    done = talk(by, shell=closed)
    assert (done.returncode, done.stderr) == (0, b"")


def test_no_file_takes_the_place_of_a_closed_stream(talk):
    assert int(talk("next", shell="<&- >&-").stderr) > 2


@pytest.mark.parametrize("environ", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_no_colour_where_none_is_wanted(environ):
    from click.testing import CliRunner

    from relaytrap.cli.main import relaytrap

    runner = CliRunner(env=environ)
    with runner.isolation(color=True):
        context = relaytrap.make_context("relaytrap", ["config", "show"])
        context.invoke(relaytrap.callback, config_path=None, data_dir=None)
    assert context.color is False
