"""What a honeypot hears all day: requests in the manner of well-known scanners, and datagrams that are not SIP."""

import string

from messages import Shot, request, session


def scanner_of_old(shot: Shot) -> bytes:
    """OPTIONS in the header order of SIPVicious builds before 0.3."""
    target = "".join(f"{int(part):02x}" for part in shot.target.split(".")) + "13c4"
    tag = (target.encode() + b"\x01" + shot.digits(34).encode()).hex()
    lines = [
        f"Via: SIP/2.0/UDP {shot.source}:{shot.port};branch=z9hG4bK-{shot.digits(32)};rport",
        "Content-Length: 0",
        f'From: "sipvicious"<sip:100@1.1.1.1>; tag={tag}',
        "Accept: application/sdp",
        f"User-Agent: {shot.rng.choice(('friendly-scanner', 'friendly-scanner', 'sundayddr'))}",
        'To: "sipvicious"<sip:100@1.1.1.1>',
        f"Contact: sip:100@{shot.source}:{shot.port}",
        "CSeq: 1 OPTIONS",
        f"Call-ID: {shot.digits(80)}",
        "Max-Forwards: 70",
        "",
        "",
    ]
    return "\r\n".join([f"OPTIONS sip:100@{shot.target} SIP/2.0", *lines]).encode()


def pen_test_suite(shot: Shot) -> bytes:
    """OPTIONS of a penetration-test suite: a branch of 71 characters without the cookie, thirteen methods allowed."""
    lines = [
        f"Via: SIP/2.0/UDP {shot.at_source};branch={shot.word(71)};rport",
        f"From: <sip:100@{shot.at_target}>;tag={shot.hex(8)}",
        f"To: <sip:100@{shot.at_target}>",
        f"Contact: <sip:100@{shot.at_source};transport=udp>;expires=120",
        f"Call-ID: {shot.hex(32)}",
        "CSeq: 1 OPTIONS",
        "Max-Forwards: 70",
        "User-Agent: pplsip",
        "Allow: INVITE, REGISTER, ACK, CANCEL, BYE, NOTIFY, REFER, OPTIONS, INFO, SUBSCRIBE, UPDATE, PRACK, MESSAGE",
        "Accept: application/sdp, application/dtmf-relay",
    ]
    return request("OPTIONS", f"sip:100@{shot.at_target}", lines)


def command_line_caller(shot: Shot) -> bytes:
    """INVITE in the order and with the session name of a well-known command-line caller."""
    uri = f"sip:{shot.user}@{shot.at_target}"
    lines = [
        f"To: <{uri}>",
        f"From: 8001<sip:8001@{shot.at_target}>;tag={shot.hex(8)}",
        f"Via: SIP/2.0/UDP {shot.at_source};branch=z9hG4bK-{shot.hex(32)};rport",
        f"Call-ID: {shot.hex(32)}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:8001@{shot.at_source}>",
        "Max-Forwards: 70",
        "Allow: INVITE, ACK, CANCEL, BYE",
        "User-Agent: sipcli/v1.8",
        "Content-Type: application/sdp",
    ]
    owner = f"sipcli-Session {shot.digits()} {shot.digits()}"
    return request("INVITE", uri, lines, session(owner, shot.source, "5072 RTP/AVP 18 0 8", "sipcli"))


def research_template(shot: Shot) -> bytes:
    """OPTIONS of an internet-wide measurement: Max-Forwards 20, no cookie in the branch."""
    branch = f"{shot.word(6, string.ascii_letters)}.{shot.rng.randrange(10**9, 10**10)}"
    lines = [
        f"Via: SIP/2.0/UDP {shot.at_source};branch={branch};rport;alias",
        f"From: sip:{shot.word(8, string.ascii_letters)}@{shot.at_source};tag={shot.hex(8)}",
        f"To: sip:{shot.word(8, string.ascii_letters)}@{shot.at_target}",
        f"Call-ID: {shot.rng.randrange(10**9)}@{shot.source}",
        "CSeq: 1 OPTIONS",
        f"Contact: sip:{shot.word(8, string.ascii_letters)}@{shot.at_source}",
        "Max-Forwards: 20",
        f"User-Agent: {shot.word(8, string.ascii_letters)}",
        "Accept: text/plain",
    ]
    return request("OPTIONS", f"sip:{shot.word(8, string.ascii_letters)}@{shot.at_target}", lines)


