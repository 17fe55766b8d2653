"""The path of one message: each verdict, how far down is vouched, and what never makes a relay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.evidence.kamailio import branch_hash
from relaytrap.evidence.path import NOT_JUDGED, AddressSet, PathSetting
from relaytrap.evidence.path_rules import RULES
from relaytrap.evidence.relay import judge_path
from relaytrap.observation import Observation
from relaytrap.sip import parse_message
from tests.evidence.relays import (
    SENSOR,
    Message,
    b2bua,
    judge,
    kamailio,
    liar,
    mask,
    parsed,
    proxy,
    request,
    stripper,
    topoh,
)
from tests.property.strategies import any_message, messages

ATTACKER, RELAY, SECOND = "198.51.100.66", "203.0.113.11", "203.0.113.12"
INNOCENT = "198.51.100.200"


def through(*relays, message: Message | None = None, **given) -> tuple[Message, str]:
    """A request after some relays, and the source it comes from."""
    message = message or request(ATTACKER, "586", **given)
    source, port = ATTACKER, 5074
    for number, relay in enumerate(relays):
        address = f"203.0.113.{11 + number}"
        relay(message, address, source, port)
        source, port = address, 5060
    return message, source


def test_one_via_that_names_the_source_is_direct():
    path = judge(request(ATTACKER, "100"), ATTACKER)
    assert (path.verdict, path.relay, path.origin) == ("direct", None, None)
    assert [hop.standing for hop in path.hops] == ["fact"]


def test_one_via_with_a_private_address_is_address_translation():
    path = judge(request(ATTACKER, "100", sent_by="192.168.1.20"), ATTACKER)
    assert path.verdict == "direct"


def test_one_via_with_a_made_up_name_of_a_websocket_client_is_direct():
    assert judge(request(ATTACKER, "100", sent_by="df7jal23ls0d.invalid"), ATTACKER).verdict == "direct"


@pytest.mark.parametrize("relay", [kamailio, proxy])
def test_a_proxy_vouches_for_the_address_it_noted(relay):
    path = judge(*through(relay))
    assert (path.verdict, path.relay, path.origin, path.origin_port) == ("relayed", RELAY, ATTACKER, 5074)
    assert [(hop.standing, hop.by) for hop in path.hops] == [("fact", ""), ("vouched", RELAY)]


def test_a_genuine_branch_makes_the_relay_surer():
    assert judge(*through(kamailio)).confidence > judge(*through(proxy)).confidence


def test_a_sender_behind_address_translation_is_named_by_its_public_address():
    path = judge(*through(kamailio, sent_by="10.20.0.5"))
    assert (path.verdict, path.origin) == ("relayed", ATTACKER)


def test_a_chain_of_genuine_hops_is_followed_to_its_end():
    path = judge(*through(kamailio, kamailio, kamailio))
    assert (path.verdict, path.origin) == ("relayed", ATTACKER)
    assert path.chain == ("203.0.113.12", "203.0.113.11")
    assert path.confidence < judge(*through(kamailio)).confidence


def test_a_chain_stops_where_nothing_shows_that_the_hop_hands_on():
    path = judge(*through(proxy, proxy))
    assert (path.verdict, path.origin, path.claim) == ("relayed", "203.0.113.11", ATTACKER)
    assert [hop.standing for hop in path.hops] == ["fact", "vouched", "claim"]


def test_vias_that_the_sender_made_up_name_nobody():
    made_up = f"SIP/2.0/UDP {INNOCENT}:5060;received={INNOCENT};rport=5060;branch=z9hG4bK4f2a.{'0' * 32}.0"
    path = judge(*through(kamailio, extra=[made_up]))
    assert (path.verdict, path.origin) == ("relayed", ATTACKER)
    assert path.hops[-1].standing == "made-up"


def test_made_up_vias_name_nobody_either_when_max_forwards_is_adjusted():
    made_up = f"SIP/2.0/UDP {INNOCENT}:5060;received={INNOCENT};rport=5060;branch=z9hG4bK4f2a.{'0' * 32}.0"
    path = judge(*through(kamailio, extra=[made_up], forwards=69))
    assert path.origin == ATTACKER


@pytest.mark.parametrize("forwards", [70, 69])
def test_a_direct_sender_that_makes_up_a_via_is_forged_and_no_relay(forwards):
    made_up = f"SIP/2.0/UDP {INNOCENT}:5060;received={INNOCENT};rport=5060;branch=z9hG4bK4f2a.{'0' * 32}.0"
    path = judge(request(ATTACKER, "100", extra=[made_up], forwards=forwards), ATTACKER)
    assert (path.verdict, path.relay, path.origin) == ("forged", None, None)


def test_a_made_up_via_without_a_note_of_its_sender_is_forged():
    message = request(
        ATTACKER, "100", branch="z9hG4bKforged", extra=["SIP/2.0/UDP 8.8.8.8:5060;branch=z9hG4bK951917159"]
    )
    assert judge(message, ATTACKER).verdict == "forged"


def genuine_branch(message: Message) -> str:
    return f"z9hG4bK{branch_hash(message.get('Call-ID').encode(), b'1').decode()}.{'0' * 32}.0"


@pytest.mark.parametrize("route", ["", f"<sip:{ATTACKER};lr>"])
def test_a_scanner_hands_nothing_on_however_honest_the_rest_looks(route):
    message = request(ATTACKER, "100", forwards=69)
    message.vias.append(f"SIP/2.0/UDP {INNOCENT};received={INNOCENT};rport=5060;branch={genuine_branch(message)}")
    message.headers += [("Record-Route", route)] if route else []
    assert judge(message, ATTACKER).verdict == "forged"


def test_an_imitated_hash_on_top_is_forged_however_honest_the_rest_looks():
    extra = [f"SIP/2.0/UDP {INNOCENT}:5060;received={INNOCENT};rport=5060;branch=z9hG4bKnasheng"]
    message = request(ATTACKER, "100", branch=f"z9hG4bK1234.{'0' * 32}.0", extra=extra, forwards=69)
    assert judge(message, ATTACKER).verdict == "forged"


@pytest.mark.parametrize(
    ("header", "value"),
    [("CSeq", "0001 INVITE"), ("CSeq", "1\tINVITE"), ("Call-ID", "one\r\n two"), ("CSeq", "9999999999 INVITE")],
)
def test_a_sender_that_writes_what_a_relay_hashes_oddly_does_not_make_the_relay_a_forger(header, value):
    message = request(ATTACKER, "100")
    message.put(header, value)
    path = judge(*through(kamailio, message=message))
    assert (path.verdict, path.relay, path.origin) == ("relayed", RELAY, ATTACKER)


NOTED: dict[str, tuple[str, str, str]] = {
    "path.received-twice": ("Via", ";received=", f";received={INNOCENT};received="),
    "path.request-uri": ("Request-URI", SENSOR, "sip.example"),
    "path.route": ("Route", "", f"<sip:{RELAY};lr>"),
}


@pytest.mark.parametrize("rule", NOTED)
def test_what_says_little_alone_is_noted_of_a_relayed_request(rule):
    message, source = through(kamailio)
    where, old, new = NOTED[rule]
    if where == "Via":
        message.vias[1] = message.vias[1].replace(old, new)
    elif where == "Request-URI":
        message.uri = message.uri.replace(old, new)
    else:
        message.headers.append((where, new))
    path = judge(message, source)
    assert path.verdict == "relayed"
    (noted,) = [each for each in path.evidence if each.rule == rule]
    assert message.wire()[noted.offset :].startswith(noted.quote)


def test_received_in_the_top_via_on_arrival_is_a_sign_of_forging():
    made_up = f"SIP/2.0/UDP {INNOCENT};branch=z9hG4bKnasheng"
    message = request(ATTACKER, "100", branch="z9hG4bKnasheng7", extra=[made_up], forwards=69)
    message.vias[0] += f";received={ATTACKER}"
    path = judge(message, ATTACKER)
    assert "path.received-on-top" in {each.rule for each in path.evidence}


@pytest.mark.parametrize("given", [{"branch": f"z9hG4bK1234.{'0' * 32}.0"}, {"forwards": 71}, {"forwards": 20}])
def test_whom_a_genuine_hop_took_an_odd_request_from_stays_a_claim(given):
    """A sender that counts or writes branches as none does is not made up; the hop that took it on may be a relay."""
    path = judge(*through(kamailio, kamailio, **given))
    assert (path.relay, path.chain, path.origin, path.claim) == (SECOND, (), RELAY, ATTACKER)
    assert [hop.standing for hop in path.hops] == ["fact", "vouched", "claim"]


def test_the_walk_stops_at_a_hop_that_names_us():
    message = request(ATTACKER, "100", forwards=69)
    message.vias = [
        f"SIP/2.0/UDP {ATTACKER}:5074;branch={genuine_branch(message)}",
        f"SIP/2.0/UDP {SENSOR};received={SENSOR};rport=5060;branch=z9hG4bK-1",
    ]
    path = judge(*through(kamailio, message=message))
    assert (path.relay, path.chain, path.origin, path.claim) == (RELAY, (), ATTACKER, SENSOR)


def test_an_imitated_kamailio_branch_on_top_is_forged():
    branch = f"z9hG4bK1234.{'0' * 32}.0"
    extra = [f"SIP/2.0/UDP {INNOCENT}:5060;received={INNOCENT};rport=5060;branch=z9hG4bK77"]
    assert judge(request(ATTACKER, "100", branch=branch, extra=extra), ATTACKER).verdict == "forged"


def test_a_hop_taken_away_shows_in_max_forwards():
    path = judge(*through(stripper))
    assert (path.verdict, path.relay, path.origin, path.claim) == ("hidden", RELAY, None, ATTACKER)


def test_a_scanners_own_branch_explains_a_low_max_forwards():
    path = judge(request(ATTACKER, "100", forwards=69, contact=INNOCENT), ATTACKER)
    assert path.verdict == "direct"


@pytest.mark.parametrize("branch", ["z9hG4bK1551936044", "3f2a91bc"])
def test_a_senders_branch_that_asks_for_the_port_explains_a_low_max_forwards_too(branch):
    message = request(ATTACKER, "100", forwards=69, branch=branch)
    assert judge(message, ATTACKER).verdict == "direct"
    message.vias[0] = message.vias[0].removesuffix(";rport")
    assert judge(message, ATTACKER).verdict == "hidden"


def test_another_start_value_is_no_hidden_hop():
    assert judge(request(ATTACKER, "100", forwards=20, branch="z9hG4bKabcdefgh"), ATTACKER).verdict == "direct"


@pytest.mark.parametrize(("forwards", "verdict"), [(20, "hidden"), (254, "hidden"), (None, "hidden"), (71, "direct")])
def test_a_proxys_branch_alone_is_hidden_from_whatever_the_sender_counted_down(forwards, verdict):
    message, source = through(kamailio, forwards=forwards or 70)
    del message.vias[1:]
    if forwards is None:
        message.headers = [header for header in message.headers if header[0] != "Max-Forwards"]
    assert judge(message, source).verdict == verdict  # 70 is what a proxy's own keepalives start with


@pytest.mark.parametrize("branch", ["3f2a91bc", "z9hG4bK1551936044"])
def test_a_direct_sender_that_asks_for_no_port_and_counts_its_made_up_via_is_forged(branch):
    made_up = f"SIP/2.0/UDP {INNOCENT}:5060;received={INNOCENT};rport=5060;branch=z9hG4bKwd9t.{'7' * 32}.0"
    message = request(ATTACKER, "100", branch=branch, extra=[made_up], forwards=69)
    message.vias[0] = message.vias[0].removesuffix(";rport")
    path = judge(message, ATTACKER)
    assert (path.verdict, path.relay, path.origin) == ("forged", None, None)


def test_what_contact_says_is_no_hop_behind_made_up_vias():
    made_up = f"SIP/2.0/UDP {INNOCENT}:5060;received={INNOCENT};rport=5060;branch=z9hG4bK4f2a.{'0' * 32}.0"
    path = judge(*through(kamailio, extra=[made_up], contact=INNOCENT))
    assert (path.origin, path.claim) == (ATTACKER, None)
    assert judge(*through(kamailio, contact=INNOCENT)).claim == INNOCENT


def test_a_relay_behind_one_that_masks_the_call_id_hashes_what_it_saw():
    message, source = through(topoh())
    message.put("Call-ID", "!!:" + mask(message.get("Call-ID")))
    assert judge(message, source).origin == ATTACKER
    kamailio(message, SECOND, source, 5060)
    path = judge(message, SECOND)
    assert (path.verdict, path.relay, path.chain, path.origin) == ("relayed", SECOND, (RELAY,), ATTACKER)
    assert [hop.software for hop in path.hops[:2]] == ["Kamailio", "Kamailio"]


def test_a_b2bua_leaves_no_mark_in_one_message():
    path = judge(*through(b2bua))
    assert (path.verdict, path.origin) == ("direct", None)


def test_built_in_topology_hiding_comes_off():
    path = judge(*through(topoh()))
    assert (path.verdict, path.origin, path.origin_port, path.kind) == ("relayed", ATTACKER, 5074, "hiding")


def test_built_in_topology_hiding_comes_off_hop_by_hop():
    path = judge(*through(kamailio, topoh()))
    assert (path.verdict, path.relay, path.chain, path.origin) == ("relayed", SECOND, (RELAY,), ATTACKER)
    assert path.kind == "hiding"
    assert [hop.standing for hop in path.hops] == ["fact", "vouched", "vouched"]


def test_what_a_masked_hop_names_is_not_taken_from_what_comes_off_as_rubbish():
    message, source = through(topoh())
    message.vias[1] = f"SIP/2.0/UDP 127.0.0.8;branch=z9hG4bKsr-{mask('pbx.example of somebody')}"
    path = judge(message, source)
    assert (path.verdict, path.origin, path.kind) == ("hidden", None, "hiding")


FRAMING = mask(f"SIP/2.0/UDP {INNOCENT};received={INNOCENT};branch=z9hG4bKnasheng;rport=5060")


@pytest.mark.parametrize("relay", [kamailio, proxy])
@pytest.mark.parametrize("masked", [FRAMING, "anything"])
@pytest.mark.parametrize("host", ["127.0.0.8", ATTACKER, "sip.example"])
def test_a_sender_that_makes_its_own_via_look_masked_is_named_as_its_relay_noted_it(relay, masked, host):
    path = judge(*through(relay, branch=f"z9hG4bKsr-{masked}", sent_by=host))
    assert (path.verdict, path.origin, path.kind == "hiding", path.mask) == ("relayed", ATTACKER, False, b"")


@pytest.mark.parametrize("masked", [FRAMING, "anything"])
def test_a_via_that_looks_masked_under_its_senders_own_address_is_its_senders(masked):
    """A sender at port 5060 that asks for no rport leaves its relay nothing to note."""
    message, source = through(proxy)
    message.vias[1] = f"SIP/2.0/UDP {ATTACKER};branch=z9hG4bKsr-{masked}"
    path = judge(message, source)
    assert (path.verdict, path.origin, path.mask) == ("relayed", ATTACKER, b"")


def test_a_relay_that_masks_under_its_own_address_hides():
    message, source = through(topoh(b"secret", 3))
    message.vias[1] = message.vias[1].replace("127.0.0.8", RELAY)
    path = judge(message, source)
    assert (path.verdict, path.relay, path.kind) == ("hidden", RELAY, "hiding")


def test_topology_hiding_with_a_secret_key_is_hidden_and_kept_for_later():
    path = judge(*through(topoh(b"secret", 3)))
    assert (path.verdict, path.origin, path.kind) == ("hidden", None, "hiding")
    assert path.mask.startswith(b"z9hG4bKsr-")
    assert b" sr-" in path.mask


def test_a_lying_relay_is_believed_by_one_message_but_not_much():
    path = judge(*through(liar(INNOCENT)))
    assert (path.verdict, path.origin) == ("relayed", INNOCENT)
    assert path.confidence <= 50


def test_two_public_addresses_for_one_sender_name_neither():
    message = request(ATTACKER, "100")
    message.vias[0] += f";received={INNOCENT}"
    path = judge(*through(proxy, message=message))
    assert (path.verdict, path.origin, path.claim) == ("relayed", None, ATTACKER)


def test_kamailio_overwrites_what_its_sender_wrote_as_received():
    message = request(ATTACKER, "100")
    message.vias[0] += f";received={INNOCENT}"
    assert judge(*through(kamailio, message=message)).origin == ATTACKER


def test_one_host_on_two_ports_is_no_relay():
    message, _ = through(proxy, message=request("203.0.113.11", "100"))
    message.vias[1] = message.vias[1].replace(ATTACKER, "203.0.113.11")
    path = judge(message, "203.0.113.11")
    assert (path.verdict, path.relay) == ("direct", None)


def test_a_proxy_that_serves_its_own_network_is_no_relay():
    message = request("10.1.1.1", "100")
    proxy(message, RELAY, "10.1.1.1", 5060)
    path = judge(message, RELAY)
    assert (path.verdict, path.relay, path.kind) == ("unknown", None, "serving")


def test_a_proxys_own_inner_hop_is_a_part_of_it_where_strangers_come_through():
    """An edge that hands on what an inner Kamailio took from outside relays like one box."""
    message = request(ATTACKER, "586")
    kamailio(message, "10.0.0.5", ATTACKER, 5074)
    kamailio(message, RELAY, "10.0.0.5", 5060)
    path = judge(message, RELAY)
    assert (path.verdict, path.relay, path.origin, path.chain) == ("relayed", RELAY, ATTACKER, ("",))


def test_a_proxys_own_inner_hop_serves_who_is_inside_as_well():
    message = request("10.1.1.1", "586")
    kamailio(message, "10.0.0.5", "10.1.1.1", 5060)
    kamailio(message, RELAY, "10.0.0.5", 5060)
    assert judge(message, RELAY).kind == "serving"


@pytest.mark.parametrize("branch", ["z9hG4bKa", "z9hG4bK3ac3.b9d3ee53.0"])
def test_a_direct_sender_that_names_us_as_its_sender_is_forged(branch):
    """However honest the rest looks: a proxy's form of branch, a hop count that adds up, a Record-Route of its own."""
    ours = f"SIP/2.0/UDP {SENSOR}:5060;received={SENSOR};rport=5060;branch=z9hG4bK77"
    message = request(ATTACKER, "100", branch=branch, extra=[ours], forwards=69)
    message.headers.append(("Record-Route", f"<sip:{ATTACKER};lr>"))
    path = judge(message, ATTACKER)
    assert (path.verdict, path.origin) == ("forged", None)


