#!/usr/bin/env python3
"""Time the parser on one core: messages a second, fully read, beside a peer in the same run.

    python bench/parse.py [CAPTURE] [--rounds 5] [--limit 50000]

Without a CAPTURE it makes a mix itself: probes, registrations with credentials, calls with a session description and up
to four Vias, responses; compact names, odd case, folds. "Full" asks each message for method or status, Request-URI,
every Via with branch, received and rport, From, To and their tags, Contacts, Call-ID, CSeq, Max-Forwards, User-Agent,
body and anomalies. The peer is the plain way: one regular expression a field over the header part, nothing taken apart.
The torture set is fuzz/corpus/sip. Prints median and spread of the rounds, last one JSON object.
"""

import argparse
import json
import platform
import random
import re
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from relaytrap.capture import read_capture
from relaytrap.sip import Request, Response, parse_message

CORPUS = Path(__file__).resolve().parent.parent / "fuzz" / "corpus" / "sip"
BAR = 25_000

BODY = (
    b"v=0\r\no=- %d 1 IN IP4 %b\r\ns=call\r\nc=IN IP4 %b\r\nt=0 0\r\n"
    b"m=audio 25282 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\n"
)
AGENTS = [
    b"friendly-scanner",
    b"PolycomSoundPointIP SPIP_550 UA 3.3.2.0413",
    b"Asterisk PBX 16.2",
    b"sipcli/v1.8",
    b"Z 5.6",
]
SHORT = {b"Via": b"v", b"From": b"f", b"To": b"t", b"Call-ID": b"i", b"Contact": b"m", b"Content-Length": b"l"}


def make_message(chance: random.Random) -> bytes:
    """One message of the mix."""
    method = chance.choices([b"OPTIONS", b"REGISTER", b"INVITE", b"ACK", b"BYE"], [40, 30, 20, 6, 4])[0]
    address = b"%d.%d.%d.%d" % (
        chance.randint(11, 223),
        chance.randrange(256),
        chance.randrange(256),
        chance.randrange(256),
    )
    user, target = b"%d" % chance.randint(100, 99999), b"203.0.113.%d" % chance.randint(1, 50)
    hops = [
        b"SIP/2.0/UDP 10.%d.0.%d:%d;branch=z9hG4bK-%x;rport"
        % (at, chance.randrange(256), chance.randint(1024, 65535), chance.getrandbits(48))
        for at in range(min(4, 1 + int(chance.expovariate(1.1))))
    ]
    uri = b"sip:" + (b"" if method == b"REGISTER" else b"9011441%d@" % chance.getrandbits(32)) + target
    body = BODY % (chance.getrandbits(24), address, address) if method == b"INVITE" else b""
    fields = [(b"Via", hop) for hop in hops] if chance.random() < 0.7 else [(b"Via", b", ".join(hops))]
    fields += [
        (b"Max-Forwards", b"70"),
        (b"From", b'"%b" <sip:%b@%b>;tag=%08x' % (user, user, target, chance.getrandbits(32))),
        (b"To", b"<%b>" % uri),
        (b"Call-ID", b"%016x@%b" % (chance.getrandbits(64), address)),
        (b"CSeq", b"%d %b" % (chance.randint(1, 900), method)),
        (b"Contact", b"<sip:%b@%b:%d;transport=udp>" % (user, address, chance.randint(1024, 65535))),
        (b"User-Agent", chance.choice(AGENTS)),
    ]
    if method == b"REGISTER":
        response = b"%032x" % chance.getrandbits(128)
        digest = b'Digest username="%b",realm="asterisk",nonce="%x",uri="%b",response="%b",algorithm=MD5'
        fields.append((b"Authorization", digest % (user, chance.getrandbits(32), uri, response)))
    if body:
        fields.append((b"Content-Type", b"application/sdp"))
    fields.append((b"Content-Length", b"%d" % len(body)))
    is_response = chance.random() < 0.1
    first = b"SIP/2.0 401 Unauthorized" if is_response else method + b" " + uri + b" SIP/2.0"
    return first + b"\r\n" + write_fields(fields, chance) + b"\r\n" + body


