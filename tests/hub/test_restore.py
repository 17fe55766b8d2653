"""A restore that is killed: nothing is lost, nothing stays behind, and nobody steps into one that lives."""

import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from relaytrap.errors import InputError, StoreLocked
from relaytrap.hub.restore import finish_restore, restore_backup
from tests.hub.test_backup import contents, manifest_of, summed_tar
from tests.web.conftest import start_hub

PATIENCE_S = 60.0
RESTORED = ["hub-certificate.pem", "hub-key.pem", "hub.sqlite3"]
DYING = """
import os, pathlib, signal, sys
from relaytrap.hub.restore import restore_backup
rename, left = pathlib.Path.rename, int(sys.argv[3])

def dying(path, target):
    global left
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return rename(path, target)

pathlib.Path.rename = dying
restore_backup(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
"""


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """Of a hub whose messages a server keeps: a certificate and a key; its database is made when it is restored."""
    members = [(tarfile.TarInfo("hub-key.pem"), b"key" * 50_000), (tarfile.TarInfo("hub-certificate.pem"), b"public")]
    return summed_tar(tmp_path / "hub.tar", manifest_of(files=2), members)


def killed(backup: Path, data: Path, renames: int) -> None:
    """A restore that dies before it renames once more than so many times."""
    done = subprocess.run([sys.executable, "-c", DYING, backup, data, str(renames)], check=False)
    assert done.returncode == -9


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in contents(folder))


def test_restore_killed_while_it_unpacks_leaves_nothing_that_the_next_one_does_not_remove(
    backup: Path, tmp_path: Path
) -> None:
    data, slow = tmp_path / "new", tmp_path / "slow.tar"
    os.mkfifo(slow)
    command = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(data), "hub", "restore", str(slow)]
    with subprocess.Popen(command) as process, slow.open("wb") as way:
        way.write(backup.read_bytes()[:100_000])
        way.flush()
        end = time.monotonic() + PATIENCE_S
        while not list(data.glob(".relaytrap-restore-*/hub-key.pem")):
            assert time.monotonic() < end
            time.sleep(0.05)
        for step in (lambda: restore_backup(backup, data), lambda: finish_restore(data)):
            with pytest.raises(StoreLocked, match=str(process.pid)):
                step()
        assert list(data.glob(".relaytrap-restore-*/hub-key.pem"))
        process.kill()
    assert len(names(data)) == 1
    restore_backup(backup, data)
    assert names(data) == RESTORED


def test_restore_killed_before_anything_is_in_place_is_cleared_up_by_a_hub_as_well(
    backup: Path, tmp_path: Path
) -> None:
    killed(backup, tmp_path / "new", 0)
    assert len(names(tmp_path / "new")) == 1
    finish_restore(tmp_path / "new")
    assert names(tmp_path / "new") == []


@pytest.mark.parametrize("renames", [1, 2, 3])
def test_restore_killed_while_it_puts_things_in_place_is_brought_to_its_end(
    backup: Path, tmp_path: Path, renames: int
) -> None:
    data = tmp_path / "new"
    killed(backup, data, renames)
    assert len(names(data)) == renames
    with pytest.raises(InputError, match=r"holds a hub's data \(.*relaytrap-restored-"):
        restore_backup(backup, data)
    finish_restore(data)
    assert names(data) == RESTORED
    assert (data / "hub-key.pem").read_bytes() == b"key" * 50_000


def test_what_came_between_is_neither_overwritten_nor_is_the_rest_of_the_restore_lost(
    backup: Path, tmp_path: Path
) -> None:
    data = tmp_path / "new"
    killed(backup, data, 1)
    (data / "hub-key.pem").write_bytes(b"precious")
    with pytest.raises(InputError, match=r"has its own hub-key\.pem by now"):
        finish_restore(data)
    (rest,) = data.glob(".relaytrap-restored-*")
    assert (names(data), (data / "hub-key.pem").read_bytes()) == ([rest.name, "hub-key.pem"], b"precious")
    assert set(RESTORED) <= {path.name for path in rest.iterdir()}


def test_hub_starts_with_the_whole_of_what_was_being_restored(backup: Path, tmp_path: Path) -> None:
    data = tmp_path / "new"
    killed(backup, data, 2)
    start_hub(data).stop()
    assert not list(data.glob(".relaytrap-*"))
    assert set(RESTORED) <= set(names(data))


def test_folder_that_others_named_so_is_left_alone(backup: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "new" / "restore-old"
    theirs.mkdir(parents=True)
    restore_backup(backup, tmp_path / "new")
    assert theirs.exists()
