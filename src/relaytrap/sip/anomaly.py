"""What can be odd about a message, by name: where the rule stands that it breaks, and what the sender is owed for it.

An anomaly is a fact about bytes, not a verdict: honest phones have them, scanners are known by them. Names are stable:
they are stored with every message and people filter by them.

A status stands only where the RFC asks for a refusal. What is malformed but not needed to answer is ignored (RFC 3261
section 8.2), as servers in the field do.
"""

from typing import Final, NamedTuple

__all__ = ["ANOMALIES", "Anomaly", "Defect", "Kind", "SipSyntaxError", "anomaly"]

Defect = tuple[str, int]  # name of an anomaly, offset in the value that was read


class SipSyntaxError(ValueError):
    """A value fits no rule of the grammar; `offset` is that of the first octet that does not, in the value given."""

    def __init__(self, name: str, offset: int) -> None:
        super().__init__(f"{name} at octet {offset}")
        self.name = name
        self.offset = offset


class Anomaly(NamedTuple):
    """One odd thing in a message.

    offset: of the octet in `raw` where it shows; of the header line when the oddity is the header as a whole; the
        length of `raw` when something is missing.
    section: the rule that it breaks, "RFC 3261 7.3.1".
    """

    name: str
    offset: int
    section: str


class Kind(NamedTuple):
    """What an anomaly name means.

    status: what a server that keeps to the RFC answers because of it; 0 when the message may be processed all the same.
    """

    section: str
    status: int
    text: str


