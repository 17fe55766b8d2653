"""The browser's Vega bundle, made once from vl-convert and kept on disk under its digest.

vega-embed carries an expression interpreter; pages embed with `ast: true`, so that no script is ever compiled from text
and the content security policy needs no `unsafe-eval`.
"""

import contextlib
import hashlib
import os
import threading
from importlib.metadata import version
from pathlib import Path

from relaytrap.web.static_files import Asset

__all__ = ["VEGA_LITE", "Bundle"]

VEGA_LITE = "6.4"
SNIPPET = "window.vegaEmbed = vegaEmbed;"


class Bundle:
    """The bundle; making it takes about a second, so the first caller waits for it."""

    def __init__(self, cache_dir: Path) -> None:
        self._cache_dir = cache_dir
        self._lock = threading.Lock()
        self._asset: Asset | None = None

    def asset(self) -> Asset:
        """JavaScript that puts `vegaEmbed` on the window."""
        with self._lock:
            if self._asset is None:
                self._asset = Asset(self.name, self._load() or self._make())
            return self._asset

    @property
    def name(self) -> str:
        """File name that changes whenever the bundle would: `vega-<digest>.js`."""
        named = f"{version('vl-convert-python')} {VEGA_LITE} {SNIPPET}"
        return f"vega-{hashlib.sha256(named.encode()).hexdigest()[:16]}.js"

    def _path(self) -> Path:
        return self._cache_dir / self.name

    def _load(self) -> bytes | None:
        try:
            return self._path().read_bytes() or None
        except OSError:
            return None

    def _make(self) -> bytes:
        import vl_convert

        # In a function of its own: the bundle's top-level names (r, i, e, ...) would else be everybody's globals.
        script = f"(()=>{{{vl_convert.javascript_bundle(SNIPPET, vl_version=VEGA_LITE)}}})();".encode()
        path = self._path()
        part = path.with_suffix(f".{os.getpid()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(script)
            part.replace(path)
        except OSError:
            with contextlib.suppress(OSError):  # no room for a cache: it is made again next time
                part.unlink()
        return script
