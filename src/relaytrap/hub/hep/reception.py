"""One HEP packet to one observation, and the books of who sent how many.

No socket here: packets come as bytes with the time of their arrival. Whatever is wrong with one is counted by reason.
"""

import hmac
import re
from collections import Counter
from typing import Final

from relaytrap.capture.direction import Directions
from relaytrap.capture.dissection import Dissector
from relaytrap.capture.hep import HepMessage, read_hep
from relaytrap.capture.report import CaptureReport
from relaytrap.hub.arrival import NS_PER_DAY, dated
from relaytrap.hub.hep.rate import Rate
from relaytrap.hub.keys import HEP_PREFIX
from relaytrap.observation import Observation

__all__ = ["BAD_PASSWORD", "NOT_HEP", "NOT_SIP", "Agent", "Reception"]

NOT_HEP: Final = "no HEP packet"
BAD_PASSWORD: Final = "wrong password, or none"
NOT_SIP: Final = "HEP without a SIP message"

NODE: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{0,57}")
OTHERS: Final = HEP_PREFIX + "others"
AGENTS_MAX: Final = 256
"""Agents that are kept apart; a stranger who invents names fills no more memory than that."""
MAX_HELD: Final = 1 << 16

LONGEST_AGO_NS: Final = 7 * NS_PER_DAY
"""An agent may keep what it saw while we were away; what is older is a file, which `relaytrap import` reads."""
LONGEST_AHEAD_NS: Final = 60_000_000_000


class Agent:
    """One capture agent. sensor: the name under which its messages are kept. ahead_ns: its clock before ours."""

    __slots__ = ("ahead_ns", "dissector", "last_ns", "messages", "rate", "sensor")

    def __init__(self, sensor: str, directions: Directions) -> None:
        self.sensor = sensor
        self.dissector = Dissector(CaptureReport(), "", sensor, directions, max_held=MAX_HELD)
        self.messages = 0
        self.last_ns = 0
        self.ahead_ns = 0
        self.rate = Rate()


class Reception:
    """Reads packets for every place. agents: by their sensor's name, in order of appearance."""

    def __init__(self, directions: Directions, password: str = "") -> None:
        self.agents: dict[str, Agent] = {}
        self._directions = directions
        self._key = password.encode()

    def take(self, packet: bytes, now_ns: int, refused: Counter[str]) -> tuple[Agent, Observation] | None:
        """The observation in a packet and who sent it; None when there is none, counted in `refused`."""
        message = read_hep(packet, now_ns)
        if message is None:
            refused[NOT_HEP] += 1
            return None
        if self._key and not hmac.compare_digest(message.key, self._key):
            refused[BAD_PASSWORD] += 1
            return None
        agent = self._agent(message)
        found = agent.dissector.hep_message(message, 0, now_ns)
        if not found:
            refused[NOT_SIP] += 1
            return None
        agent.messages += 1
        agent.last_ns = now_ns
        agent.rate.count(now_ns)
        return agent, _timed(found[0], agent, now_ns)

    def _agent(self, message: HepMessage) -> Agent:
        name = sensor_name(message)
        agent = self.agents.get(name)
        if agent is None:
            if len(self.agents) >= AGENTS_MAX:
                name = OTHERS
            agent = self.agents.get(name) or Agent(name, self._directions)
            self.agents[name] = agent
        return agent


def sensor_name(message: HepMessage) -> str:
    """The agent's own name when it sends one that can be a sensor's, otherwise its number."""
    node = message.node.strip(b"\0 ")
    return HEP_PREFIX + (node.decode("ascii") if NODE.fullmatch(node) else str(message.capture_id))


def _timed(seen: Observation, agent: Agent, now_ns: int) -> Observation:
    """The observation with a time that can be: not long past, not to come."""
    agent.ahead_ns = seen.received_at_ns - now_ns
    if -LONGEST_AGO_NS <= agent.ahead_ns <= LONGEST_AHEAD_NS:
        return seen
    return dated(seen, now_ns)
