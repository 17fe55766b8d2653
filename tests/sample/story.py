"""The scene of the package as it is told when it ends at a fixed moment."""

from relaytrap.observation import Observation
from relaytrap.sample.scene import load_recorded, load_truth
from relaytrap.sample.timeline import Timeline

END_NS = 1_800_000_000 * 10**9


def tell_story() -> list[Observation]:
    """The whole scene in the order of its story, which ends at `END_NS` and began a week before."""
    truth = load_truth()
    timeline = Timeline.from_truth(truth)
    told = [moved for capture in truth["captures"] for moved in timeline.tell(load_recorded(capture), END_NS)]
    told.sort(key=lambda observation: observation.received_at_ns)
    return told
