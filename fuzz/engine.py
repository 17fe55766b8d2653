"""The sensor's engine as a whole. Datagrams and stretches of silence from a few sources, in any order: nothing is
raised, answers go only to a source that asked by the way it asked, no unproven source gets more octets than it sent,
and the timers come to an end.
"""

from tests.sensor.talk import Talk, invite, request

from relaytrap.sensor.outlet import Answer
from relaytrap.sensor.personas import persona_names

PIECES = (
    b"\xff\x01",
    b"\xff\x20",
    b"\xff\xf0",
    b"INVITE ",
    b"CANCEL ",
    b"ACK ",
    b"BYE ",
    b"REGISTER ",
    b";tag=",
    b"\r\n",
)
END = b"\xff"
"""Ends a datagram; the octet behind it is its source and transport, the one behind that the silence that follows."""
WIRE = 28
TURNS_MAX = 10_000
Scales = dict[tuple[str, str], tuple[int, int]]


def seeds() -> list[bytes]:
    """A persona's number, then calls with all that belongs to them."""
    call = [invite(), request("ACK"), request("CANCEL"), request("BYE"), request("REGISTER"), request("OPTIONS")]
    script = b"".join(each + END + bytes([number % 3, number * 9]) for number, each in enumerate(call * 2))
    return [bytes([number]) + script for number in range(len(persona_names()))]


def check(data: bytes) -> None:
    """Hold one script against the invariant."""
    names = persona_names()
    talk = Talk(names[data[0] % len(names)] if data else names[0])
    scales: Scales = {}
    at = 1
    while at < len(data):
        end = data.find(END, at)
        end = len(data) if end < 0 else end
        who, silence = (*data[end + 1 : end + 3], 0, 0)[:2]
        source, transport = f"198.51.100.{who % 3 + 1}", "tcp" if who & 128 else "udp"
        message, at = data[at:end], end + 3
        weigh(scales, transport, source, len(message), 1)
        book(scales, talk.receive(message, source=source, transport=transport), talk)
        book(scales, talk.wait(silence / 8), talk)
    for _ in range(TURNS_MAX):
        due = talk.engine.next_timer()
        if due is None:
            return
        book(scales, talk.wait(max(0.0, due - talk.now)), talk)
    raise AssertionError("the timers never end")


def weigh(scales: Scales, transport: str, source: str, octets: int, packets: int) -> tuple[int, int]:
    """Add to what a source sent (or, negative, was sent), as payload and on the wire."""
    payload, wire = scales.get((transport, source), (0, 0))
    made = scales[transport, source] = payload + octets, wire + octets + WIRE * packets
    return made


def book(scales: Scales, answers: list[Answer], talk: Talk) -> None:
    """Hold answers against what their sources sent."""
    for answer in answers:
        transport, source = answer.flow.transport, answer.flow.source
        assert (transport, source) in scales, "an answer to somebody who did not ask"
        left = weigh(scales, transport, source, -len(answer.data), -1)
        known = talk.engine._ledger.source(source, talk.now)
        proven = known.proven_until > 0
        assert transport == "tcp" or proven or min(left) >= 0, f"{source} got more than it sent"
