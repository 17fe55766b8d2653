"""The sample as files that the import path takes: one pcapng for each honeypot, its times moved."""

from pathlib import Path

from relaytrap.capture.pcapng import SegmentWriter
from relaytrap.sample.scene import load_recorded, load_truth
from relaytrap.sample.timeline import Timeline

__all__ = ["write_captures"]


def write_captures(folder: Path, end_ns: int) -> list[Path]:
    """Write the honeypots' captures so that the story ends at `end_ns`; packets keep their numbers.

    The files are the sensors' own segments again, so the import keeps the sensors' names.
    """
    truth = load_truth()
    timeline = Timeline.from_truth(truth)
    written = []
    for capture, honeypot in truth["captures"].items():
        path = folder / capture
        with path.open("wb") as file:
            writer = SegmentWriter(file, sensor=honeypot["sensor"])
            for observation in timeline.tell(load_recorded(capture), end_ns):
                writer.write(observation)
        written.append(path)
    return written
