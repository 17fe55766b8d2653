"""Static files from memory: each under its digest, compressed once, cached by browsers for good."""

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

__all__ = ["STATIC_DIR", "Asset", "Assets"]

STATIC_DIR = Path(__file__).resolve().parent / "static"
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Asset:
    """One file: its bytes, their digest, and the same bytes compressed."""

    name: str
    content: bytes

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()[:16]

    @cached_property
    def compressed(self) -> bytes:
        return gzip.compress(self.content, 9, mtime=0)

    @property
    def media_type(self) -> str:
        suffix = Path(self.name).suffix
        return TYPES.get(suffix) or mimetypes.types_map.get(suffix, "application/octet-stream")


class Assets:
    """The bundled files by name."""

    def __init__(self, folder: Path = STATIC_DIR) -> None:
        self._files = {path.name: Asset(path.name, path.read_bytes()) for path in folder.iterdir() if path.is_file()}

    def get(self, name: str) -> Asset | None:
        """The file of that exact name; nothing is ever looked up on disk."""
        return self._files.get(name)

    def address(self, name: str) -> str:
        """Path of a file with its digest: it may be cached for good."""
        return f"/static/{name}?v={self._files[name].digest}"
