"""Conversations: who is answered, with what, and what happens when they go on."""

import hashlib
import re

import pytest

from relaytrap.sensor.personas import persona_names
from tests.sensor.talk import LOCAL, SOURCE, Talk, invite, request, response, statuses

REGISTER = {"uri": "sip:203.0.113.9", "extra": ("Expires: 3600",)}


def existing_user(talk: Talk, *, weak: bool = True) -> str:
    """A user that this installation has, with a password that can (or cannot) be guessed."""
    for number in (*range(100, 300), *range(1000, 1100), *range(2000, 2020)):
        password = talk.engine.persona.password(str(number).encode())
        if password is not None and bool(password) is weak:
            return str(number)
    raise AssertionError("this seed gives no such user")


def credentials(
    challenge: bytes, user: str, password: str, method: str = "REGISTER", uri: str = "sip:203.0.113.9"
) -> str:
    """An Authorization header that answers a challenge without qop."""
    realm, nonce = (re.search(rb'%b="([^"]*)"' % name, challenge)[1].decode() for name in (b"realm", b"nonce"))
    secret = hashlib.md5(f"{user}:{realm}:{password}".encode()).hexdigest()
    what = hashlib.md5(f"{method}:{uri}".encode()).hexdigest()
    digest = hashlib.md5(f"{secret}:{nonce}:{what}".encode()).hexdigest()
    return f'Authorization: Digest username="{user}",realm="{realm}",nonce="{nonce}",uri="{uri}",response="{digest}"'


@pytest.mark.parametrize("name", persona_names())
def test_options_is_answered_200_whatever_the_persona(name: str) -> None:
    talk = Talk(name)
    answers = talk.receive(request(extra=("Subject: " + "x" * 600,))) + talk.wait(1)
    answer = response(answers[0])
    assert (answer.status_code, len(answers)) == (200, 1)
    assert answer.call_id == b"61127078793469957194131"
    assert answer.headers.get(b"cseq") == b"1 OPTIONS"
    assert answer.to_tag
    assert b"Relaytrap" not in answer.raw


@pytest.mark.parametrize("name", ["asterisk", "freepbx", "cisco", "sbc"])
def test_options_tells_what_the_device_can_do_when_the_request_is_long_enough(name: str) -> None:
    talk = Talk(name)
    answers = talk.receive(request(extra=("Subject: " + "x" * 900,))) + talk.wait(1)
    answer = response(answers[0])
    assert {b"allow", b"accept", b"supported", b"server"} <= set(answer.headers.canonical_names())


def test_answer_copies_every_via_and_stamps_the_topmost() -> None:
    top = "SIP/2.0/UDP relay.example:5070;branch=z9hG4bK-a;rport;received=192.0.2.1"
    answer = Talk().ask(request(via=f"{top}\r\nv: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK-b"), port=31337)
    top, second = answer.vias
    assert (top.received, top.rport, top.branch) == (SOURCE.encode(), 31337, b"z9hG4bK-a")
    assert answer.raw.count(b"received=") == 1
    assert (second.raw, answer.via_count) == (b"SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK-b", 2)


def test_hops_joined_by_commas_stay_together_and_only_the_first_is_stamped() -> None:
    answer = Talk().ask(request(via="SIP/2.0/UDP a.example;branch=z9hG4bK-a , SIP/2.0/UDP b.example;branch=z9hG4bK-b"))
    assert [via.received for via in answer.vias] == [SOURCE.encode(), None]


def test_answer_goes_to_the_source_port_even_without_rport_and_with_maddr() -> None:
    data = request(via="SIP/2.0/UDP 192.0.2.66:53;branch=z9hG4bK-x;maddr=192.0.2.77")
    (answer,) = Talk().receive(data, port=40000)
    assert (answer.flow.source, answer.flow.source_port) == (SOURCE, 40000)


def test_retransmission_gets_the_same_bytes_again() -> None:
    talk = Talk()
    first, second = talk.receive(request()), talk.receive(request())
    assert first == second != []


def test_same_request_an_hour_later_gets_another_tag_and_nonce() -> None:
    talk = Talk("asterisk")
    data = request("REGISTER", user=existing_user(talk), **REGISTER)
    first = talk.ask(data)
    talk.wait(3600)
    second = talk.ask(data)
    assert first.to_tag != second.to_tag
    assert first.challenges[0].get(b"nonce") != second.challenges[0].get(b"nonce")


