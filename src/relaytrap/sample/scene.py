"""The bundled recording and its truth: read from the package, moved in time, handed on as observations."""

import json
from functools import lru_cache
from importlib.resources import files
from typing import Any

from relaytrap.capture import read_capture
from relaytrap.observation import Observation
from relaytrap.sample.timeline import Timeline

__all__ = ["load_observations", "load_recorded", "load_truth"]


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


def load_observations(end_ns: int) -> list[Observation]:
    """The whole scene in the order of its story, which ends at `end_ns` and began a week before."""
    truth = load_truth()
    timeline = Timeline.from_truth(truth)
    told = [moved for capture in truth["captures"] for moved in timeline.tell(load_recorded(capture), end_ns)]
    told.sort(key=lambda observation: observation.received_at_ns)
    return told
