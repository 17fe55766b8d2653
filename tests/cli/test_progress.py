"""How far a command is, on a terminal of its own."""

import os
import pty
import re
import subprocess
import sys

import pytest

from relaytrap.cli.progress import byte_bars, message_bar
from tests.hub.traffic import request, write_pcap


def on_a_terminal(*arguments, **streams):
    """What a command writes to its terminal, and its exit status."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "relaytrap.cli.main", *map(str, arguments)]
    environ = os.environ | {"COLUMNS": "100", "TERM": "xterm"}
    with subprocess.Popen(command, env=environ, **{"stdout": theirs, "stderr": theirs, **streams}) as child:
        os.close(theirs)
        text = b""
        while piece := _piece(ours):
            text += piece
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.decode()), child.returncode


def _piece(ours):
    try:
        return os.read(ours, 65536)
    except OSError:  # Linux says so when the child has gone
        return b""


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_look_at_a_capture_shows_how_far_it_is(tmp_path, form):
    file = write_pcap(tmp_path / "[bold]scan.pcap", [request(n) for n in range(3)])
    shown, status = on_a_terminal("import", "--dry-run", *form, file)
    assert status == 0
    assert re.search(r"\[bold\]scan\.pcap +\S+ +\S+/\S+ bytes", shown)


def test_standard_input_shows_how_much_was_read(tmp_path):
    file = write_pcap(tmp_path / "scan.pcap", [request(n) for n in range(3)])
    with file.open("rb") as stdin:
        shown, status = on_a_terminal("import", "--dry-run", "-", stdin=stdin)
    assert status == 0
    assert re.search(r"- +\S+ +\S+/\? bytes", shown)


def test_results_go_to_the_file_and_bars_to_the_terminal(tmp_path):
    capture, told = write_pcap(tmp_path / "scan.pcap", [request(n) for n in range(3)]), tmp_path / "told"
    with told.open("wb") as stdout:
        on_a_terminal("import", "--dry-run", capture, stdout=stdout)
    assert told.read_text().startswith("scan.pcap: 3 SIP messages in 3 packets\n")


def test_nothing_is_shown_elsewhere(capsys):
    with byte_bars() as bytes_done, message_bar() as messages_done:
        bytes_done("scan.pcap", 5, 10)
        messages_done(5, 10)
    assert capsys.readouterr() == ("", "")