@pytest.mark.parametrize("relay", [proxy, kamailio])
def test_a_private_address_like_our_own_is_somebody_elses_in_another_network(relay):
    """A sensor behind address translation sees its private address, which is that of many a phone."""
    message = request("10.0.0.4", "586")
    relay(message, RELAY, "10.0.0.4", 5060)
    seen = Observation(0, "s", "in", "udp", RELAY, 5060, "10.0.0.4", 5060, message.wire())
    path = judge_path(parsed(message), seen, PathSetting())
    assert (path.verdict, path.kind) == ("unknown", "serving")


def test_what_was_sent_to_a_relay_in_our_name_never_makes_us_its_origin():
    message = request(SENSOR, "100")
    kamailio(message, RELAY, SENSOR, 5060)
    path = judge(message, RELAY)
    assert (path.verdict, path.relay, path.origin, path.confidence) == ("relayed", RELAY, None, 0)


def test_a_proxy_that_looked_us_up_for_its_users_is_no_relay():
    message, source = through(proxy)
    message.put("To", f"<sip:100@{RELAY}>")
    assert judge(message, source).kind == "serving"


def test_known_proxies_are_never_relays():
    message, source = through(kamailio)
    path = judge(message, source, known=[RELAY])
    assert (path.verdict, path.relay, path.origin) == ("direct", None, None)