def write_fields(fields: list[tuple[bytes, bytes]], chance: random.Random) -> bytes:
    """Header lines; a third of the messages has compact names, some have odd case, some a fold."""
    style, fold = chance.random(), chance.random() < 0.08
    lines = []
    for name, value in fields:
        if style < 0.3:
            name = SHORT.get(name, name)
        elif style < 0.4:
            name = name.upper() if style < 0.35 else name.lower() + b" "
        lines.append(
            name + b": " + (value.replace(b";", b"\r\n ;", 1) if fold and name == b"From" else value) + b"\r\n"
        )
    return b"".join(lines)


def read_fully(data: bytes) -> None:
    """Asks one message for everything that is stored of it."""
    message = parse_message(data)
    if isinstance(message, Request):
        _ = message.method, message.request_uri, message.uri
    elif isinstance(message, Response):
        _ = message.status_code
    else:
        return
    for via in message.vias:
        _ = via.sent_by_host, via.branch, via.received, via.rport
    _ = message.from_address, message.from_tag, message.to_address, message.to_tag, message.contacts
    _ = message.call_id, message.cseq, message.max_forwards, message.user_agent, message.body, message.anomalies


FOLD = re.compile(rb"\r\n[ \t]+")
FIELDS = [
    re.compile(rb"^(?:" + names + rb")[ \t]*:[ \t]*(.*?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
    for names in (b"via|v", b"from|f", b"to|t", b"contact|m", b"call-id|i", b"cseq", b"max-forwards", b"user-agent")
]


def read_by_patterns(data: bytes) -> tuple[bytes, list[list[bytes]], bytes]:
    """The peer: fields found one by one, none taken apart, nothing checked."""
    head, _, body = data.partition(b"\r\n\r\n")
    head = FOLD.sub(b" ", head)
    return head.partition(b"\r\n")[0], [pattern.findall(head) for pattern in FIELDS], body


def rates(read: Callable[[bytes], object], messages: Sequence[bytes], rounds: int) -> list[float]:
    """Messages a second of processor time, one number a round."""
    found = []
    for _ in range(rounds):
        start = time.process_time()
        for data in messages:
            read(data)
        found.append(len(messages) / (time.process_time() - start))
    return found


def load(capture: Path, limit: int) -> list[bytes]:
    """Up to limit messages of a capture."""
    messages: list[bytes] = []
    with capture.open("rb") as stream:
        for observation in read_capture(stream, name=capture.name, sensor="bench"):
            messages.append(observation.raw)
            if len(messages) == limit:
                break
    return messages


def main() -> None:
    """Reads the command line, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("capture", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=50_000)
    options = parser.parse_args()
    chance = random.Random(11)
    mix = (
        load(options.capture, options.limit)
        if options.capture
        else [make_message(chance) for _ in range(options.limit)]
    )
    torture = [path.read_bytes() for path in sorted(CORPUS.iterdir())] * 50
    measured = {
        "mix, full": rates(read_fully, mix, options.rounds),
        "mix, split only": rates(parse_message, mix, options.rounds),
        "mix, peer: a pattern a field": rates(read_by_patterns, mix, options.rounds),
        "torture, full": rates(read_fully, torture, options.rounds),
        "torture, peer: a pattern a field": rates(read_by_patterns, torture, options.rounds),
    }
    octets = statistics.mean(map(len, mix))
    print(
        f"Python {platform.python_version()}, {platform.machine()}; {len(mix)} messages, {octets:.0f} octets on average"
    )
    for name, found in measured.items():
        middle, low, high = statistics.median(found), min(found), max(found)
        print(f"{name:34} {middle:9,.0f}/s  ({low:,.0f} to {high:,.0f})")
    middles = {name: statistics.median(found) for name, found in measured.items()}
    ratio = middles["mix, full"] / middles["mix, peer: a pattern a field"]
    print(json.dumps({"full_per_s": round(middles["mix, full"]), "bar": BAR, "peer_ratio": round(ratio, 2)}))


if __name__ == "__main__":
    main()
