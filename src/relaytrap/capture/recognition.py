"""What a payload is, by its first octets: SIP on whatever port, or something to count and leave.

Recognition is wider than the grammar, because damage is evidence: `SIP/7.0`, several blanks in a request line and
blanks behind it are SIP (RFC 4475 badvers, lwsstart, trws). It is narrower than a port number: HTTP, SSDP, RTSP and
RTP on port 5060 are not.
"""

import re
from typing import Final

__all__ = [
    "KEEPALIVE",
    "begins_cut_request",
    "begins_message",
    "find_message",
    "is_one_message",
    "is_response",
    "may_begin",
    "what_else",
]

# Request-Line  =  Method SP Request-URI SP SIP-Version CRLF        (RFC 3261 25.1; Method = token)
# Status-Line   =  SIP-Version SP Status-Code SP Reason-Phrase CRLF
# Possessive quantifiers keep every match linear in the length of the line.
TOKEN: Final = rb"[!%'*+\-.0-9A-Z_`a-z~]++"
VERSION: Final = rb"[Ss][Ii][Pp]/\d[^\s\0]*+"
REQUEST_LINE: Final = TOKEN + rb"[ \t]++(?:[^\r\n]*[ \t])?" + VERSION + rb"[ \t]*+(?=[\r\n]|\Z)"
STATUS_LINE: Final = VERSION + rb"[ \t]++\d"
AT_START: Final = re.compile(rb"[\r\n\t \0]*+(?:" + STATUS_LINE + rb"|" + REQUEST_LINE + rb")")
METHODS: Final = rb"(?:ACK|BYE|CANCEL|INFO|INVITE|MESSAGE|NOTIFY|OPTIONS|PRACK|PUBLISH|REFER|REGISTER|SUBSCRIBE|UPDATE)"
HEADER_BELOW: Final = rb"(?:\r\n|\n|\r)[!-9;-~]++[ \t]*+:"
# A body need not end with a line break, so a plain start line counts in the midst of a line, too; its reason phrase is
# bounded because a line may hold thousands of them.
PLAIN_START: Final = rb"SIP/2\.0 \d{3} [^\r\n]{0,200}+|" + METHODS + rb" sips?:[^\s]{1,2000}+ SIP/2\.0"
PLAIN_REQUEST: Final = TOKEN + rb"[ \t]++[^\s]++[ \t]++" + VERSION + rb"[ \t]*+"
LINE_START: Final = rb"(?m:^)(?:" + STATUS_LINE + rb"[^\r\n]*+|" + PLAIN_REQUEST + rb")"
IN_STREAM: Final = re.compile(rb"(?:" + LINE_START + rb"|" + PLAIN_START + rb")" + HEADER_BELOW)
BEHIND_BODY: Final = re.compile(rb"[^\s]*?(" + METHODS + rb")[ \t]++sips?:")
PLAIN_AT_START: Final = re.compile(rb"SIP/2\.0 \d{3} |" + TOKEN + rb" [^\s]++ SIP/2\.0\r\n")
CONTENT_LENGTH: Final = re.compile(
    rb"\n(?:content-length|l)(?=[\s:])(?:[ \t]*+:[ \t]*+(\d{1,6})[ \t]*+(?=\r\n[^ \t]))?", re.IGNORECASE
)
BEFORE_VERSION: Final = re.compile(TOKEN + rb"[ \t]++(?:sips?|tel|im|pres|urn|https?):", re.IGNORECASE)
KNOWN_METHODS: Final = re.compile(METHODS + rb"[ \t]")
UNFINISHED: Final = re.compile(rb"[\r\n\t \0]*+[\t -~\x80-\xff]*+\Z")
MAX_LINE: Final = 8192

KEEPALIVE: Final = "keepalive"
NOT_SIP: Final = "UDP payload that is not SIP"
HTTP_LINE: Final = re.compile(rb"(?:[A-Z-]{3,16} \S* HTTP/1\.|HTTP/1\.)")
RTSP_LINE: Final = re.compile(rb"(?:[A-Z_]{3,16} \S* RTSP/1\.|RTSP/1\.)")
KEEPALIVE_OCTETS: Final = b"\r\n\0 \t"
MAX_KEEPALIVE: Final = 16
STUN_COOKIE: Final = b"\x21\x12\xa4\x42"
NAME_SERVICE_PORTS: Final = frozenset({53, 137, 5353, 5355})


def begins_message(payload: bytes) -> bool:
    """Whether a SIP start line stands at the start of it, after any line breaks, blanks or NULs."""
    return AT_START.match(payload) is not None


def begins_cut_request(payload: bytes) -> bool:
    """Whether a payload that the capture cut within its first line was a SIP request."""
    return KNOWN_METHODS.match(payload) is not None and BEFORE_VERSION.match(payload) is not None


def may_begin(octets: bytes) -> bool:
    """Whether more octets could still turn this start of a stream into a start line."""
    return len(octets) < MAX_LINE and UNFINISHED.match(octets) is not None


def is_one_message(octets: bytes) -> bool:
    """Whether octets of a stream are plainly one message, which every reader of the stream sees end where they end."""
    head_end = octets.find(b"\r\n\r\n") + 4
    if head_end < 4 or not PLAIN_AT_START.match(octets):
        return False
    lines = octets.count(b"\r\n", 0, head_end)
    if octets.count(b"\r", 0, head_end) != lines or octets.count(b"\n", 0, head_end) != lines:
        return False
    lengths: list[bytes] = CONTENT_LENGTH.findall(octets, 0, head_end)
    return len(lengths) == 1 and lengths[0] != b"" and int(lengths[0]) == len(octets) - head_end


def find_message(octets: bytes, start: int = 0) -> int:
    """Where the first start line with a header line below it begins in the midst of a stream; -1 for nowhere."""
    if octets.find(b"SIP/", start) < 0 and octets.find(b"sip/", start) < 0:
        return -1
    match = IN_STREAM.search(octets, start)
    if not match:
        return -1
    behind = BEHIND_BODY.match(octets, match.start())
    return behind.start(1) if behind else match.start()


def is_response(message: bytes) -> bool:
    return message[:64].lstrip(KEEPALIVE_OCTETS)[:4].upper() == b"SIP/"


def what_else(payload: bytes, source_port: int, destination_port: int) -> str:
    """The reason to count a UDP payload under that is no SIP message."""
    if not payload:
        return "empty UDP datagram"
    if payload[0] & 0xC0 == 0x80 and len(payload) >= 8:
        return "RTP or RTCP"
    if len(payload) <= MAX_KEEPALIVE and (not payload.strip(KEEPALIVE_OCTETS) or payload == b"jaK"):
        return KEEPALIVE
    if source_port in NAME_SERVICE_PORTS or destination_port in NAME_SERVICE_PORTS:
        return "DNS and its kin"
    if payload[4:8] == STUN_COOKIE:
        return "STUN or TURN"
    if HTTP_LINE.match(payload):
        return "HTTP or SSDP"
    if RTSP_LINE.match(payload):
        return "RTSP"
    return NOT_SIP