def test_known_proxies_may_be_given_as_a_network():
    message, source = through(kamailio)
    assert judge(message, source, known=["203.0.113.0/24"]).relay is None


def test_behind_our_own_edge_proxy_the_next_hop_is_judged():
    message, source = through(kamailio, kamailio)
    path = judge(message, source, known=[SECOND], own=["203.0.113.12/32"])
    assert (path.verdict, path.relay, path.origin) == ("relayed", RELAY, ATTACKER)


def test_to_tag_in_a_request_that_begins_is_in_dialog_relaying():
    path = judge(*through(kamailio, to_tag="never-issued"))
    assert path.kind == "in-dialog"
    assert any(each.rule == "path.to-tag" for each in path.evidence)


def test_the_relays_own_ack_names_nobody():
    message, source = through(kamailio)
    message.method, message.vias = "ACK", message.vias[:1]
    message.put("CSeq", "1 ACK")
    path = judge(message, source)
    assert (path.verdict, path.relay, path.kind) == ("unknown", None, "stateful")


def test_connection_marks_make_the_origin_surer():
    message, source = through(kamailio)
    message.vias[0] += ";i=1"
    assert judge(message, source).confidence > judge(*through(kamailio)).confidence


def test_a_connection_mark_that_anybody_may_write_makes_nobody_surer():
    message, source = through(proxy)
    plain = judge(message, source).confidence
    message.vias[0] += ";i=1"
    assert judge(message, source).confidence == plain


