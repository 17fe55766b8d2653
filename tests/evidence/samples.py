"""Messages for evidence tests: samples of signatures as datagrams, and a request from parts."""

from relaytrap.observation import Observation
from relaytrap.sip import Request, parse_message

SOURCE, LOCAL = "198.51.100.7", "192.0.2.10"


def wire(text: str) -> bytes:
    """A message written with line feeds as it stands on the wire; head and body end as they should."""
    head, gap, body = text.strip("\n").partition("\n\n")
    return (head + "\n\n" + body + ("\n" if gap else "")).replace("\n", "\r\n").encode("utf-8")


def request(data: bytes) -> Request:
    """Parses what must be a request."""
    message = parse_message(data)
    assert isinstance(message, Request)
    return message


def seen(data: bytes, source: str = SOURCE, local: str = LOCAL) -> Observation:
    """An observation of the bytes."""
    return Observation(0, "test", "in", "udp", source, 5060, local, 5060, data)


def invite(
    *,
    user: str = "100",
    branch: str = "z9hG4bKabc",
    call_id: str = "call",
    tag: str = "tag",
    from_user: str = "100",
    contact_user: str = "100",
    via_host: str = SOURCE,
    user_agent: str = "test",
    to_tag: str = "",
) -> Request:
    """An INVITE whose identifiers are given."""
    return request(
        wire(
            f"""
INVITE sip:{user}@{LOCAL} SIP/2.0
Via: SIP/2.0/UDP {via_host}:5060;branch={branch}
Max-Forwards: 70
From: <sip:{from_user}@{LOCAL}>;tag={tag}
To: <sip:{user}@{LOCAL}>{f";tag={to_tag}" if to_tag else ""}
Call-ID: {call_id}
CSeq: 1 INVITE
Contact: <sip:{contact_user}@{via_host}:5060>
User-Agent: {user_agent}
Content-Length: 0
"""
        )
    )
