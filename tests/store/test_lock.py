import contextlib
import fcntl
import os
import threading

import pytest

from relaytrap.errors import StoreLocked
from relaytrap.store.lock import LOCK_NAME, DirectoryLock, owner_of


def test_whoever_only_looks_for_the_owner_keeps_nobody_out(tmp_path):
    with contextlib.closing(DirectoryLock(tmp_path)):
        assert owner_of(tmp_path) == os.getpid()
    looking = os.open(tmp_path / LOCK_NAME, os.O_RDONLY)
    fcntl.flock(looking, fcntl.LOCK_SH)
    looks_away = threading.Timer(0.05, os.close, (looking,))
    looks_away.start()
    DirectoryLock(tmp_path).close()
    looks_away.join()
    assert owner_of(tmp_path) is None


def test_a_directory_has_one_owner(tmp_path):
    with contextlib.closing(DirectoryLock(tmp_path)), pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
        DirectoryLock(tmp_path)
