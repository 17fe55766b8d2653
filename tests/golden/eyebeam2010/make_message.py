#!/usr/bin/env python3
"""The INVITE that an Australian honeypot published in 2010, rebuilt as one datagram.

    python tests/golden/eyebeam2010/make_message.py > message.sip

What is known of it is built in; what was not published (see README.md) is filled with values of the same form.
"""

import sys

SOURCE, SOURCE_PORT = "202.71.111.5", 2452
HONEYPOT, HONEYPOT_PORT = "203.0.113.77", 5060
NUMBER = "001133155xxxxxx"
RECEIVED_AT_NS = 1_279_154_706_204_310_000


def make_message() -> bytes:
    """The datagram."""
    scanner, target = SOURCE.replace(".", ""), HONEYPOT.replace(".", "")
    body = "\r\n".join(
        (
            "v=0",
            f"o=- 16264 18299 IN IP4 {SOURCE}",
            "s=CounterPath eyeBeam 1.5",
            f"c=IN IP4 {SOURCE}",
            "t=0 0",
            "m=audio 25282 RTP/AVP 0 8 101",
            "a=rtpmap:0 pcmu/8000",
            "a=rtpmap:8 pcma/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-15",
            "",
        )
    )
    head = "\r\n".join(
        (
            f"INVITE sip:{NUMBER}@{HONEYPOT} SIP/2.0",
            f"Via: SIP/2.0/UDP {SOURCE}:{SOURCE_PORT};branch={scanner}{target}{NUMBER}",
            "Max-Forwards: 70",
            f"From: <sip:1000@{HONEYPOT}>;tag=1536954848",
            f"To: <sip:{NUMBER}@{HONEYPOT}>",
            f"Call-ID: {scanner}-{target}-{NUMBER}",
            "CSeq: 1 INVITE",
            f"Contact: <sip:1000@{SOURCE}:{SOURCE_PORT}>",
            "Content-Type: application/sdp",
            "User-Agent: eyeBeam release 3006o stamp 17551",
            f"Content-Length: {len(body)}",
            "",
            "",
        )
    )
    return (head + body).encode("ascii")


if __name__ == "__main__":
    sys.stdout.buffer.write(make_message())
