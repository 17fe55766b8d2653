"""The sensor as a wheel that the hub itself hands out: what runs here, without the rooms of a hub.

A sensor's installation needs no registry that knows Relaytrap, and gets the version that its hub runs. The wheel is
made in memory from the files of this installation; the same files always make the same bytes, so that its SHA-256 can
be part of the line that installs it.
"""

import base64
import hashlib
import importlib.metadata
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from relaytrap import __version__

__all__ = ["Wheel", "sensor_wheel"]

ROOMS: Final = ("capture", "cli", "sensor", "sip")
LEFT_OUT: Final = frozenset({"__pycache__"})
WHEEL: Final = b"Wheel-Version: 1.0\nGenerator: relaytrap\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
ENTRY_POINTS: Final = b"[console_scripts]\nrelaytrap = relaytrap.cli.main:main\n"
LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel's file name, bytes and SHA-256."""

    name: str
    data: bytes
    digest: str


@cache
def sensor_wheel() -> Wheel:
    """The wheel of this installation's sensor."""
    folder = f"relaytrap-{__version__}.dist-info"
    contents = dict(_package())
    contents[f"{folder}/METADATA"] = _metadata().encode()
    contents[f"{folder}/WHEEL"] = WHEEL
    contents[f"{folder}/entry_points.txt"] = ENTRY_POINTS
    record = f"{folder}/RECORD"
    lines = [f"{path},sha256={_hash(data)},{len(data)}" for path, data in contents.items()]
    contents[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in contents.items():
            archive.writestr(zipfile.ZipInfo(path, LONG_AGO), data, zipfile.ZIP_DEFLATED)
    made = packed.getvalue()
    return Wheel(f"relaytrap-{__version__}-py3-none-any.whl", made, hashlib.sha256(made).hexdigest())


def _package() -> Iterator[tuple[str, bytes]]:
    root = files("relaytrap")
    for each in sorted(root.iterdir(), key=lambda each: each.name):
        if each.is_file():
            yield f"relaytrap/{each.name}", each.read_bytes()
    for room in ROOMS:
        yield from _below(root / room, f"relaytrap/{room}")


def _below(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.name in LEFT_OUT:
            continue
        if each.is_dir():
            yield from _below(each, f"{path}/{each.name}")
        else:
            yield f"{path}/{each.name}", each.read_bytes()


def _metadata() -> str:
    """Name, version, and what a sensor needs: the requirements that stand behind no extra."""
    required = [line for line in importlib.metadata.requires("relaytrap") or () if "extra ==" not in line]
    lines = ["Metadata-Version: 2.1", "Name: relaytrap", f"Version: {__version__}", "Requires-Python: >=3.11"]
    return "\n".join([*lines, *(f"Requires-Dist: {line}" for line in required), ""])


def _hash(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
