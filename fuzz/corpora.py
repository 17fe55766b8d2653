"""The inputs kept for each target: folders of files with a story, archives of what coverage found worth keeping."""

import hashlib
import zipfile
from pathlib import Path

__all__ = ["FOUND", "keep", "kept", "note_finding", "unpack"]

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path(__file__).parent / "found"
FIRST_DAY = (1980, 1, 1, 0, 0, 0)


def kept(target: str) -> list[bytes]:
    """Every kept input of a target."""
    folder, archive = CORPUS / target, CORPUS / f"{target}.zip"
    inputs = [path.read_bytes() for path in sorted(folder.glob("[!.]*"))] if folder.is_dir() else []
    if archive.exists():
        with zipfile.ZipFile(archive) as opened:
            inputs += [opened.read(name) for name in sorted(opened.namelist())]
    return inputs


def unpack(inputs: list[bytes], folder: Path) -> None:
    """Write inputs as files, named by their contents."""
    for data in inputs:
        (folder / _name(data)).write_bytes(data)


def keep(target: str, folder: Path) -> int:
    """Replace a target's archive by the files of a folder; how many there are."""
    inputs = {_name(data): data for data in (path.read_bytes() for path in folder.iterdir())}
    with zipfile.ZipFile(CORPUS / f"{target}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(inputs):  # the same inputs give the same file
            archive.writestr(zipfile.ZipInfo(name, FIRST_DAY), inputs[name], zipfile.ZIP_DEFLATED)
    return len(inputs)


def note_finding(target: str, data: bytes) -> Path:
    """Write down an input that broke an invariant."""
    FOUND.mkdir(exist_ok=True)
    path = FOUND / f"{target}-{_name(data)}"
    path.write_bytes(data)
    return path


def _name(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