def test_responses_and_our_own_answers_are_not_judged():
    message = parse_message(b"SIP/2.0 200 OK\r\n\r\n")
    seen = Observation(0, "s", "in", "udp", RELAY, 5060, SENSOR, 5060, message.raw)
    assert judge_path(message, seen, PathSetting()) is NOT_JUDGED
    ours = Observation(0, "s", "out", "udp", RELAY, 5060, SENSOR, 5060, b"")
    assert judge_path(parsed(request(ATTACKER, "100")), ours, PathSetting()) is NOT_JUDGED


def test_a_request_without_via_was_not_handed_on():
    message = parsed(b"REGISTER sip:192.0.2.10 SIP/2.0\r\nCall-ID: a\r\nCSeq: 1 REGISTER\r\n\r\n")
    seen = Observation(0, "s", "in", "udp", ATTACKER, 5060, SENSOR, 5060, message.raw)
    assert judge_path(message, seen, PathSetting()).verdict == "direct"


@pytest.mark.parametrize("relays", [(), (kamailio,), (proxy, proxy), (stripper,), (topoh(),), (topoh(b"k", 1),)])
def test_every_reason_has_a_known_rule_and_stands_in_the_bytes(relays):
    message, source = through(*relays)
    raw = message.wire()
    path = judge(message, source or ATTACKER)
    assert path.evidence
    for each in path.evidence:
        assert RULES[each.rule] == each.version
        assert each.offset == (raw.find(each.quote) if each.quote else -1)
        assert not each.quote or each.offset >= 0


