"""Conversations with an engine: bytes in, bytes out, a clock that only the test moves."""

import itertools
from functools import cache

from relaytrap.sensor.engine import Engine
from relaytrap.sensor.flow import Flow
from relaytrap.sensor.ledger import Ledger
from relaytrap.sensor.outlet import Answer
from relaytrap.sensor.persona import Persona
from relaytrap.sensor.personas import load_persona
from relaytrap.sip import Response, parse_message

START_NS = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z"""
SOURCE = "198.51.100.7"
LOCAL = "203.0.113.9"
SDP = (
    b"v=0\r\no=- 16264 18299 IN IP4 198.51.100.7\r\ns=call\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
    b"m=audio 25282 RTP/AVP 0 8 101\r\na=rtpmap:0 pcmu/8000\r\na=rtpmap:8 pcma/8000\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-11\r\n"
)


@cache
def persona_of(name: str, seed: str) -> Persona:
    """A bundled persona, read once: it never changes, and a property builds thousands of engines."""
    return load_persona(name, seed=seed)


class CountingChance:
    """Octets that differ each time and are the same in each run."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def __call__(self, octets: int) -> bytes:
        return next(self._numbers).to_bytes(8, "big").rjust(octets, b"\x5a")[-octets:]


class Talk:
    """One engine and whoever talks to it."""

    def __init__(self, persona: str = "asterisk", *, seed: str = "a test's installation", **ledger: int) -> None:
        budgets = {"source_bytes_per_s": 1_000_000, "total_bytes_per_s": 10_000_000} | ledger
        self.engine = Engine(persona_of(persona, seed), Ledger(**budgets), CountingChance())
        self.now = 1000.0

    def receive(self, data: bytes, *, source: str = SOURCE, port: int = 5060, transport: str = "udp") -> list[Answer]:
        """Let a message come in."""
        flow = Flow(transport, source, port, LOCAL, 5060)
        return self.engine.receive(data, flow, self.now_ns, self.now)

    def ask(self, data: bytes, **flow: object) -> Response:
        """Let a request come in that is owed exactly one answer at once."""
        answers = self.receive(data, **flow)
        assert len(answers) == 1, [answer.data[:40] for answer in answers]
        return response(answers[0])

    def wait(self, seconds: float) -> list[Answer]:
        """Let time go by, timer by timer; what was sent meanwhile."""
        end = self.now + seconds
        sent: list[Answer] = []
        while (due := self.engine.next_timer()) is not None and due <= end:
            self.now = max(self.now, due)
            sent += self.engine.handle_timers(self.now_ns, self.now)
        self.now = end
        return sent

    @property
    def now_ns(self) -> int:
        return START_NS + int(self.now * 1e9)


def response(answer: Answer) -> Response:
    """An answer, read back; it must be a response that the parser finds nothing wrong with but its anomalies list."""
    message = parse_message(answer.data)
    assert isinstance(message, Response), answer.data
    return message


def statuses(answers: list[Answer]) -> list[int]:
    return [response(answer).status_code for answer in answers]


def request(
    method: str = "OPTIONS",
    *,
    uri: str = "sip:100@203.0.113.9",
    branch: str = "z9hG4bK-1",
    user: str = "100",
    to_tag: str = "",
    call_id: str = "61127078793469957194131",
    cseq: int = 1,
    extra: tuple[str, ...] = (),
    body: bytes = b"",
    via: str = "",
) -> bytes:
    """A request as SIPVicious would write it."""
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: {via or f'SIP/2.0/UDP 198.51.100.7:5060;branch={branch};rport'}",
        "Max-Forwards: 70",
        f'To: "{user}" <sip:{user}@203.0.113.9>' + (f";tag={to_tag}" if to_tag else ""),
        f'From: "{user}" <sip:{user}@203.0.113.9>;tag=3206210844',
        "User-Agent: friendly-scanner",
        f"Call-ID: {call_id}",
        f"Contact: <sip:{user}@198.51.100.7:5060>",
        f"CSeq: {cseq} {method}",
        *extra,
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def invite(number: str = "900442012345678", **more: object) -> bytes:
    """An INVITE with an offer, long enough for its answers."""
    given: dict[str, object] = {
        "uri": f"sip:{number}@203.0.113.9",
        "body": SDP,
        "extra": ("Content-Type: application/sdp", "Subject: " + "x" * 200),
    }
    return request("INVITE", **(given | more))  # type: ignore[arg-type]