ANOMALIES: Final[dict[str, Kind]] = {
    # the message as a whole
    "empty": Kind("RFC 3261 7", 0, "no octets at all"),
    "keepalive": Kind("RFC 5626 4.4.1", 0, "only line ends, NULs or another known keep-alive"),
    "not-sip": Kind("RFC 3261 7", 0, "does not begin like a SIP message"),
    "start-line": Kind("RFC 3261 7.1", 0, "begins like SIP, but the first line is neither request nor status line"),
    "leading-line-ends": Kind("RFC 3261 7.5", 0, "line ends before the first line"),
    "leading-octets": Kind("RFC 3261 7", 0, "blanks or NULs before the first line"),
    "bare-lf": Kind("RFC 3261 7", 0, "lines end in LF without CR"),
    "bare-cr": Kind("RFC 3261 7", 0, "CR without LF"),
    "no-empty-line": Kind("RFC 3261 7", 0, "no empty line after the headers"),
    "cut-in-header": Kind("RFC 3261 7", 400, "ends inside a header line"),
    "body-short": Kind("RFC 3261 18.3", 400, "Content-Length promises more octets than there are"),
    "body-miscounted": Kind("RFC 5118 4.6", 0, "Content-Length promises more than a body that is whole"),
    "extra-octets": Kind("RFC 3261 18.3", 0, "octets behind the end that Content-Length gives"),
    "padding": Kind("RFC 3261 18.3", 0, "NULs or line ends behind the end that Content-Length gives"),
    "second-message": Kind("RFC 3261 18.3", 0, "another message in the same datagram"),
    "too-many-headers": Kind("RFC 3261 21.4.1", 400, "more header lines than are read; the rest is only in raw"),
    "too-much-header": Kind("RFC 3261 21.5.7", 513, "more header octets than are read; the rest is only in raw"),
    "too-many-values": Kind(
        "RFC 3261 21.4.1", 400, "more values, or parameters of one, than are read; the rest is only in raw"
    ),
    # first line
    "start-line-blanks": Kind(
        "RFC 3261 7.1", 0, "other than one SP between the elements of the first line, or blanks at its end"
    ),
    "request-uri-blanks": Kind("RFC 3261 7.1", 400, "blanks inside the Request-URI"),
    "request-uri-brackets": Kind("RFC 3261 7.1", 400, "Request-URI in angle brackets"),
    "request-uri-headers": Kind("RFC 3261 19.1.1", 400, "Request-URI with a headers part"),
    "method": Kind("RFC 3261 7.1", 400, "method is no token"),
    "version": Kind("RFC 3261 21.5.6", 505, "SIP version other than 2.0"),
    "version-case": Kind("RFC 3261 7.1", 0, "SIP version not in upper case"),
    "status-code": Kind("RFC 3261 7.2", 0, "status code is not three digits from 100 to 699"),
    "no-reason-space": Kind("RFC 3261 7.2", 0, "no SP after the status code"),
    # header lines
    "header-name": Kind("RFC 3261 7.3.1", 0, "header name is no token"),
    "header-no-colon": Kind("RFC 3261 7.3.1", 0, "header line without a colon"),
    "header-fold-first": Kind("RFC 3261 7.3.1", 0, "continuation line where no header has begun"),
    "header-control": Kind("RFC 3261 25.1", 0, "control characters in the header part"),
    "header-not-utf8": Kind("RFC 3261 25.1", 0, "header part is no UTF-8"),
    "header-repeated": Kind("RFC 3261 7.3.1", 0, "a header that may stand once stands several times"),
    "required-repeated": Kind("RFC 4475 3.3.8", 400, "To, From, Call-ID, CSeq or Max-Forwards stands several times"),
    "list-gap": Kind("RFC 3261 7.3.1", 400, "comma without a value beside it"),
    "no-via": Kind("RFC 3261 8.1.1", 400, "no Via"),
    "no-from": Kind("RFC 3261 8.1.1", 400, "no From"),
    "no-to": Kind("RFC 3261 8.1.1", 400, "no To"),
    "no-call-id": Kind("RFC 3261 8.1.1", 400, "no Call-ID"),
    "no-cseq": Kind("RFC 3261 8.1.1", 400, "no CSeq"),
    "no-max-forwards": Kind("RFC 3261 8.1.1.6", 0, "no Max-Forwards"),
    "no-contact": Kind("RFC 3261 8.1.1.8", 0, "INVITE without Contact"),
    # single values
    "call-id": Kind("RFC 3261 20.8", 0, "Call-ID is no callid"),
    "cseq": Kind("RFC 3261 20.16", 400, "CSeq is no number and method"),
    "cseq-range": Kind("RFC 3261 8.1.1.5", 400, "CSeq number is 2**31 or more"),
    "cseq-method": Kind("RFC 3261 8.1.1.5", 400, "CSeq names another method than the request line"),
    "max-forwards": Kind("RFC 3261 20.22", 0, "Max-Forwards is no number from 0 to 255"),
    "content-length": Kind("RFC 3261 20.14", 400, "Content-Length is no number"),
    "content-length-conflict": Kind("RFC 3261 20.14", 400, "several Content-Lengths that differ"),
    "content-type": Kind("RFC 3261 20.15", 0, "Content-Type is no media type"),
    "no-content-type": Kind("RFC 3261 20.15", 0, "a body without Content-Type"),
    "date": Kind("RFC 3261 20.17", 0, "Date is no RFC 1123 date in GMT"),
    "expires": Kind("RFC 3261 20.19", 0, "an expiry is no number below 2**32"),
    "retry-after": Kind("RFC 3261 20.33", 0, "Retry-After is no number of seconds below 2**32"),
    "warning": Kind("RFC 3261 20.43", 0, "Warning is no code of three digits, agent and quoted text"),
    "option-tag": Kind("RFC 3261 20.32", 400, "a list of option tags holds something else"),
    "auth": Kind("RFC 3261 20.7", 0, "credentials or challenge break the grammar"),
    # Via
    "via": Kind("RFC 3261 20.42", 400, "Via has no protocol and sent-by"),
    "via-version": Kind("RFC 3261 20.42", 0, "Via of another protocol than SIP/2.0"),
    "via-sent-by": Kind("RFC 3261 20.42", 400, "Via sent-by is no host"),
    "no-branch": Kind("RFC 3261 8.1.1.7", 0, "Via without branch, as RFC 2543 allowed"),
    "branch-cookie": Kind("RFC 3261 8.1.1.7", 0, "Via branch does not begin with z9hG4bK"),
    "branch-empty": Kind("RFC 4475 3.2.1", 0, "Via branch is nothing but the cookie"),
    "via-broadcast": Kind("RFC 4475 3.3.10", 0, "Via sent-by is the broadcast address"),
    # addresses and URIs
    "address": Kind("RFC 3261 20.10", 400, "neither name-addr nor addr-spec"),
    "display-name": Kind("RFC 3261 25.1", 0, "unquoted display name is not made of tokens"),
    "display-name-comma": Kind("RFC 4475 3.1.2.15", 400, "comma in an unquoted display name"),
    "quote-open": Kind("RFC 3261 25.1", 400, "quoted string has no end"),
    "bracket-open": Kind("RFC 3261 25.1", 400, "angle bracket has no end"),
    "uri-blanks": Kind("RFC 3261 25.1", 400, "blanks around or inside a URI"),
    "uri-needs-brackets": Kind("RFC 3261 20", 400, "URI with a comma or question mark outside angle brackets"),
    "uri": Kind("RFC 3261 19.1.1", 400, "no URI"),
    "uri-user": Kind("RFC 3261 19.1.1", 0, "user or password part of a URI has octets that must be escaped"),
    "uri-escape": Kind("RFC 3261 19.1.2", 0, "percent sign without two hex digits"),
    "uri-param": Kind("RFC 3261 19.1.1", 0, "URI parameter has octets that must be escaped, or is empty"),
    "uri-headers": Kind("RFC 3261 19.1.1", 0, "headers part of a URI breaks the grammar"),
    "host": Kind("RFC 3261 25.1", 0, "host is neither hostname, IPv4 address nor IPv6 reference"),
    "no-host": Kind("RFC 3261 25.1", 400, "no host where one must be"),
    "ipv6-bare": Kind("RFC 5118 4.2", 400, "IPv6 address without its brackets"),
    "ipv6-three-colons": Kind("RFC 5118 4.10", 0, "three colons in an IPv6 address, after an error of RFC 3261"),
    "port": Kind("RFC 3261 25.1", 400, "port is no number from 0 to 65535"),
    "param": Kind("RFC 3261 25.1", 0, "header parameter breaks the grammar"),
    "param-gap": Kind("RFC 3261 25.1", 400, "semicolon without a parameter behind it"),
    "param-repeated": Kind("RFC 3261 7.3.1", 0, "a parameter stands twice"),
    "no-from-tag": Kind("RFC 3261 8.1.1.3", 0, "From without tag, as RFC 2543 allowed"),
    "contact-star": Kind("RFC 3261 10.2.2", 400, "Contact: * beside other contacts or without Expires: 0"),
    # bodies
    "sdp": Kind("RFC 8866 5", 0, "a line of the session description is no type and value"),
    "multipart": Kind("RFC 2046 5.1.1", 0, "multipart body without its boundaries"),
}


def anomaly(name: str, offset: int) -> Anomaly:
    """The anomaly of that name at an offset in `raw`."""
    return Anomaly(name, offset, ANOMALIES[name].section)