def test_a_setting_names_what_is_no_address():
    with pytest.raises(Exception, match=r"network.known_proxies: 'proxy' is no address or network"):
        AddressSet(["proxy"], "network.known_proxies")


@given(any_message(), st.sampled_from(["192.0.2.1", "2001:db8::1"]))
def test_any_bytes_are_judged_without_raising(data, source):
    seen = Observation(0, "s", "in", "udp", source, 5060, SENSOR, 5060, data)
    path = judge_path(parse_message(data), seen, PathSetting())
    assert 0 <= path.confidence <= 100
    assert path.origin is None or path.verdict == "relayed"


@given(messages())
def test_well_formed_messages_are_judged_by_their_bytes_alone(made):
    seen = Observation(0, "s", "in", "udp", "192.0.2.1", 5060, SENSOR, 5060, made.data)
    first = judge_path(parse_message(made.data), seen, PathSetting())
    assert first == judge_path(parse_message(made.data), seen, PathSetting())


@pytest.mark.parametrize("name", ["Max-Forwards", "MAX-FORWARDS"])
def test_the_hop_count_is_quoted_from_its_own_line(name):
    message, source = through(kamailio, message=request(ATTACKER, "69"))
    message.headers = [(name if key == "Max-Forwards" else key, value) for key, value in message.headers]
    found = next(each for each in judge(message, source).evidence if each.rule == "path.max-forwards")
    raw = message.wire()
    assert raw.find(found.quote) < found.offset
    assert raw[: found.offset].endswith(f"\r\n{name}: ".encode())
    assert raw[found.offset :].startswith(found.quote + b"\r\n")


def test_the_hop_count_is_never_quoted_from_the_body():
    message, source = through(kamailio, message=request(ATTACKER, "100"))
    message.headers = [("max-forwards" if key == "Max-Forwards" else key, value) for key, value in message.headers]
    message.body = "x\r\nMax-Forwards: 69\r\n"
    found = next(each for each in judge(message, source).evidence if each.rule == "path.max-forwards")
    assert message.wire()[: found.offset].endswith(b"\r\nmax-forwards: ")