def windows_kit(shot: Shot) -> bytes:
    """REGISTER of a commercial kit for Windows programs."""
    lines = [
        f"Via: SIP/2.0/UDP {shot.at_source};rport;branch=z9hG4bK{shot.hex(8).upper()}",
        f"From: <sip:{shot.user}@{shot.at_target}>;tag={shot.hex(8)}",
        f"To: <sip:{shot.user}@{shot.at_target}>",
        f"Contact: <sip:{shot.user}@{shot.at_source}>",
        f"Call-ID: {shot.hex(8).upper()}-{shot.hex(16).upper()}-{shot.hex(8).upper()}@{shot.target}",
        "CSeq: 1 REGISTER",
        "Max-Forwards: 70",
        "Expires: 1800",
        "User-Agent: VaxSIPUserAgent/3.1",
    ]
    return request("REGISTER", f"sip:{shot.at_target}", lines)


def claimed_gateway(shot: Shot) -> bytes:
    """INVITE that says it is a Cisco gateway and lacks all that one would send."""
    uri = f"sip:{shot.user}@{shot.at_target}"
    lines = [
        f"Via: SIP/2.0/UDP {shot.at_source};branch=z9hG4bK{shot.digits()};rport",
        f"From: <sip:voipgw@{shot.at_source}>;tag={shot.word(10)}",
        f"To: <{uri}>",
        f"Call-ID: {shot.hex(24)}@{shot.source}",
        "CSeq: 1 INVITE",
        f"Contact: <sip:voipgw@{shot.at_source}>",
        "Max-Forwards: 70",
        "User-Agent: Cisco-SIPGateway/IOS-12.x",
        "Content-Type: application/sdp",
    ]
    return request("INVITE", uri, lines, session("- 1 1", shot.source, "17000 RTP/AVP 18 0", "SIP Call"))


def claimed_desk_phone(shot: Shot) -> bytes:
    """REGISTER under the name of a desk phone, for a user that every PBX has."""
    agent = shot.rng.choice(("Linksys-SPA942", "Yealink SIP-T54W 96.85.0.5", "Avaya one-X Deskphone", "FPBX-15.0.17"))
    lines = [
        f"Via: SIP/2.0/UDP {shot.at_source};branch=z9hG4bK-{shot.hex(8)};rport",
        "Max-Forwards: 70",
        f"From: <sip:{shot.user}@{shot.at_target}>;tag={shot.hex(16)}",
        f"To: <sip:{shot.user}@{shot.at_target}>",
        f"Call-ID: {shot.hex(8)}-{shot.hex(8)}@{shot.source}",
        f"CSeq: {shot.rng.randrange(100, 60000)} REGISTER",
        f"Contact: <sip:{shot.user}@{shot.at_source}>;expires=3600",
        f"User-Agent: {agent}",
    ]
    return request("REGISTER", f"sip:{shot.at_target}", lines)


JUNK: tuple[bytes, ...] = (
    b"\r\n\r\n",
    b"\x00\x00\x00\x00",
    b"SSH-2.0-Go\r\n",
    bytes.fromhex("000100002112a442") + bytes(range(12)),  # STUN binding request
    bytes.fromhex("1234010000010000000000000776657273696f6e0462696e640000100003"),  # DNS version.bind
    b"GET / HTTP/1.1\r\nHost: example.com\r\nUser-Agent: Mozilla/5.0 zgrab/0.x\r\n\r\n",
    bytes.fromhex("0300002f2ae00000000000") + b"Cookie: mstshash=Administr\r\n" + bytes.fromhex("0100080003000000"),
    bytes.fromhex("160301007b0100007703035b90e6a1") + bytes(64),  # the start of a TLS greeting
    b"OPTIONS / RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    bytes.fromhex("80000001000000a0deadbeef") + bytes(range(0, 160, 2)),  # RTP that strayed
)