def test_same_branch_from_another_source_is_another_request() -> None:
    talk = Talk()
    talk.receive(request(branch="foo", via="SIP/2.0/UDP nm;branch=foo;rport"))
    (answer,) = talk.receive(request(via="SIP/2.0/UDP nm;branch=foo;rport"), source="198.51.100.8")
    assert answer.flow.source == "198.51.100.8"


def test_challenges_carry_fresh_nonces() -> None:
    talk = Talk("freepbx")
    challenges = [
        talk.ask(request("REGISTER", branch=f"z9hG4bK-{i}", **REGISTER)).headers.get(b"www-authenticate")
        for i in range(3)
    ]
    assert len({re.search(rb'nonce="([^"]+)"', each)[1] for each in challenges}) == 3


def test_wrong_password_is_refused_in_the_persona_s_words() -> None:
    talk = Talk("asterisk")
    user = existing_user(talk, weak=False)
    challenge = talk.ask(request("REGISTER", user=user, **REGISTER))
    assert (challenge.status_code, challenge.reason_phrase) == (401, b"Unauthorized")
    header = credentials(challenge.headers.get(b"www-authenticate"), user, "1234")
    refused = talk.ask(
        request("REGISTER", user=user, branch="z9hG4bK-2", cseq=2, uri="sip:203.0.113.9", extra=(header,))
    )
    assert (refused.status_code, refused.reason_phrase) == (403, b"Forbidden")


def test_credentials_for_another_server_do_not_hide_those_for_this_one() -> None:
    talk = Talk("asterisk")
    user = existing_user(talk)
    challenge = talk.ask(request("REGISTER", user=user, **REGISTER))
    password = talk.engine.persona.password(user.encode())
    header = credentials(challenge.headers.get(b"www-authenticate"), user, password)
    other = header.replace('nonce="', 'nonce="no').replace('realm="', 'realm="other ')
    for number, extra in enumerate(((other, header), (header, other))):
        data = request("REGISTER", user=user, branch=f"z9hG4bK-b{number}", uri="sip:203.0.113.9", extra=extra)
        assert talk.ask(data).status_code == 200


def test_guessed_password_registers() -> None:
    talk = Talk("asterisk")
    user = existing_user(talk)
    challenge = talk.ask(request("REGISTER", user=user, **REGISTER))
    password = talk.engine.persona.password(user.encode())
    header = credentials(challenge.headers.get(b"www-authenticate"), user, password)
    answer = talk.ask(
        request(
            "REGISTER", user=user, branch="z9hG4bK-2", cseq=2, uri="sip:203.0.113.9", extra=(header, "Expires: 600")
        )
    )
    assert answer.status_code == 200
    assert answer.headers.get(b"contact") == f"<sip:{user}@198.51.100.7:5060>;expires=600".encode()


def test_nonce_that_was_never_given_is_challenged_anew_and_stale_when_the_digest_is_right() -> None:
    talk = Talk("asterisk")
    user = existing_user(talk)
    password = talk.engine.persona.password(user.encode())
    header = credentials(b'Digest realm="asterisk", nonce="00000000"', user, password)
    answer = talk.ask(request("REGISTER", user=user, uri="sip:203.0.113.9", extra=(header, "Subject: " + "x" * 300)))
    assert answer.status_code == 401
    assert b"stale=true" in answer.headers.get(b"www-authenticate")


def test_unknown_extension_is_told_apart_by_an_old_asterisk_and_not_by_a_freepbx() -> None:
    old, new = Talk("asterisk"), Talk("freepbx")
    assert old.ask(request("REGISTER", user="90001", **REGISTER)).status_code == 404
    assert new.ask(request("REGISTER", user="90001", **REGISTER)).status_code == 401


def test_open_gateway_rings_and_then_refuses_an_unproven_source() -> None:
    talk = Talk("cisco")
    first = talk.receive(invite(extra=("Content-Type: application/sdp", "Subject: " + "x" * 400)))
    assert statuses(first) == [100]
    later = talk.wait(30)
    assert statuses(later) == [180, 503]
    assert len({response(each).to_tag for each in later}) == 1
    assert response(later[0]).to_tag


