"""A hub in one file and back: of one moment, checked, and never over anything."""

import contextlib
import hashlib
import io
import json
import os
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from relaytrap.certificate import write_private
from relaytrap.config import HubConfig, StoreConfig
from relaytrap.errors import InputError
from relaytrap.hub.backup import Backup
from relaytrap.hub.certificate import load_certificate
from relaytrap.hub.database import HubDatabase
from relaytrap.hub.keys import Keys
from relaytrap.hub.parcel import REFUSED
from relaytrap.hub.restore import check_backup, restore_backup
from relaytrap.store import Store
from relaytrap.store.gate import Gate
from relaytrap.store.rebuild import check_rollups
from tests.storing import count_messages, keep, opened_store, row

ROWS = 50


def write(store: Store, data_dir: Path, file: Path, gate: Gate | None = None) -> Path:
    with contextlib.closing(Backup(store, data_dir, gate)) as backup:
        file.write_bytes(b"".join(backup.chunks()))
    return file


def contents(data_dir: Path) -> list[Path]:
    """What is in a data directory beside the lock, which stays where it was taken once."""
    return [path for path in data_dir.iterdir() if path.name != "hub.lock"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A backup of a hub with messages, a sensor and a certificate; the sensor's token."""
    data = tmp_path_factory.mktemp("hub")
    file = tmp_path_factory.mktemp("backups") / "hub.tar"
    with opened_store(data) as store, contextlib.closing(HubDatabase(data)) as database:
        token = Keys(database).add("cellar")
        load_certificate(HubConfig(), data)
        write_private(data / REFUSED / "abc.pcapng", b"taken, and no segment")
        keep(store, [row(number) for number in range(ROWS)], "first")
        write(store, data, file)
        keep(store, [row(number) for number in range(ROWS, 2 * ROWS)], "second")
        assert not list(data.glob("*backup*"))
        assert not list((data / "store" / "shadow").glob("backup*"))
    return file, token


def test_restored_hub_has_what_it_had_at_that_moment(made: tuple[Path, str], tmp_path: Path) -> None:
    file, token = made
    assert restore_backup(file, tmp_path / "new")["messages"] == ROWS
    with Store(StoreConfig(), tmp_path / "new") as store:
        assert store.row("SELECT count() AS n, uniqExact(id) AS ids FROM messages") == {"n": ROWS, "ids": ROWS}
        assert check_rollups(store) == []
        keep(store, [row(number) for number in range(ROWS, 2 * ROWS)], "second")
        assert count_messages(store) == 2 * ROWS
    with contextlib.closing(HubDatabase(tmp_path / "new")) as database:
        assert Keys(database).check(token) == "cellar"
    assert load_certificate(HubConfig(), tmp_path / "new").fingerprint
    assert (tmp_path / "new" / REFUSED / "abc.pcapng").read_bytes() == b"taken, and no segment"
    assert not list((tmp_path / "new").glob(".relaytrap-*"))


def test_restoring_over_a_hubs_data_is_refused(made: tuple[Path, str], tmp_path: Path) -> None:
    (tmp_path / "hub.sqlite3").write_bytes(b"precious")
    with pytest.raises(InputError, match="holds a hub's data"):
        restore_backup(made[0], tmp_path)
    assert (tmp_path / "hub.sqlite3").read_bytes() == b"precious"


@pytest.mark.parametrize("name", ["probe.sqlite3", "hub-key.pem", "hub-certificate.pem", "hub.sqlite3-wal", "store"])
def test_nothing_that_a_hub_keeps_is_overwritten(made: tuple[Path, str], tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"precious")
    with pytest.raises(InputError, match=rf"holds a hub's data \({name}\)"):
        restore_backup(made[0], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"precious"


def test_what_came_into_the_directory_meanwhile_is_not_overwritten(made: tuple[Path, str], tmp_path: Path) -> None:
    precious = tmp_path / "hub-key.pem"

    def come(_: int) -> None:
        precious.write_bytes(b"precious")

    with pytest.raises(InputError, match="holds a hub's data"):
        restore_backup(made[0], tmp_path, come)
    assert (precious.read_bytes(), contents(tmp_path)) == (b"precious", [precious])


def test_a_directory_that_others_named_backup_is_left_alone(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "backup-2026", tmp_path / ".relaytrap-backup-killed"
    for each in (theirs, ours):
        each.mkdir()
    with opened_store(tmp_path) as store:
        write(store, tmp_path, tmp_path / "hub.tar")
    assert (theirs.exists(), ours.exists()) == (True, False)


def test_what_is_restored_is_for_its_owner_alone(made: tuple[Path, str], tmp_path: Path) -> None:
    new = tmp_path / "new"
    before = os.umask(0o022)
    try:
        restore_backup(made[0], new)
    finally:
        os.umask(before)
    private = [new / name for name in ("hub.sqlite3", "hub-key.pem", "hub-certificate.pem")]
    assert [path.stat().st_mode & 0o777 for path in private] == [0o600] * 3
    assert [path.stat().st_mode & 0o777 for path in (new, new / "store")] == [0o700] * 2


def test_messages_are_counted_before_the_next_is_inserted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import is not held by the hub's gate: the store's own must be shut while its copy is counted."""
    with opened_store(tmp_path) as store:
        keep(store, [row(0)], "first")
        alone = store.gate.alone
        late: list[int] = []

        @contextlib.contextmanager
        def watched() -> Iterator[None]:
            with alone():
                yield
            if not late:
                late.append(1)
                keep(store, [row(1)], "second")

        monkeypatch.setattr(store.gate, "alone", watched)
        with contextlib.closing(Backup(store, tmp_path)) as backup:
            assert (late, backup.manifest["messages"]) == ([1], 1)


@pytest.mark.parametrize("cut", [0, 100, 5_000, -1_024 - 512, -200_000])
def test_backup_that_was_cut_is_refused_and_leaves_nothing(made: tuple[Path, str], tmp_path: Path, cut: int) -> None:
    file = tmp_path / "cut.tar"
    file.write_bytes(made[0].read_bytes()[:cut])
    with pytest.raises(InputError):
        restore_backup(file, tmp_path / "new")
    assert contents(tmp_path / "new") == []


def test_backup_with_a_changed_byte_is_refused(made: tuple[Path, str], tmp_path: Path) -> None:
    data = bytearray(made[0].read_bytes())
    with tarfile.open(made[0]) as archive:
        member = max((each for each in archive if each.isfile()), key=lambda each: each.size)
    data[member.offset_data + member.size // 2] ^= 1
    file = tmp_path / "changed.tar"
    file.write_bytes(data)
    with pytest.raises(InputError, match="cut or damaged"):
        check_backup(file)


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def summed_tar(path: Path, manifest: bytes, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """A backup of these members with the right sums."""
    sums = "".join(f"{hashlib.sha256(data).hexdigest()}  {info.name}\n" for info, data in members if not info.issym())
    last = (tarfile.TarInfo("SHA256SUMS"), sums.encode())
    return tar_of(path, (tarfile.TarInfo("manifest.json"), manifest), *members, last)


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


@pytest.mark.parametrize(
    "member",
    [
        tarfile.TarInfo("../outside"),
        tarfile.TarInfo("/outside"),
        tarfile.TarInfo("store/../../outside"),
        link("store/a", "/etc"),
        link("store/a", "../../outside"),
        link("a", "store/../.."),
        link("hub.sqlite3", "store/a"),
    ],
    ids=lambda info: f"{info.name}-{info.linkname}".replace("/", "_"),
)
def test_nothing_in_a_strangers_backup_leaves_its_folder(tmp_path: Path, member: tarfile.TarInfo) -> None:
    manifest = manifest_of(files=1)
    file = tar_of(tmp_path / "evil.tar", (tarfile.TarInfo("manifest.json"), manifest), (member, b""))
    with pytest.raises(InputError):
        restore_backup(file, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evil.tar", "new"]


def test_links_through_links_leave_the_folder_no_more_than_others(tmp_path: Path) -> None:
    """`store/m` reads as if it stayed within the store, and does not: `store/a/b/c/l` goes up."""
    manifest = manifest_of(files=4)
    members = [
        (tarfile.TarInfo("store/a/b/c/f"), b""),
        (link("store/a/b/c/l", "../.."), b""),
        (link("store/m", "a/b/c/l/../../../../out"), b""),
        (tarfile.TarInfo("store/m/evil"), b"evil"),
    ]
    assert refused(tmp_path, manifest, members) == ["evil.tar", "new"]


@pytest.mark.parametrize("order", [1, -1])
def test_a_link_is_judged_by_where_it_leads(tmp_path: Path, order: int) -> None:
    manifest = manifest_of(files=3)
    links = [(link("store/a/b/c/l", "../.."), b""), (link("store/m", "a/b/c/l/../../../../out/../x/x/x/x/x"), b"")]
    members = [(tarfile.TarInfo("store/a/b/c/f"), b""), *links[::order]]
    assert refused(tmp_path, manifest, members) == ["evil.tar", "new"]


def manifest_of(**told: object) -> bytes:
    return json.dumps({"format": 1, "made": "2026-01-02T03:04:05Z", **told}).encode()


@pytest.mark.parametrize("told", [{"made": None}, {"made": "\x1b[2J"}, {"messages": "\x1b[2J"}])
def test_manifest_that_tells_no_moment_or_count_is_no_backup(tmp_path: Path, told: dict[str, object]) -> None:
    assert refused(tmp_path, manifest_of(files=0, **told), []) == ["evil.tar", "new"]


def refused(folder: Path, manifest: bytes, members: list[tuple[tarfile.TarInfo, bytes]]) -> list[str]:
    """What is in the folder after a backup of these members was refused; their sums are right."""
    with pytest.raises(InputError, match="is no whole backup"):
        restore_backup(summed_tar(folder / "evil.tar", manifest, members), folder / "new")
    assert contents(folder / "new") == []
    return sorted(path.name for path in folder.iterdir())


def test_backup_of_a_newer_version_says_so(tmp_path: Path) -> None:
    manifest = json.dumps({"format": 2, "version": "9.9"}).encode()
    file = tar_of(tmp_path / "new.tar", (tarfile.TarInfo("manifest.json"), manifest))
    with pytest.raises(InputError, match=r"Relaytrap 9\.9, which is newer"):
        check_backup(file)


def test_a_file_that_is_no_backup_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"nothing of the kind" * 100)
    for path in (tmp_path / "x", tmp_path / "missing"):
        with pytest.raises(InputError, match=str(path)):
            check_backup(path)


def test_ledger_and_store_are_of_one_moment(tmp_path: Path) -> None:
    """Whoever writes both under the gate is wholly in the backup or not at all."""
    gate, stop = Gate(), threading.Event()
    with opened_store(tmp_path / "hub") as store, contextlib.closing(HubDatabase(tmp_path / "hub")) as database:

        def ship() -> None:
            for number in range(10_000):
                if stop.is_set():
                    return
                with gate.passing():
                    keep(store, [row(number)], str(number))
                    with database.transaction() as connection:
                        connection.execute("INSERT INTO segments VALUES ('s', 's', ?, x'00', 1, 0)", (number,))

        shipping = threading.Thread(target=ship)
        shipping.start()
        while count_messages(store) < 3:
            time.sleep(0.01)
        files = [write(store, tmp_path / "hub", tmp_path / f"{number}.tar", gate) for number in range(3)]
        stop.set()
        shipping.join()
    for number, file in enumerate(files):
        manifest = restore_backup(file, tmp_path / f"new{number}")
        with contextlib.closing(HubDatabase(tmp_path / f"new{number}")) as copy, copy.transaction() as connection:
            assert connection.execute("SELECT count(*) FROM segments").fetchone() == (manifest["messages"],)
    assert check_backup(files[-1])["messages"] > 0
