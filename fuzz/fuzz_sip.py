"""Fuzz the SIP room.

Invariant: whatever the octets, parse_message returns, `raw` is the input, every anomaly lies inside it, every value can
be asked for, validate and build_response return (ValueError never), framing gives back every octet once, and the
messages it finds do not depend on how the octets were cut.

    python fuzz/fuzz_sip.py [--seconds 60] [--seed N]    random changes to the corpus and to grammar pieces
    python fuzz/fuzz_sip.py --atheris [libFuzzer options] coverage-guided, where atheris is installed

A finding is written beside the corpus as found-<hash> and shown; it then becomes a test named after the behaviour.
"""

import argparse
import hashlib
import random
import sys
import time
from pathlib import Path

from relaytrap.sip import Request, Unparsed, parse_message, validate
from relaytrap.sip.build import build_response
from relaytrap.sip.stream import StreamParser

CORPUS = Path(__file__).parent / "corpus" / "sip"

PIECES = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b"\xff", b'"', b"\\", b"<", b">", b",", b";", b"=", b":", b"@", b"%",
    b"[", b"]", b"?", b"&", b"/", b"SIP/2.0", b"Via: SIP/2.0/UDP h;branch=z9hG4bK1\r\n", b"v:", b"l: 0\r\n",
    b"Content-Length: 9", b"999999999999999999999", b"-1", b"\r\n\r\n", b"\r\n ", b"received=", b";rport",
    b"sip:", b"tel:+1", b"Contact: *\r\n",
    b"INVITE sip:a@b SIP/2.0\r\n", b"SIP/2.0 200 OK\r\n", b"Authorization: Digest ", b"[2001:db8::1]", b";;", b",,",
]  # fmt: skip

VALUES = (
    "vias", "via_count", "from_address", "to_address", "from_tag", "to_tag", "contacts", "call_id", "cseq", "route",
    "max_forwards", "user_agent", "content_type", "content_length", "sdp", "record_route", "credentials", "challenges",
    "extra", "body", "parts", "anomalies",
)  # fmt: skip


def check(data: bytes) -> None:
    """Holds one input against the invariant."""
    message = parse_message(data)
    assert message.raw == data
    assert all(0 <= anomaly.offset <= len(data) for anomaly in message.anomalies)
    for header in message.headers:
        assert data.startswith(header.raw_name, header.offset)
    validate(message)
    if not isinstance(message, Unparsed):
        for name in VALUES:
            getattr(message, name)
        for credentials in message.credentials:
            credentials.hashcat_line(b"REGISTER")
    if isinstance(message, Request):
        built = build_response(message, 400, b"x", to_tag=b"t", received=b"192.0.2.1", rport=9)
        answer = parse_message(built)
        assert not isinstance(answer, Unparsed)
        assert (answer.body, answer.extra) == (b"", b"")
    check_stream(data)


def check_stream(data: bytes) -> None:
    """The same octets at once and cut in three."""
    third = len(data) // 3
    whole, cut = StreamParser(), StreamParser()
    at_once = whole.receive(data) + whole.close()
    in_three = [
        frame for part in (data[:third], data[third : 2 * third], data[2 * third :]) for frame in cut.receive(part)
    ]
    in_three += cut.close()
    assert b"".join(frame.raw for frame in at_once) == b"".join(frame.raw for frame in in_three) == data
    messages = [[frame.raw for frame in frames if frame.kind == "message"] for frames in (at_once, in_three)]
    assert messages[0] == messages[1]


def change(data: bytes, chance: random.Random) -> bytes:
    """A few octets deleted, replaced, doubled or inserted."""
    octets = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        at = chance.randint(0, len(octets))
        kind = chance.randrange(4)
        if kind == 0:
            del octets[at : at + chance.randint(1, 20)]
        elif kind == 1:
            octets[at : at + 1] = chance.randbytes(1)
        elif kind == 2:
            octets[at:at] = octets[at : at + chance.randint(1, 60)]
        else:
            octets[at:at] = chance.choice(PIECES) * chance.choice((1, 1, 1, 2, 300))
    return bytes(octets)


def run(seconds: float, seed: int) -> int:
    """Number of inputs tried."""
    chance = random.Random(seed)
    corpus = [path.read_bytes() for path in sorted(CORPUS.iterdir()) if path.is_file()]
    end = time.monotonic() + seconds
    tried = 0
    while time.monotonic() < end:
        data = (
            change(chance.choice(corpus), chance)
            if tried % 4
            else b"".join(chance.choices(PIECES, k=chance.randint(1, 60)))
        )
        try:
            check(data)
        except Exception:
            found = CORPUS.parent / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
            found.write_bytes(data)
            print(f"breaks the invariant: {found}", file=sys.stderr)
            raise
        tried += 1
    return tried


def main() -> None:
    """Reads the command line and fuzzes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", action="store_true")
    options, rest = parser.parse_known_args()
    if options.atheris:
        import atheris

        atheris.Setup([sys.argv[0], *rest, str(CORPUS)], check)
        atheris.Fuzz()
    print(f"{run(options.seconds, options.seed)} inputs, seed {options.seed}: the invariant holds")


if __name__ == "__main__":
    main()