def test_short_invite_of_an_unproven_source_hears_it_ring_if_nothing_else() -> None:
    talk = Talk("cisco")
    assert statuses(talk.receive(request("INVITE", uri="sip:900442012345678@203.0.113.9")) + talk.wait(30)) == [180]


def test_open_gateway_answers_a_connected_source_without_offering_sound() -> None:
    talk = Talk("cisco")
    assert statuses(talk.receive(invite(), transport="tcp")) == [100]
    ringing, answered = [response(each) for each in talk.wait(14)[:2]]
    assert (ringing.status_code, answered.status_code) == (180, 200)
    assert answered.sdp is not None
    assert answered.sdp.media[0].formats == (b"0", b"8", b"101")
    assert answered.sdp.lines[-1] == (b"a", b"inactive")
    assert answered.sdp.connection == LOCAL.encode()


def test_200_is_repeated_until_the_ack_and_bye_ends_the_call() -> None:
    talk = Talk("cisco")
    talk.receive(invite(), transport="tcp")
    answers = talk.wait(20)
    answered = [response(each) for each in answers if response(each).status_code == 200]
    assert len(answered) > 1
    tag = answered[0].to_tag.decode()
    user = "900442012345678"
    dialog = {"uri": f"sip:{user}@203.0.113.9", "to_tag": tag}
    assert talk.receive(request("ACK", branch="z9hG4bK-ack", **dialog), transport="tcp") == []
    assert talk.wait(20) == []
    bye = request("BYE", branch="z9hG4bK-bye", cseq=2, **dialog)
    assert statuses(talk.receive(bye, transport="tcp") + talk.wait(1)) == [200]
    again = request("BYE", branch="z9hG4bK-bye2", cseq=3, **dialog)
    assert statuses(talk.receive(again, transport="tcp") + talk.wait(1)) == [481]


def test_cancel_is_answered_and_ends_the_ringing_with_487() -> None:
    talk = Talk("cisco")
    talk.receive(invite(branch="z9hG4bK-c"), transport="tcp")
    cancel = request("CANCEL", uri="sip:900442012345678@203.0.113.9", branch="z9hG4bK-c")
    answers = [response(each) for each in talk.receive(cancel, transport="tcp") + talk.wait(1)]
    assert sorted((each.status_code, each.headers.get(b"cseq")) for each in answers) == [
        (200, b"1 CANCEL"),
        (487, b"1 INVITE"),
    ]
    assert all(code not in (180, 200) for code in statuses(talk.wait(30)))


def test_cancel_that_matches_nothing_is_481() -> None:
    assert Talk().ask(request("CANCEL")).status_code == 481


def test_ack_is_never_answered() -> None:
    assert Talk().receive(request("ACK")) == []


def test_refused_invite_is_acknowledged_and_the_ack_proves_the_source() -> None:
    talk = Talk("asterisk")
    long = invite(extra=("Subject: " + "x" * 400,))
    refused = talk.ask(long)
    assert refused.status_code == 401
    ack = request("ACK", uri="sip:900442012345678@203.0.113.9", to_tag=refused.to_tag.decode())
    assert talk.receive(ack) == []
    answer = talk.ask(request(branch="z9hG4bK-after"))
    assert len(answer.raw) > len(request(branch="z9hG4bK-after")), "a proven source gets the full form"


def test_request_in_a_dialog_that_never_was_gets_481() -> None:
    answer = Talk().ask(request("BYE", to_tag="as00000000"))
    assert answer.status_code == 481
    assert answer.to_tag == b"as00000000"


@pytest.mark.parametrize(("name", "status"), [("asterisk", 501), ("kamailio", 404), ("cisco", 501), ("sbc", 501)])
def test_unknown_method(name: str, status: int) -> None:
    talk = Talk(name)
    assert statuses(talk.receive(request("FROBNICATE")) + talk.wait(1)) == [status]


def test_spent_hops_stop_a_proxy_and_not_a_pbx() -> None:
    spent = request().replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
    assert Talk("kamailio").ask(spent).status_code == 483
    assert Talk("asterisk").ask(spent).status_code == 200


