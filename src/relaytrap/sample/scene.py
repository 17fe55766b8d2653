"""The bundled recording and its truth, read from the package."""

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from relaytrap.capture import read_capture
from relaytrap.observation import Observation

__all__ = ["load_recorded", "load_truth"]


@lru_cache(maxsize=1)
def load_truth() -> dict[str, Any]:
    """What really happened, as the recorder wrote it: campaigns, actors, timeline, labels of every request."""
    text = (files("relaytrap.sample") / "scene" / "truth.json").read_text(encoding="utf-8")
    truth: dict[str, Any] = json.loads(text)
    return truth


def load_recorded(capture: str) -> list[Observation]:
    """One honeypot's recording with its real times; capture: a key of the truth's `captures`."""
    with (files("relaytrap.sample") / "scene" / f"{capture}.xz").open("rb") as stream:
        return list(read_capture(stream, name=capture, sensor=capture.removesuffix(".pcapng")))
