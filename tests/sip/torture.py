"""Our own messages for each section of RFC 4475 and RFC 5118: the same traps, other words.

The RFCs' own archives are not copied. Each case says what the section asks for: "valid" parses and nothing is owed;
"invalid" is refused or at least noted, with the status that the RFC names; "valid_syntax" parses, and what is owed is
decided above the parser.
"""

from typing import NamedTuple

SDP = (
    b"v=0\r\no=- 7 8 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


class Case(NamedTuple):
    """status: what `validate` must say; None for nothing. anomalies: names that must be among the noted ones."""

    name: str
    section: str
    verdict: str
    data: bytes
    status: int | None = None
    anomalies: tuple[str, ...] = ()


def message(first_line: bytes, *changes: bytes, body: bytes = b"") -> bytes:
    """A plain message whose header lines are replaced by those in `changes` that begin alike; others are added.

    A change that ends in a colon removes the line.
    """
    method = first_line.split()[0] if not first_line.startswith(b"SIP/2.0") else b"INVITE"
    lines = [
        b"Via: SIP/2.0/UDP pbx.example.com:5060;branch=z9hG4bK77ef4c2312983.1",
        b"Max-Forwards: 70",
        b"From: <sip:alice@example.com>;tag=456248",
        b"To: <sip:bob@example.net>",
        b"Call-ID: 843817637684230@998sdasdh09",
        b"CSeq: 1826 " + method,
        b"Contact: <sip:alice@192.0.2.4>",
        b"Content-Length: %d" % len(body),
    ]
    for change in changes:
        name = change.split(b":")[0].lower() + b":"
        place = next((at for at, line in enumerate(lines) if line.lower().startswith(name)), None)
        if place is None:
            lines.append(change)
        elif change.endswith(b":"):
            del lines[place]
        else:
            lines[place] = change
    return b"\r\n".join([first_line, *lines]) + b"\r\n\r\n" + body


INVITE = b"INVITE sip:bob@example.net SIP/2.0"
OPTIONS = b"OPTIONS sip:bob@example.net SIP/2.0"
REGISTER = b"REGISTER sip:example.com SIP/2.0"
OK = b"SIP/2.0 200 OK"
IS_SDP = b"Content-Type: application/sdp"

LONG = b"a-very-long-piece-of-text-" * 12

CASES: tuple[Case, ...] = (
    # RFC 4475 3.1.1: valid messages
    Case(
        "blanks and folds everywhere",
        "RFC 4475 3.1.1.1",
        "valid",
        b"INVITE sip:bob@example.net;strange SIP/2.0\r\nTO :\r\n sip:bob@example.net ;   tag    = 77aa\r\n"
        b'from   : "A \\\\\\""       <sip:alice@example.com>\r\n  ;\r\n  tag = 98a\r\nMaX-fOrWaRdS: 0068\r\n'
        b"Call-ID: fold.1@192.0.2.1\r\nContent-Length   : %d\r\ncseq: 0009\r\n  INVITE\r\n"
        b"Via  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw\r\ns :\r\nNewHeader:   value\r\n more "
        b"of it\r\n"
        b"Odd: ;;,,;;,;\r\nContent-Type: application/sdp\r\nRoute:\r\n <sip:proxy.example.com;lr;a=b;c>\r\n"
        b"v:  SIP  / 2.0  / TCP     second.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n"
        b" SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n"
        b'm:"Quoted \\"\\"" <sip:alice@example.com> ; one =\r\n      value ;\r\n  two ; q = 0.33\r\n\r\n%s'
        % (len(SDP), SDP),
    ),
    Case(
        "every token character",
        "RFC 4475 3.1.1.2",
        "valid",
        message(
            b"!odd-Method09_*+`.%good'~ "
            b"sip:1_odd~(to-be!sure)&isn't+it$/why?,/;;*:&it+has=1,weird!*pas$wo~d@example.com SIP/2.0",
            b"Via: SIP/2.0/TCP h1.example.com;branch=z9hG4bK-.!%66*_+`'~",
            b'To: "BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f" <sip:1_odd~(to-be!sure)&isn\'t+it$/why?,/;;*@example.com>',
            b"From: tok1~` tok2'+_ tok3*%!.- <sip:m@example.com>;p''~+*_!.-%=\"\xd1\x80\xd0\xb0\";tag=_t~1'+`*%!-.",
            b"Call-ID: odd.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{",
            b"CSeq: 139122385 !odd-Method09_*+`.%good'~",
            b"ext-!.%*+_`'~: \xef\xbb\xbf\xe5\xa4\xa7",
        ),
    ),
    Case(
        "escapes in URIs",
        "RFC 4475 3.1.1.3",
        "valid",
        message(
            b"INVITE sip:sips%3Aalice%40example.com@example.net SIP/2.0",
            b"To: sip:%62o%62@example.com",
            b"From: <sip:with%20blanks@example.net>;tag=938",
            b"Contact:\r\n  <sip:c%61ller@h5.example.net;%6C%72;n%61me=v%61lue%25%34%31>",
        ),
    ),
    Case(
        "escaped NUL in users",
        "RFC 4475 3.1.1.4",
        "valid",
        message(
            REGISTER,
            b"To: sip:nul-%00-nul@example.com",
            b"From: sip:nul-%00-nul@example.com;tag=839",
            b"Contact: <sip:%00@h5.example.com>, <sip:%00%00@h5.example.com>",
        ),
    ),
    Case(
        "percent signs that escape nothing",
        "RFC 4475 3.1.1.5",
        "valid",
        message(
            b"RE%47IST%45R sip:registrar.example.com SIP/2.0",
            b'To: "%Q%45" <sip:res@example.com>',
            b'From: "%Q%45" <sip:res@example.com>;tag=f232jadfj23',
            b"Via: SIP/2.0/TCP h.example.com;branch=z9hG4bK209%fzsnel234",
            b"Contact: <sip:alias1@h1.example.com>",
            b"C%6Fntact: <sip:alias2@h2.example.com>",
        ),
    ),
    Case(
        "no blank between display name and bracket",
        "RFC 4475 3.1.1.6",
        "valid",
        message(OPTIONS, b"From: caller<sip:caller@example.com>;tag=323"),
    ),
    Case(
        "long values",
        "RFC 4475 3.1.1.7",
        "valid",
        message(
            b"INVITE sip:bob@example.net SIP/2.0",
            b'To: "' + LONG + b'" <sip:' + LONG + b"@example.net;long-param=" + LONG + b">",
            b"F: sip:" + LONG + b"@" + b"sub." * 20 + b"example.com;tag=12" + b"9" * 200 + b";" + LONG + b"=" + LONG,
            b"From:",
            b"Call-ID: long." + LONG,
            b"Unknown-" + LONG + b": " + LONG + b";" + LONG + b"=" + LONG,
            *(b"V%s: x" % (b"x" * at) for at in range(1, 3)),
            b"Via: " + b",\r\n ".join(b"SIP/2.0/UDP sip%d.example.com" % at for at in range(34)),
            IS_SDP,
            body=SDP,
        ),
    ),
    Case(
        "another request behind the end",
        "RFC 4475 3.1.1.8",
        "valid",
        message(REGISTER) + b"\r\n" + message(INVITE, IS_SDP, body=SDP),
        anomalies=("second-message",),
    ),
    Case(
        "semicolon in the user part",
        "RFC 4475 3.1.1.9",
        "valid",
        message(b"OPTIONS sip:bob;par=u%40example.net@example.com SIP/2.0", b"To: sip:j_user@example.com"),
    ),
    Case(
        "transports of every kind",
        "RFC 4475 3.1.1.10",
        "valid",
        message(
            OPTIONS,
            b"Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw,\r\n SIP/2.0/SCTP "
            b"t2.example.com;branch=z9hG4bKklasjdhf,"
            b"\r\n SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj,\r\n SIP/2.0/UNKNOWN "
            b"t4.example.com;branch=z9hG4bKasd0f3en,"
            b"\r\n SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee",
        ),
    ),
    Case(
        "multipart with a binary part",
        "RFC 4475 3.1.1.11",
        "valid",
        message(
            b"MESSAGE sip:bob@example.org SIP/2.0",
            b"Content-Type: multipart/mixed;boundary=7a9cbec02c",
            b"Content-Transfer-Encoding: binary",
            body=b"--7a9cbec02c\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
            b"--7a9cbec02c\r\nContent-Type: application/octet-stream"
            b"\r\n\r\n0\x82\x01R\x06\x00\r\n\r\n\xff--7a\x00\r\n--7a9cbec02c--\r\n",
        ),
    ),
    Case(
        "reason phrase of any octets",
        "RFC 4475 3.1.1.12",
        "valid",
        message("SIP/2.0 200 = 2**3 * 5**2 двести".encode()),
    ),
    Case("empty reason phrase", "RFC 4475 3.1.1.13", "valid", message(b"SIP/2.0 100 ")),
    # RFC 4475 3.1.2: invalid messages
    Case(
        "separators without values",
        "RFC 4475 3.1.2.1",
        "invalid",
        message(INVITE, b"Via: SIP/2.0/UDP 192.0.2.15;;,;,,", b'Contact: "Joe" <sip:joe@example.org>;;;;'),
        400,
        ("param-gap", "list-gap"),
    ),
    Case(
        "Content-Length larger than the body",
        "RFC 4475 3.1.2.2",
        "invalid",
        message(INVITE, IS_SDP, b"Content-Length: 9999", body=SDP),
        400,
        ("body-short",),
    ),
    Case(
        "negative Content-Length",
        "RFC 4475 3.1.2.3",
        "invalid",
        message(INVITE, IS_SDP, b"Content-Length: -999", body=SDP),
        400,
        ("content-length",),
    ),
    Case(
        "overlarge numbers in a request",
        "RFC 4475 3.1.2.4",
        "invalid",
        message(
            REGISTER,
            b"CSeq: 36893488147419103232 REGISTER",
            b"Max-Forwards: 300",
            b"Expires: 1" + b"0" * 100,
            b"Contact: <sip:alice@h.example.com>;expires=280297596632815",
        ),
        400,
        ("cseq-range", "max-forwards", "expires"),
    ),
    Case(
        "overlarge numbers in a response",
        "RFC 4475 3.1.2.5",
        "invalid",
        message(
            b"SIP/2.0 503 Service Unavailable",
            b"CSeq: 9292394834772304023312 OPTIONS",
            b"Retry-After: 949302838503028349304023988",
            b'Warning: 1812 overture "In Progress"',
        ),
        None,
        ("cseq-range", "retry-after", "warning"),
    ),
    Case(
        "quoted string without an end",
        "RFC 4475 3.1.2.6",
        "invalid",
        message(INVITE, b'To: "Mr. Bob <sip:bob@example.com>'),
        400,
        ("quote-open",),
    ),
    Case(
        "Request-URI in angle brackets",
        "RFC 4475 3.1.2.7",
        "invalid",
        message(b"INVITE <sip:bob@example.net> SIP/2.0"),
        400,
        ("request-uri-brackets",),
    ),
    Case(
        "blanks inside the Request-URI",
        "RFC 4475 3.1.2.8",
        "invalid",
        message(b"INVITE sip:bob@example.net; lr SIP/2.0"),
        400,
        ("request-uri-blanks",),
    ),
    Case(
        "several blanks in the request line",
        "RFC 4475 3.1.2.9",
        "invalid",
        message(b"INVITE  sip:bob@example.net  SIP/2.0"),
        None,
        ("start-line-blanks",),
    ),
    Case(
        "blanks at the end of the request line",
        "RFC 4475 3.1.2.10",
        "invalid",
        message(b"OPTIONS sip:bob@example.net SIP/2.0  "),
        None,
        ("start-line-blanks",),
    ),
    Case(
        "headers in the Request-URI",
        "RFC 4475 3.1.2.11",
        "invalid",
        message(b"INVITE sip:bob@example.net?Route=%3Csip:example.com%3E SIP/2.0"),
        400,
        ("request-uri-headers",),
    ),
    Case(
        "Date in another zone",
        "RFC 4475 3.1.2.12",
        "invalid",
        message(INVITE, b"Date: Fri, 01 Jan 2010 16:00:00 EST"),
        None,
        ("date",),
    ),
    Case(
        "question mark outside angle brackets",
        "RFC 4475 3.1.2.13",
        "invalid",
        message(REGISTER, b"Contact: sip:bob@example.com?Route=%3Csip:sip.example.com%3E"),
        400,
        ("uri-needs-brackets",),
    ),
    Case(
        "blanks inside angle brackets",
        "RFC 4475 3.1.2.14",
        "invalid",
        message(OPTIONS, b'To: "Watt, Tom" < sip:t.watt@example.org >'),
        400,
        ("uri-blanks",),
    ),
    Case(
        "comma in an unquoted display name",
        "RFC 4475 3.1.2.15",
        "invalid",
        message(OPTIONS, b"From: Bel, Alex <sip:a.bel@example.com>;tag=43")[:-2],
        400,
        ("display-name-comma",),
    ),
    Case(
        "unknown version",
        "RFC 4475 3.1.2.16",
        "invalid",
        message(b"OPTIONS sip:bob@example.net SIP/7.0", b"Via: SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw"),
        505,
        ("version",),
    ),
    Case(
        "CSeq of another known method",
        "RFC 4475 3.1.2.17",
        "invalid",
        message(OPTIONS, b"CSeq: 8 INVITE"),
        400,
        ("cseq-method",),
    ),
    Case(
        "CSeq of another method, unknown request",
        "RFC 4475 3.1.2.18",
        "invalid",
        message(b"NEWMETHOD sip:bob@example.net SIP/2.0", b"CSeq: 8 INVITE"),
        400,
        ("cseq-method",),
    ),
    Case(
        "status code of ten digits",
        "RFC 4475 3.1.2.19",
        "invalid",
        message(b"SIP/2.0 4294967301 better not break"),
        None,
        ("status-code",),
    ),
    # RFC 4475 3.2 to 3.4: above the parser
    Case(
        "branch that is nothing but the cookie",
        "RFC 4475 3.2.1",
        "valid_syntax",
        message(OPTIONS, b"Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"),
        None,
        ("branch-empty",),
    ),
    Case(
        "no Call-ID, From and To",
        "RFC 4475 3.3.1",
        "invalid",
        message(INVITE, b"Call-ID:", b"From:", b"To:"),
        400,
        ("no-call-id", "no-from", "no-to"),
    ),
    Case(
        "unknown scheme in the Request-URI",
        "RFC 4475 3.3.2",
        "valid_syntax",
        message(b"OPTIONS nobodyKnowsThis:opaque SIP/2.0"),
        416,
    ),
    Case(
        "known scheme that is no SIP",
        "RFC 4475 3.3.3",
        "valid_syntax",
        message(b"OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0"),
        416,
    ),
    Case(
        "unknown schemes in header fields",
        "RFC 4475 3.3.4",
        "valid_syntax",
        message(
            REGISTER, b"To: isbn:2983792873", b"From: <http://www.example.com>;tag=32", b"Contact: <name:John_Smith>"
        ),
    ),
    Case(
        "extensions nobody supports",
        "RFC 4475 3.3.5",
        "valid_syntax",
        message(OPTIONS, b"Require: noneSuch, noneSuchEither", b"Proxy-Require: noProxySuch"),
        420,
    ),
    Case(
        "unknown content type",
        "RFC 4475 3.3.6",
        "valid_syntax",
        message(INVITE, b"Content-Type: application/unknownformat", body=b"<audio>\r\n</audio>\r\n"),
    ),
    Case(
        "unknown authorization scheme",
        "RFC 4475 3.3.7",
        "valid_syntax",
        message(REGISTER, b"Authorization: NoOneKnowsThisScheme opaque-data=here"),
    ),
    Case(
        "single-value fields twice",
        "RFC 4475 3.3.8",
        "invalid",
        message(INVITE).replace(b"Contact:", b"CSeq: 59 INVITE\r\nTo: sip:other@example.net\r\nContact:"),
        400,
        ("required-repeated",),
    ),
    Case(
        "Content-Lengths that differ",
        "RFC 4475 3.3.9",
        "invalid",
        message(OPTIONS, b"Content-Length: 13").replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\nThere's no way"),
        400,
        ("content-length-conflict",),
    ),
    Case(
        "response by way of the broadcast address",
        "RFC 4475 3.3.10",
        "valid_syntax",
        message(
            OK,
            b"Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923, SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23",
        ),
        None,
        ("via-broadcast",),
    ),
    Case("Max-Forwards of zero", "RFC 4475 3.3.11", "valid_syntax", message(OPTIONS, b"Max-Forwards: 0")),
    Case(
        "Contact parameter outside brackets",
        "RFC 4475 3.3.12",
        "valid_syntax",
        message(REGISTER, b"Contact: sip:+19725552222@gw1.example.net;unknownparam"),
    ),
    Case(
        "URI parameter inside brackets",
        "RFC 4475 3.3.13",
        "valid_syntax",
        message(REGISTER, b"Contact: <sip:+19725552222@gw1.example.net;unknownparam>"),
    ),
    Case(
        "escaped Route in a Contact",
        "RFC 4475 3.3.14",
        "valid_syntax",
        message(REGISTER, b"Contact: <sip:bob@example.com?Route=%3Csip:sip.example.com%3E>"),
    ),
    Case(
        "Accept without SDP",
        "RFC 4475 3.3.15",
        "valid_syntax",
        message(INVITE, b"Accept: text/nobodyKnowsThis", IS_SDP, body=SDP),
    ),
    Case(
        "INVITE of RFC 2543",
        "RFC 4475 3.4.1",
        "valid_syntax",
        message(
            INVITE,
            b"Via: SIP/2.0/UDP iftgw.example.com",
            b"From: <sip:+13035551111@ift.example.net;user=phone>",
            b"Record-Route: <sip:bob@example.com;maddr=ss1.example.com>",
            b"To: sip:+16505552222@ss1.example.net;user=phone",
            b"Max-Forwards:",
            b"Content-Length:",
            b"Contact:",
            IS_SDP,
            body=SDP,
        ),
        None,
        ("no-branch", "no-from-tag", "no-max-forwards"),
    ),
    # RFC 5118: IPv6
    Case(
        "IPv6 references",
        "RFC 5118 4.1",
        "valid",
        message(
            b"REGISTER sip:[2001:db8::10] SIP/2.0",
            b"Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111",
            b'Contact: "Caller" <sip:caller@[2001:db8::1]>',
        ),
    ),
    Case(
        "IPv6 address without brackets",
        "RFC 5118 4.2",
        "invalid",
        message(b"REGISTER sip:2001:db8::10 SIP/2.0"),
        400,
        ("ipv6-bare",),
    ),
    Case(
        "port that is part of the address",
        "RFC 5118 4.3",
        "valid",
        message(b"REGISTER sip:[2001:db8::10:5070] SIP/2.0"),
    ),
    Case("port behind the brackets", "RFC 5118 4.4", "valid", message(b"REGISTER sip:[2001:db8::10]:5070 SIP/2.0")),
    Case(
        "received in brackets",
        "RFC 5118 4.5",
        "valid",
        message(OPTIONS, b"Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3"),
    ),
    Case(
        "received without brackets",
        "RFC 5118 4.5",
        "valid",
        message(OPTIONS, b"Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3"),
    ),
    Case(
        "IPv6 in the session description",
        "RFC 5118 4.6",
        "valid",
        message(
            b"INVITE sip:bob@[2001:db8::10] SIP/2.0",
            b"Contact: <sip:alice@[2001:db8::20]>",
            IS_SDP,
            body=b"v=0\r\no=a 9 9 IN IP6 2001:db8::20\r\ns=-\r\nc=IN IP6 2001:db8::20\r\n"
            b"t=0 0\r\nm=audio 6000 RTP/AVP 0\r\n",
        ),
    ),
    Case(
        "session description shorter than promised, as in the RFC itself",
        "RFC 5118 4.6",
        "valid",
        message(INVITE, IS_SDP, b"Content-Length: %d" % (len(SDP) + 17), body=SDP),
        None,
        ("body-miscounted",),
    ),
    Case(
        "IPv4 and IPv6 in the Vias",
        "RFC 5118 4.7",
        "valid",
        message(
            b"BYE sip:bob@host.example.net SIP/2.0",
            b"Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjh,"
            b" SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200",
        ),
    ),
    Case(
        "IPv4 and IPv6 in the session description",
        "RFC 5118 4.8",
        "valid",
        message(
            INVITE,
            IS_SDP,
            body=b"v=0\r\no=bob 2 2 IN IP4 192.0.2.1\r\ns=-\r\n"
            b"t=0 0\r\nm=audio 22334 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n"
            b"m=video 6024 RTP/AVP 107\r\nc=IN IP6 2001:db8::1\r\n",
        ),
    ),
    Case(
        "IPv4-mapped IPv6",
        "RFC 5118 4.9",
        "valid",
        message(
            INVITE,
            b"Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19",
            b'Contact: "T. desk" <sip:alice@[::ffff:192.0.2.10]:19823>',
            IS_SDP,
            body=b"v=0\r\no=a 9 9 IN IP6 ::ffff:192.0.2.2\r\ns=-\r\nc=IN IP6 ::ffff:192.0.2.2\r\n"
            b"t=0 0\r\nm=audio 6000 RTP/AVP 0\r\n",
        ),
    ),
    Case(
        "IPv6 with an IPv4 tail, two colons",
        "RFC 5118 4.10",
        "valid",
        message(b"OPTIONS sip:bob@[2001:db8::192.0.2.1] SIP/2.0", b"To: sip:bob@[2001:db8::192.0.2.1]"),
    ),
    Case(
        "IPv6 with an IPv4 tail, three colons",
        "RFC 5118 4.10",
        "valid",
        message(b"OPTIONS sip:bob@[2001:db8:::192.0.2.1] SIP/2.0", b"To: sip:bob@[2001:db8:::192.0.2.1]"),
        None,
        ("ipv6-three-colons",),
    ),
)