def test_malformed_request_gets_400_where_the_product_looks() -> None:
    broken = request().replace(b"CSeq: 1 ", b"CSeq: x ")
    assert Talk("kamailio").ask(broken).status_code == 400
    cisco = Talk("cisco")
    assert statuses(cisco.receive(broken) + cisco.wait(1)) == [400]


@pytest.mark.parametrize(
    ("written", "instead", "reason"),
    [
        (b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE", b"CSeq method does not match request method"),
        (b"CSeq: 1 OPTIONS", b"CSeq: 4294967296 OPTIONS", b"CSeq number is illegal"),
        (b"Length: 0", b"Length: 7", b"Content-Length mis-match"),
        (b"OPTIONS sip:100@203.0.113.9 SIP", b"INVITE <sip:100@203.0.113.9> SIP", b"Bad Request URI"),
        (b"Length: 0", b"Length: -7", None),
        (b"Call-ID:", b"Call-ID: 1\r\nCall-ID:", None),
        (b'To: "100"', b'To: "100', None),
        (b"<sip:100@198.51.100.7:5060>", b"*", b"OK"),
    ],
)
def test_kamailio_tells_what_is_wrong_in_its_own_words_or_keeps_silent(
    written: bytes, instead: bytes, reason: bytes | None
) -> None:
    """As the real 5.6.3 does with its default configuration."""
    answers = Talk("kamailio").receive(request().replace(written, instead, 1))
    assert [response(answer).reason_phrase for answer in answers] == ([reason] if reason else [])


def test_unknown_version_gets_505_where_the_product_looks_and_silence_elsewhere() -> None:
    other = request().replace(b" SIP/2.0\r\nVia", b" SIP/7.0\r\nVia")
    assert Talk("sbc").ask(other).status_code == 505
    assert Talk("kamailio").receive(other) == []


def test_required_extension_nobody_knows_gets_420_with_its_name() -> None:
    answer = Talk("asterisk").ask(request(extra=("Require: nothingSupportsThis", "Subject: " + "x" * 200)))
    assert (answer.status_code, answer.headers.get(b"unsupported")) == (420, b"nothingSupportsThis")


@pytest.mark.parametrize("name", ["asterisk", "freepbx", "cisco", "sbc"])
def test_extension_that_a_product_says_it_supports_is_never_refused(name: str) -> None:
    long = "Subject: " + "x" * 900
    talk = Talk(name)
    told = response((talk.receive(request(extra=(long,))) + talk.wait(1))[0])
    for tag in told.headers.get(b"supported").decode().split(","):
        data = request(branch=f"z9hG4bK-{tag.strip()}", extra=(f"Require: {tag.strip().upper()}", long))
        assert statuses(talk.receive(data) + talk.wait(1)) == [200], tag


@pytest.mark.parametrize("name", ["asterisk", "cisco", "sbc"])
def test_only_the_extensions_that_a_product_lacks_are_named(name: str) -> None:
    supported = Talk(name).engine.persona.headers["Supported"].split(",")[0]
    talk, extra = Talk(name), (f"Require: {supported}, x-none", "Proxy-Require: y", "Subject: " + "x" * 900)
    (answer,) = talk.receive(request(extra=extra)) + talk.wait(1)
    assert response(answer).headers.get(b"unsupported") == b"x-none"


def test_persona_refuses_what_its_product_dislikes_though_the_rfc_lets_it_pass() -> None:
    long = "Subject: " + "x" * 300
    kamailio = Talk("kamailio")
    assert kamailio.receive(request(extra=("no colon", long))) == []
    assert kamailio.ask(request(extra=(long,)) + b"more").reason_phrase == b"Content-Length mis-match"
    assert kamailio.ask(request(extra=("X-Header: y", long))).status_code == 200


def test_first_dislike_in_the_persona_s_file_decides() -> None:
    cut = request(extra=("Subject: " + "x" * 300,))[:-30]  # the header part has no end, and is cut as well
    assert Talk("kamailio").receive(cut) == []


@pytest.mark.parametrize("method", ["MESSAGE", "INFO", "UPDATE", "PRACK", "REFER", "FROBNICATE"])
def test_pjsip_challenges_a_stranger_whatever_he_asks(method: str) -> None:
    data = request(method, extra=("Subject: " + "x" * 300, "Require: unheard-of"))
    assert Talk("freepbx").ask(data).status_code == 401


def test_pjsip_drops_what_its_parser_cannot_read() -> None:
    long = "Subject: " + "x" * 300
    unreadable = [
        request("REGISTER", extra=(long,)).replace(b'To: "100"', b'To: "100'),
        request("REGISTER", extra=(long,)).replace(b"CSeq: 1 ", b"CSeq: x "),
        request("REGISTER", extra=(long,)).replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"),
    ]
    assert [Talk("freepbx").receive(data) for data in unreadable] == [[], [], []]
    miscounted = request("REGISTER", extra=(long,)).replace(b"Length: 0", b"Length: 70")
    assert Talk("freepbx").ask(miscounted).status_code == 401


@pytest.mark.parametrize("missing", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_request_that_cannot_be_answered_properly_is_not_answered(missing: str) -> None:
    data = re.sub(rb"\r\n%b: [^\r]*" % missing.encode(), b"", request(), count=1)
    for name in persona_names():
        talk = Talk(name)
        assert talk.receive(data) + talk.wait(1) == []


def test_response_is_never_answered() -> None:
    talk = Talk()
    (answer,) = talk.receive(request())
    assert talk.receive(answer.data) == []


@pytest.mark.parametrize("data", [b"", b"\r\n\r\n", b"\x00", b"jaK\x00", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 1400])
def test_what_is_no_sip_is_not_answered(data: bytes) -> None:
    assert Talk().receive(data) == []


@pytest.mark.parametrize("port", [0, 7, 19, 53, 123, 1900])
def test_ports_that_reflect_are_not_answered(port: int) -> None:
    assert Talk().receive(request(), port=port) == []


@pytest.mark.parametrize("source", ["224.0.0.1", "255.255.255.255", "0.0.0.0", "240.0.0.1", "ff02::1", "::"])
def test_addresses_of_no_single_host_are_not_answered(source: str) -> None:
    assert Talk().receive(request(), source=source) == []


@pytest.mark.parametrize("source", ["127.0.0.1", "10.1.2.3", "::1", "fe80::1", "2001:db8::5"])
def test_loopback_private_and_ipv6_sources_are_answered(source: str) -> None:
    answer = Talk().ask(request(), source=source)
    assert answer.vias[0].received == source.encode()


def test_sensor_does_not_talk_to_itself() -> None:
    talk = Talk()
    talk.engine.own_ports = frozenset({5060})
    assert talk.receive(request(), source=LOCAL, port=5060) == []
    assert talk.receive(request(branch="z9hG4bK-2"), source=LOCAL, port=5061) != []


def test_record_route_comes_back_in_what_makes_a_dialog() -> None:
    talk = Talk("cisco")
    routed = invite(
        extra=("Record-Route: <sip:192.0.2.1;lr>", "Content-Type: application/sdp", "Subject: " + "x" * 300)
    )
    first = response(talk.receive(routed, transport="tcp")[0])
    ringing = response(talk.wait(5)[0])
    assert b"record-route" not in first.headers
    assert ringing.headers.get(b"record-route") == b"<sip:192.0.2.1;lr>"


def test_reinvite_inside_a_call_is_answered_with_the_call_s_tag() -> None:
    talk = Talk("cisco")
    talk.receive(invite(), transport="tcp")
    tag = next(response(each).to_tag for each in talk.wait(14) if response(each).status_code == 200)
    again = invite(branch="z9hG4bK-re", cseq=2, to_tag=tag.decode(), uri="sip:203.0.113.9")
    answers = [response(each) for each in talk.receive(again, transport="tcp") + talk.wait(0.1)]
    (answer,) = [each for each in answers if each.headers.get(b"cseq") == b"2 INVITE"]
    assert (answer.status_code, answer.to_tag) == (200, tag)


def test_pjsip_repeats_the_branch_as_its_tag_outside_a_dialog() -> None:
    answer = Talk("freepbx").ask(request(branch="z9hG4bK.8RiLA5Cnw"))
    assert answer.to_tag == b"z9hG4bK.8RiLA5Cnw"


@pytest.mark.parametrize(("name", "param"), [("asterisk", b";transport=TCP"), ("sbc", b";transport=tcp")])
def test_contact_names_the_transport_but_for_udp(name: str, param: bytes) -> None:
    data = request(extra=("Subject: " + "x" * 300,))
    (over_udp,), (over_tcp,) = Talk(name).receive(data), Talk(name).receive(data, transport="tcp")
    assert b"\r\nContact: <sip:100@203.0.113.9:5060>\r\n" in over_udp.data
    assert b"\r\nContact: <sip:100@203.0.113.9:5060%b>\r\n" % param in over_tcp.data


def test_kamailio_copies_lines_in_the_request_s_order_and_spelling() -> None:
    data = request().replace(b"\r\nFrom:", b"\r\nFROM:").replace(b"\r\nTo:", b"\r\nt:")
    names = Talk("kamailio").ask(data).headers.names()
    assert names[:5] == (b"Via", b"t", b"FROM", b"Call-ID", b"CSeq")


def test_kamailio_copies_blanks_and_folds_of_what_it_copies() -> None:
    data = (
        request(extra=("Subject: " + "x" * 300,))
        .replace(b"Call-ID: ", b"Call-ID:\t")
        .replace(b'"100" <', b'"100"\r\n <')
    )
    (answer,) = Talk("kamailio").receive(data)
    assert b"\r\nCall-ID:\t6112" in answer.data
    assert b'\r\nTo: "100"\r\n <sip:100@203.0.113.9>;tag=' in answer.data


@pytest.mark.parametrize("name", persona_names())
def test_empty_to_tag_is_no_tag(name: str) -> None:
    talk, data = Talk(name), request(extra=("Subject: " + "x" * 300,))
    (answer,) = talk.receive(data.replace(b"113.9>\r\nFrom", b"113.9>;tag=\r\nFrom")) + talk.wait(1)
    assert answer.data.startswith(b"SIP/2.0 200 ")
    assert re.search(rb"\r\nTo: [^\r]*;tag=[^;\r]+", answer.data)


def test_cisco_writes_the_date_of_its_own_clock() -> None:
    talk = Talk("cisco")
    (answer,) = talk.receive(request(extra=("Subject: " + "x" * 300,))) + talk.wait(1)
    assert response(answer).headers.get(b"date") == b"Thu, 01 Jan 2026 00:16:40 GMT"


def test_held_back_answer_is_given_when_the_request_comes_again() -> None:
    """Credit of two datagrams carries what that of one did not."""
    talk = Talk("asterisk")
    short = (
        b"REGISTER sip:a SIP/2.0\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\nf: <sip:100@a>;tag=1\r\nt: <sip:100@a>\r\n"
        b"i: 1\r\nCSeq: 1 REGISTER\r\n\r\n"
    )
    assert talk.receive(short) == []
    assert len(talk.receive(short) or talk.receive(short)) == 1


def test_nothing_is_the_same_in_two_installations() -> None:
    def fingerprint(seed: str) -> tuple[object, ...]:
        talk = Talk("kamailio", seed=seed)
        answer = talk.ask(request("REGISTER", uri="sip:203.0.113.9", extra=("Subject: " + "x" * 200,)))
        tag = answer.to_tag.partition(b".")[0]
        return tag, answer.headers.get(b"server"), re.search(rb'realm="([^"]*)"', answer.raw)[1]

    seen = [fingerprint(f"installation {number}") for number in range(12)]
    assert all(len(set(values)) > 1 for values in zip(*seen, strict=True))
    assert len({values[0] for values in seen}) == 12


def test_request_held_back_for_its_source_s_budget_is_answered_when_it_comes_again() -> None:
    talk = Talk(source_bytes_per_s=30)
    refused = talk.ask(invite())
    talk.receive(request("ACK", uri="sip:900442012345678@203.0.113.9", to_tag=refused.to_tag.decode()))
    number = 0
    while talk.receive(request(branch=f"z9hG4bK-{number}")):  # a proven source: each is a transaction
        number += 1
    talk.wait(20)
    assert statuses(talk.receive(request(branch=f"z9hG4bK-{number}"))) == [200]
