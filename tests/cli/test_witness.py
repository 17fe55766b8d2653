"""`relaytrap witness`: its token, its addresses, its end."""

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from relaytrap.errors import InputError
from relaytrap.probe.remote import JoinToken, RemoteWatch

from ..loopback import loopback

HERE = loopback(50, 1)


def command(data: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "relaytrap.cli.main", "--data", str(data), "witness", *arguments]


def witness(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(data, *arguments), capture_output=True, text=True, timeout=60, check=False)


def test_token_stays_the_same_until_a_new_one_is_wanted(tmp_path: Path) -> None:
    first = witness(tmp_path, "--token").stdout.strip()
    assert JoinToken.parse(first)
    assert witness(tmp_path, "--token").stdout.strip() == first
    fresh = witness(tmp_path, "--new-token", "--token").stdout.strip()
    assert fresh != first
    assert JoinToken.parse(fresh).pin == JoinToken.parse(first).pin


def test_secret_and_key_are_for_their_owner_alone(tmp_path: Path) -> None:
    witness(tmp_path, "--token")
    for name in ("secret", "key.pem"):
        assert stat.S_IMODE((tmp_path / "witness" / name).stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--listen", "pbx.example.com"], "is no address"),
        (["--listen", "127.0.0.1:0"], "there is no port"),
        (["--listen", f"{HERE}:5077", "--public", "[2001:db8::1]"], "--public names an IPv6 address"),
        (["--listen", "192.0.2.1"], "cannot listen on 192.0.2.1:5060"),
    ],
)
def test_address_that_cannot_be_used_is_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    done = witness(tmp_path, *arguments)
    assert done.returncode
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server((HERE, 0)) as taken:
        place = f"{HERE}:{taken.getsockname()[1]}"
        done = witness(tmp_path, "--listen", f"{HERE}:5078", "--join", place)
    assert f"cannot listen on {place} (Address already in use); choose another with --join" in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_hides_the_token_from_a_log_and_ends_when_asked(
    tmp_path: Path, number: signal.Signals
) -> None:
    token = witness(tmp_path, "--token").stdout.strip()
    running = subprocess.Popen(
        command(tmp_path, "--listen", f"{HERE}:5079"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert running.stdout
    first, second = running.stdout.readline(), running.stdout.readline()
    os.kill(running.pid, number)
    said, complained = running.communicate(timeout=30)
    assert first == f"relaytrap witness: listening on {HERE}:5079; testers join at {HERE}:5059\n"
    assert second.startswith("On the tester's machine: relaytrap probe SERVER ")
    assert token not in said + complained
    assert running.returncode == 0


def test_new_token_takes_the_place_of_the_old_one_in_a_witness_that_runs(tmp_path: Path) -> None:
    old = JoinToken.parse(witness(tmp_path, "--token").stdout)
    with socket.create_server((HERE, 0)) as free:
        port = free.getsockname()[1]
    running = subprocess.Popen(
        command(tmp_path, "--listen", f"{HERE}:5080", "--join", f"{HERE}:{port}"), stdout=subprocess.PIPE, text=True
    )
    try:
        assert running.stdout
        assert "listening" in running.stdout.readline()
        asyncio.run(join(port, old))
        new = JoinToken.parse(witness(tmp_path, "--new-token", "--token").stdout)
        with pytest.raises(InputError, match="does not know this token"):
            asyncio.run(join(port, old))
        asyncio.run(join(port, new))
    finally:
        running.terminate()
        running.communicate(timeout=30)


async def join(port: int, token: JoinToken) -> None:
    watch = RemoteWatch()
    await watch.open(HERE, port, token)
    watch.close()


def test_certificate_that_cannot_be_made_is_one_sentence_without_numbers_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "witness").write_text("no folder")
    done = witness(tmp_path, "--token")
    assert done.returncode == 10
    assert "the certificate cannot be made or read (File exists); remove it, free space or give" in done.stderr
    assert done.stderr.count("\n") == 1
