"""A small world for pages to show: known messages, some of them written by somebody who knows this program."""

import io
import time
from pathlib import Path

from relaytrap.capture.pcapng import write_capture
from relaytrap.observation import Observation

SENSOR = "198.51.100.7"
US, FR, SG, RELAY, ORIGIN = "203.0.113.5", "203.0.113.20", "203.0.113.40", "203.0.113.60", "203.0.113.70"
HOSTILE = "203.0.113.90"
CONFIG = """
[network]
home_region = "AU"
names = [
  { network = "203.0.113.0/28", country = "US", asn = 64501, name = "Example <b>Cloud</b>" },
  { network = "203.0.113.16/28", country = "FR", asn = 64502, name = "Exemple Télécom" },
  { network = "203.0.113.32/28", country = "SG", asn = 64503, name = "Lion Hosting" },
  { network = "203.0.113.48/28", country = "DE", asn = 64504, name = "Beispiel GmbH" },
]
"""
HOUR_NS = 3_600_000_000_000
MARKUP = b"<script>window.hacked=1</script>"
IMAGE = b"\"><img src=x onerror='window.hacked=2'>"
ESCAPES = b"\x1b[31mred\x1b[0m\x07"
DIRECTION = "a\u202egnp.exe\u2066".encode()
LONG = b"L" * 60_000


def request(
    method: str,
    uri: bytes,
    source: str,
    *,
    call_id: bytes = b"call-1",
    user: bytes = b"100",
    agent: bytes = b"friendly-scanner",
    vias: bytes = b"",
    forwards: int = 70,
    more: bytes = b"",
) -> bytes:
    """A request as a careless program sends it; every value stands as given."""
    via = vias or b"Via: SIP/2.0/UDP %s:5060;branch=z9hG4bK-1;rport\r\n" % source.encode()
    return (
        b"%s %s SIP/2.0\r\n%sFrom: <sip:%s@198.51.100.7>;tag=abc\r\nTo: <sip:%s@198.51.100.7>\r\n"
        b"Call-ID: %s\r\nCSeq: 1 %s\r\nMax-Forwards: %d\r\nUser-Agent: %s\r\n%sContent-Length: 0\r\n\r\n"
        % (method.encode(), uri, via, user, user, call_id, method.encode(), forwards, agent, more)
    )


def answer(status: bytes, asked: bytes) -> bytes:
    """Our answer to a request: its headers, another first line."""
    return b"SIP/2.0 " + status + b"\r\n" + asked.split(b"\r\n", 1)[1].replace(b"User-Agent", b"Server")


def seen(raw: bytes, source: str, at_ns: int, *, sensor: str = "edge", direction: str = "in") -> Observation:
    """One observation at our only sensor address."""
    out = "out" if direction == "out" else "in"
    return Observation(at_ns, sensor, out, "udp", source, 5060, SENSOR, 5060, raw)


def observations(now_ns: int) -> list[Observation]:
    """The world, oldest first; it ends a minute ago."""
    end = now_ns - 60_000_000_000
    register = request("REGISTER", b"sip:198.51.100.7", FR, call_id=b"register-1", user=b"200", agent=b"PBX")
    dial = request("INVITE", b"sip:001133155123456@198.51.100.7", FR, call_id=b"dial-1", agent=b"eyeBeam")
    chain = (
        b"Via: SIP/2.0/UDP %s:5060;branch=z9hG4bK77\r\nVia: SIP/2.0/UDP %s:5074;received=%s;rport=5074;"
        b"branch=z9hG4bK-2\r\n" % (RELAY.encode(), ORIGIN.encode(), ORIGIN.encode())
    )
    relayed = request("INVITE", b"sip:300@198.51.100.7", RELAY, call_id=b"relayed-1", vias=chain, forwards=69)
    found = [
        *(seen(request("OPTIONS", b"sip:100@198.51.100.7", US), US, end - each * HOUR_NS) for each in range(48)),
        seen(request("OPTIONS", b"sip:100@198.51.100.7", SG), SG, end - 20 * 24 * HOUR_NS, sensor="sample-old"),
        seen(register, FR, end - 10_000_000_000),
        seen(answer(b"401 Unauthorized", register), FR, end - 9_999_000_000, direction="out"),
        seen(dial, FR, end - 8_000_000_000),
        seen(relayed, RELAY, end - 7_000_000_000, sensor="edge-2"),
        seen(b"\x00\x01\x02 nothing SIP", SG, end - 6_000_000_000),
        *hostile(end),
    ]
    return sorted(found, key=lambda each: each.received_at_ns)


def hostile(end: int) -> list[Observation]:
    """One message for each kind of text that might escape through some door."""
    values = (MARKUP, IMAGE, ESCAPES, DIRECTION, b"{{7*7}}${7*7}", b"=cmd|' /C calc'!A0", LONG, b"nul\x00byte")
    made = []
    for number, value in enumerate(values):
        raw = request(
            "INVITE",
            b"sip:" + value[:9000].replace(b" ", b"%20") + b"@198.51.100.7",
            HOSTILE,
            call_id=b"hostile-%d-" % number + value[:9000],
            user=value[:9000],
            agent=value,
        )
        made.append(seen(raw, HOSTILE, end - 5_000_000_000 + number * 1_000_000))
    return made


def write_scene(folder: Path) -> tuple[Path, Path]:
    """A capture and a configuration."""
    config, capture = folder / "relaytrap.toml", folder / "scene.pcapng"
    config.write_text(CONFIG, encoding="utf-8")
    sink = io.BytesIO()
    write_capture(sink, observations(time.time_ns()), title="scene")
    capture.write_bytes(sink.getvalue())
    return config, capture
