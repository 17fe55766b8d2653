"""What a guard says of an edge's traffic, and of what it is silent."""

import copy
from pathlib import Path

import pytest

from relaytrap.config import Config, GuardConfig, NetworkConfig
from relaytrap.errors import ConfigError
from relaytrap.guard import RULES, Policy
from relaytrap.guard.told import finding_dict, summary_dict
from tests.evidence.relays import kamailio
from tests.guard.edge import (
    ANOTHER,
    CARRIER,
    DOMAIN,
    EDGE,
    FOREIGN,
    GUARDED,
    INSIDE,
    NO_POLICY,
    OWN,
    STRANGER,
    TRUNK,
    USER,
    Edge,
    ask,
)

# ---- relaying before our own eyes --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["OPTIONS", "INVITE", "REGISTER", "MESSAGE", "SUBSCRIBE"])
def test_stranger_handed_on_to_stranger_for_a_foreign_domain_is_an_open_relay(method: str) -> None:
    edge = Edge()
    edge.relay(ask(method=method))
    assert [each.case.rule for each in edge.found] == ["guard.open-relay"]
    (finding,) = edge.found
    assert (finding.case.source, finding.case.edge, list(finding.destinations)) == (STRANGER, EDGE, [ANOTHER])
    assert finding.answered == 1
    quotes = {each.rule: each.quote for each in finding.case.evidence}
    assert FOREIGN.encode() in quotes["guard.request-uri"]
    assert EDGE.encode() in quotes["guard.handed-on"]
    assert quotes["guard.answered"] == b"SIP/2.0 200 OK"
    assert all(each.offset >= 0 for each in finding.case.evidence)


def test_finding_is_told_once_and_counted() -> None:
    edge = Edge()
    for serial in range(5):
        edge.relay(ask(serial=serial), status="486 Busy Here")
    assert len(edge.found) == 1
    assert (edge.found[0].requests, edge.found[0].answered) == (5, 0)


def test_relaying_is_found_without_any_answer() -> None:
    edge = Edge()
    edge.leave(edge.arrive(ask()), ANOTHER)
    edge.wait(40)
    edge.found += edge.guard.advance(edge.now_ns)
    assert edge.rules == ["guard.open-relay"]


def test_repetitions_are_one_request() -> None:
    edge = Edge()
    message = ask()
    for _ in range(3):
        edge.arrive(message)
    edge.relay(message)
    edge.relay(message)
    assert edge.found[0].requests == 1


def test_relay_through_two_boxes_of_the_edge_is_found() -> None:
    edge = Edge()
    message = edge.arrive(ask())
    onward = edge.leave(message, INSIDE)
    edge.leave(onward, ANOTHER, edge=INSIDE, source=EDGE)
    assert edge.end() == ["guard.open-relay"]


def test_edge_that_takes_the_vias_away_hides_no_beginning() -> None:
    edge = Edge()
    message = ask()
    message.vias += ["SIP/2.0/UDP 8.8.8.8:5060;branch=z9hG4bK-1", "SIP/2.0/UDP 8.8.4.4:5060;branch=z9hG4bK-2"]
    edge.arrive(message)
    onward = copy.deepcopy(message)
    onward.vias = [f"SIP/2.0/UDP {EDGE};branch=z9hG4bKanew"]
    edge.see(EDGE, ANOTHER, onward.wire())
    assert edge.end() == ["guard.open-relay"]


def test_request_that_comes_back_to_the_edge_still_began_with_our_user() -> None:
    edge = Edge()
    message = edge.arrive(ask(USER), USER)
    onward = edge.leave(message, ANOTHER, source=USER)
    back = copy.deepcopy(onward)
    kamailio(back, ANOTHER, EDGE, 5060)
    edge.see(ANOTHER, EDGE, back.wire())
    edge.leave(back, STRANGER, source=ANOTHER)
    assert (edge.end(), edge.undecided) == ([], [])


def test_call_id_that_the_edge_masks_hides_nothing() -> None:
    edge = Edge()
    message = edge.arrive(ask())
    masked = copy.deepcopy(message)
    masked.put("Call-ID", "DLGCH-masked")
    onward = edge.leave(masked, ANOTHER)
    edge.leave(masked, ANOTHER)
    edge.answer(onward, ANOTHER, EDGE, "200 OK")
    edge.answer(message, EDGE, STRANGER, "200 OK")
    assert [(each.case.rule, each.requests, each.answered) for each in edge.found] == [("guard.open-relay", 1, 1)]
    assert edge.end() == ["guard.open-relay"]


def test_server_that_asks_anew_for_a_stranger_is_joined_by_whom_it_asks_for() -> None:
    edge = Edge()
    message = edge.arrive(ask(target="x7f3q"))
    anew = ask(EDGE, target="x7f3q", serial=77)
    edge.see(EDGE, ANOTHER, anew.wire())
    edge.answer(anew, ANOTHER, EDGE, "486 Busy Here")
    edge.answer(message, EDGE, STRANGER, "486 Busy Here")
    edge.end()
    assert [(each.case.rule, each.case.confidence) for each in edge.found] == [("guard.open-relay", 70)]


def test_own_call_to_the_same_user_is_no_relaying() -> None:
    edge = Edge()
    edge.arrive(ask(target="bob", serial=1))
    edge.relay(ask(USER, target="bob", serial=2), source=USER)
    edge.answer(ask(target="bob", serial=1), EDGE, STRANGER, "403 Forbidden")
    assert edge.end() == ["guard.relay-attempt"]


def test_what_the_edge_asks_for_much_later_is_no_relaying() -> None:
    edge = Edge()
    edge.refuse(ask(target="bob", serial=1))
    edge.wait(11)
    edge.see(EDGE, ANOTHER, ask(EDGE, target="bob", serial=2).wire())
    assert edge.end() == ["guard.relay-attempt"]


def test_order_in_which_agents_report_does_not_matter() -> None:
    edge = Edge()
    message = ask()
    edge.leave(message, ANOTHER)
    edge.arrive(message)
    assert edge.end() == ["guard.open-relay"]


def test_tool_that_writes_one_call_id_for_everybody_hides_nobody() -> None:
    edge = Edge()
    first, second = ask("203.0.113.50", serial=1), ask(serial=2)
    second.put("Call-ID", first.get("Call-ID"))
    edge.refuse(first, source="203.0.113.50")
    edge.relay(second)
    assert "guard.open-relay" in edge.end()


def test_from_that_names_us_excuses_nobody() -> None:
    edge = Edge()
    message = ask()
    message.put("From", f"<sip:100@{DOMAIN}>;tag=1")
    edge.relay(message)
    assert edge.rules == ["guard.open-relay"]
    assert "guard.from" in {each.rule for each in edge.found[0].case.evidence}


def test_route_that_the_sender_chose_is_open_by_route() -> None:
    edge = Edge()
    edge.relay(ask(host=DOMAIN, headers=[("Route", f"<sip:{EDGE};lr>, <sip:{ANOTHER};lr>")]))
    assert edge.rules == ["guard.open-by-route"]


def test_register_within_a_dialog_is_open_in_dialog() -> None:
    edge = Edge()
    edge.relay(ask(method="REGISTER", to_tag="made-up"))
    assert edge.rules == ["guard.open-in-dialog"]


def test_dialog_that_nobody_began_is_undecided_at_first_and_an_alarm_after_an_hour() -> None:
    edge = Edge()
    edge.relay(ask(to_tag="made-up", serial=1))
    assert (edge.rules, edge.undecided) == ([], ["earlier-dialog"])
    edge.wait(3700)
    edge.relay(ask(to_tag="made-up", serial=2))
    assert edge.rules == ["guard.open-in-dialog"]


def test_stranger_handed_on_to_a_trunk_calls_at_our_expense() -> None:
    edge = Edge()
    edge.relay(ask(target="00972597654321", host=EDGE), TRUNK)
    assert edge.rules == ["guard.toll-relay"]
    assert "00972597654321" in edge.found[0].case.sentence


def test_call_that_the_edge_forwards_to_another_number_is_undecided() -> None:
    edge = Edge()
    message = edge.arrive(ask(target="02079460000", host=DOMAIN))
    onward = ask(target="07700900123", host=TRUNK)
    onward.headers = message.headers
    edge.leave(onward, TRUNK)
    assert (edge.end(), edge.undecided) == ([], ["other-number"])


def test_junk_credentials_are_undecided_at_first_and_excuse_nobody_after_an_hour() -> None:
    junk = [("Proxy-Authorization", 'Digest username="a", realm="example.com", nonce="made up", response="0"')]
    edge = Edge()
    edge.relay(ask(headers=junk, serial=1))
    assert (edge.rules, edge.undecided) == ([], ["earlier-challenge"])
    edge.wait(3700)
    edge.relay(ask(headers=junk, serial=2))
    assert edge.rules == ["guard.open-relay"]


def test_refused_request_opens_no_dialog() -> None:
    edge = Edge()
    edge.refuse(ask(host=DOMAIN, serial=1), "404 Not Found")
    edge.wait(3700)
    within = ask(to_tag="answered", serial=1)
    within.put("CSeq", "2 INVITE")
    edge.relay(within)
    assert "guard.open-in-dialog" in edge.rules


# ---- what is right -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        (USER, ANOTHER),
        (USER, TRUNK),
        (TRUNK, USER),
        (TRUNK, ANOTHER),
        (CARRIER, USER),
        (STRANGER, USER),
        (STRANGER, CARRIER),
    ],
)
def test_what_policy_allows_is_silent(source: str, destination: str) -> None:
    edge = Edge()
    edge.relay(ask(source), destination, source=source)
    assert (edge.end(), edge.undecided) == ([], [])
    assert edge.guard.summary().allowed.total() == 1


def test_user_who_shows_a_password_may_call_anybody() -> None:
    edge = Edge()
    again = edge.log_in(method="INVITE", host=FOREIGN)
    edge.relay(again)
    edge.relay(ask(target="00972597654321", host=DOMAIN, serial=7), TRUNK)
    assert (edge.end(), edge.undecided) == ([], [])


def test_user_who_registered_may_call_anybody_and_be_called() -> None:
    edge = Edge()
    edge.register()
    edge.relay(ask(target="00972597654321", host=DOMAIN, serial=1), TRUNK)
    edge.relay(ask(serial=2))
    edge.relay(ask(ANOTHER, "alice", DOMAIN, serial=3), STRANGER, source=ANOTHER)
    assert (edge.end(), edge.undecided) == ([], [])


def test_what_goes_on_in_a_dialog_that_was_seen_is_silent() -> None:
    edge = Edge()
    call = ask(USER, serial=5)
    edge.relay(call, ANOTHER, source=USER)
    bye = ask(ANOTHER, host=USER, method="BYE", serial=5, to_tag=call.get("From").partition("tag=")[2])
    bye.put("Call-ID", call.get("Call-ID"))
    bye.put("From", f"<sip:100@{FOREIGN}>;tag=answered")
    edge.wait(7200)
    edge.relay(bye, STRANGER, source=ANOTHER)
    assert (edge.end(), edge.undecided) == ([], [])
    assert "within a dialog that is known" in edge.guard.summary().allowed


def test_end_of_a_call_that_began_long_ago_reaches_a_user_silently() -> None:
    edge = Edge()
    edge.register()
    edge.wait(7200)
    bye = ask(ANOTHER, host=STRANGER, method="BYE", to_tag="long-ago")
    edge.relay(bye, STRANGER, source=ANOTHER)
    assert (edge.end(), edge.undecided) == ([], [])


def test_name_of_ours_that_leads_outside_is_undecided() -> None:
    edge = Edge()
    edge.relay(ask(host=DOMAIN))
    assert (edge.end(), edge.undecided) == ([], ["own-name"])


def test_address_that_the_edge_calls_itself_is_ours() -> None:
    edge = Edge()
    message = edge.arrive(ask(host="198.51.100.200"))
    onward = edge.leave(message, ANOTHER)
    named = onward.wire().replace(f"UDP {EDGE}".encode(), b"UDP 198.51.100.200")
    again = Edge()
    again.arrive(message)
    again.see(EDGE, ANOTHER, named)
    assert (again.end(), again.undecided) == ([], ["own-name"])
    assert edge.end() == ["guard.open-relay"]


def test_traffic_of_others_on_a_mirror_port_is_none_of_ours() -> None:
    edge = Edge()
    message = edge.arrive(ask(), edge=ANOTHER)
    edge.leave(message, "203.0.113.200", edge=ANOTHER)
    assert (edge.end(), edge.undecided) == ([], [])


# ---- without a policy --------------------------------------------------------------------------------------------


def test_without_a_policy_nothing_is_called_a_relay_and_the_gaps_are_named() -> None:
    edge = Edge(NO_POLICY, GuardConfig())
    edge.relay(ask(target="00972597654321"))
    edge.relay(ask(method="REGISTER", host=DOMAIN, serial=2))
    assert (edge.end(), edge.undecided) == ([], ["no-own-networks"])
    assert len(edge.guard.summary().gaps) == 4
    assert not edge.guard.summary().has_policy


def test_without_domains_no_domain_is_foreign() -> None:
    edge = Edge(NetworkConfig(own_networks=("192.0.2.0/24",)))
    edge.relay(ask())
    edge.refuse(ask(serial=2))
    assert (edge.end(), edge.undecided) == ([], ["no-own-domains"])


@pytest.mark.parametrize(
    ("network", "guard", "named"),
    [
        (NetworkConfig(), GuardConfig(trunks=("nowhere",)), "guard.trunks"),
        (NetworkConfig(), GuardConfig(own_numbers=("020",)), "guard.own_numbers"),
        (NetworkConfig(own_networks=("192.0.2.0/99",)), GuardConfig(), "network.own_networks"),
        (NetworkConfig(own_networks=("0.0.0.0/0",)), GuardConfig(), "hardly any stranger"),
        (NetworkConfig(own_networks=("192.0.2.1", "::/0")), GuardConfig(), "hardly any stranger"),
        (NetworkConfig(own_domains=("sip:example.com",)), GuardConfig(), "is no domain"),
        (NetworkConfig(own_domains=("*.example.com",)), GuardConfig(), "is no domain"),
        (NetworkConfig(own_domains=("cafe.de:5060",)), GuardConfig(), "is no domain"),
        (NetworkConfig(own_domains=("",)), GuardConfig(), "is no domain"),
    ],
)
def test_policy_that_cannot_be_used_is_told_by_its_setting(
    network: NetworkConfig, guard: GuardConfig, named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        Policy.of(Config(data_dir=Path("nowhere"), network=network, guard=guard))


# ---- the edge as a registrar, a caller, a resolver ---------------------------------------------------------------


def registered(edge: Edge, source: str = STRANGER, expires: str = "3600") -> None:
    message = ask(source, "alice", DOMAIN, method="REGISTER", headers=[("Expires", expires)])
    contact = f"<sip:alice@{source}>;expires={expires}"
    edge.refuse(message, "200 OK", source, Contact=contact)


def test_stranger_registered_without_a_password_is_an_open_registrar() -> None:
    edge = Edge()
    registered(edge)
    edge.end()
    assert edge.rules == ["guard.open-registrar"]


def test_registering_from_own_networks_and_taking_back_are_silent() -> None:
    edge = Edge()
    registered(edge, USER)
    registered(edge, expires="0")
    assert edge.end() == []


def test_registering_over_tls_without_a_password_is_undecided() -> None:
    edge = Edge()
    message = edge.arrive(ask(target="alice", host=DOMAIN, method="REGISTER"), transport="tls")
    edge.answer(message, EDGE, STRANGER, "200 OK", Contact=f"<sip:alice@{STRANGER}>")
    assert (edge.end(), edge.undecided) == ([], ["secure-registration"])


def test_call_abroad_that_the_edge_answers_a_stranger_is_an_alarm() -> None:
    edge = Edge()
    edge.refuse(ask(target="00972597654321", host=EDGE), "200 OK")
    edge.end()
    assert edge.rules == ["guard.toll-answered"]
    assert edge.found[0].case.confidence == 50


def test_call_that_goes_on_under_another_call_id_is_joined_by_its_number() -> None:
    edge = Edge()
    first = edge.arrive(ask(target="900972597654321", host=EDGE))
    onward = ask(EDGE, "+972597654321", TRUNK, serial=3)
    edge.see(EDGE, TRUNK, onward.wire())
    edge.answer(onward, TRUNK, EDGE, "200 OK")
    edge.answer(first, EDGE, STRANGER, "200 OK")
    edge.end()
    assert edge.rules == ["guard.toll-answered"]
    assert (edge.found[0].case.confidence, list(edge.found[0].destinations)) == (85, [TRUNK])


def test_call_to_a_national_number_that_the_edge_makes_anew_is_an_alarm_too() -> None:
    edge = Edge()
    first = edge.arrive(ask(target="09098790000", host=EDGE))
    onward = ask(EDGE, "+449098790000", TRUNK, serial=3)
    edge.see(EDGE, TRUNK, onward.wire())
    edge.answer(first, EDGE, STRANGER, "200 OK")
    edge.end()
    assert edge.rules == ["guard.toll-answered"]


def test_call_that_the_edge_makes_anew_to_a_user_elsewhere_is_silent() -> None:
    edge = Edge(OWN, GuardConfig(trunks=(TRUNK,)))
    first = edge.arrive(ask(target="02079460000", host=EDGE))
    edge.see(EDGE, ANOTHER, ask(EDGE, "02079460000", ANOTHER, serial=3).wire())
    edge.answer(first, EDGE, STRANGER, "200 OK")
    assert (edge.end(), edge.undecided) == ([], [])


def test_call_to_a_number_of_ours_that_the_edge_makes_anew_is_silent() -> None:
    edge = Edge()
    first = edge.arrive(ask(target="02079460000", host=EDGE))
    onward = ask(EDGE, "+442079460000", TRUNK, serial=3)
    edge.see(EDGE, TRUNK, onward.wire())
    edge.answer(first, EDGE, STRANGER, "200 OK")
    assert edge.end() == []


@pytest.mark.parametrize("target", ["02079460000", "+442079460000", "100", "alice"])
def test_call_to_a_number_of_ours_that_is_answered_is_silent(target: str) -> None:
    edge = Edge()
    edge.refuse(ask(target=target, host=EDGE), "200 OK")
    assert (edge.end(), edge.undecided) == ([], [])


def test_without_own_numbers_an_answered_number_abroad_may_be_ours() -> None:
    edge = Edge(OWN, GuardConfig(trunks=(TRUNK,)))
    edge.refuse(ask(target="0033155334455", host=EDGE), "200 OK")
    assert (edge.end(), edge.undecided) == ([], ["number-abroad"])


def test_answer_of_a_proxy_that_tried_to_route_is_an_alarm() -> None:
    edge = Edge()
    edge.refuse(ask(), "478 Unresolvable destination (478/SL)")
    edge.end()
    assert edge.rules == ["guard.tried-to-route"]


# ---- what others try in vain -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["403 Not relaying", "404 Not Found", "407 Proxy Authentication Required"])
def test_foreign_domain_that_is_refused_is_only_an_attempt(status: str) -> None:
    edge = Edge()
    edge.refuse(ask(), status)
    assert edge.end() == ["guard.relay-attempt"]
    assert edge.guard.summary().alarms == 0


def test_request_that_went_astray_to_a_local_name_is_silent() -> None:
    edge = Edge()
    edge.refuse(ask(host="localhost", method="OPTIONS"))
    edge.refuse(ask(host="10.0.0.1", method="OPTIONS", serial=2))
    assert edge.end() == []


def test_many_users_asked_for_in_vain_are_a_scan() -> None:
    edge = Edge()
    for extension in range(100, 110):
        edge.refuse(ask(target=str(extension), host=DOMAIN, method="REGISTER"), "404 Not Found")
    edge.end()
    assert edge.rules == ["guard.scan"]
    assert "10 different users" in edge.found[0].case.sentence


def test_scan_through_a_relay_names_whom_it_hands_on_for() -> None:
    edge = Edge()
    for extension in range(100, 110):
        message = ask("203.0.113.50", target=str(extension), host=DOMAIN)
        kamailio(message, STRANGER, "203.0.113.50", 5060)
        edge.refuse(message, "404 Not Found")
    assert "guard.scan" in edge.end()
    scan = next(each for each in edge.found if each.case.rule == "guard.scan")
    assert scan.case.sentence.startswith(f"{STRANGER}, handing on for 203.0.113.50, asked")


def test_sentence_of_a_finding_keeps_up_with_its_count() -> None:
    edge = Edge()
    for extension in range(100, 120):
        edge.refuse(ask(target=str(extension), host=DOMAIN, method="REGISTER"), "404 Not Found")
    edge.end()
    assert "20 different users" in edge.found[0].case.sentence


def test_scanner_told_by_how_it_writes_needs_one_request() -> None:
    edge = Edge()
    raw = (
        f"OPTIONS sip:100@{EDGE} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.1.1:5060;branch=z9hG4bK-1234567890;rport\r\n"
        f'Max-Forwards: 70\r\nTo: "sipvicious"<sip:100@1.1.1.1>\r\n'
        f'From: "sipvicious"<sip:100@1.1.1.1>;tag=6330303030323031313363340133323132\r\n'
        "User-Agent: friendly-scanner\r\nCall-ID: 1122334455667788\r\nContact: sip:100@127.0.1.1:5060\r\n"
        "CSeq: 1 OPTIONS\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"
    ).encode()
    edge.refuse(ask(serial=50, host=DOMAIN), "404 Not Found", source=ANOTHER)
    edge.see(STRANGER, EDGE, raw)
    assert edge.end() == ["guard.scan"]
    assert "svmap" in edge.guard.findings[0].case.sentence


def test_office_whose_phones_register_after_a_challenge_is_no_scan() -> None:
    edge = Edge()
    for serial in range(40):
        again = edge.log_in(serial=serial)
        again.put("To", f"<sip:phone{serial}@{DOMAIN}>")
        edge.arrive(again)
        edge.answer(again, EDGE, STRANGER, "200 OK", Contact=f"<sip:phone@{STRANGER}>")
    assert edge.end() == []


def test_unlisted_carrier_whose_calls_mostly_arrive_is_no_scan() -> None:
    edge = Edge()
    for serial in range(60):
        refused = serial % 5 == 0
        message = ask(target=f"0207946{serial:04}", host=EDGE, serial=serial)
        edge.refuse(message, "404 Not Found" if refused else "200 OK")
    assert edge.end() == []


def test_silence_says_nothing_where_only_one_direction_was_captured() -> None:
    edge = Edge()
    for extension in range(100, 140):
        edge.arrive(ask(target=str(extension), host=DOMAIN))
    assert edge.end() == []


def test_number_abroad_refused_is_an_attempt_surer_with_every_spelling() -> None:
    edge = Edge()
    edge.refuse(ask(target="00972597654321", host=EDGE, serial=1), "403 Forbidden")
    edge.end()
    assert [(each.case.rule, each.case.confidence) for each in edge.guard.findings] == [("guard.toll-attempt", 50)]
    edge.refuse(ask(target="900972597654321", host=EDGE, serial=2), "403 Forbidden")
    edge.end()
    assert edge.guard.findings[0].case.confidence == 85


def test_caller_abroad_who_then_shows_a_password_is_silent() -> None:
    edge = Edge()
    edge.refuse(ask(target="00972597654321", host=DOMAIN), "407 Proxy Authentication Required")
    edge.register()
    assert edge.end() == []


def test_caller_abroad_whose_call_rings_long_after_the_password_is_silent() -> None:
    edge = Edge()
    again = edge.log_in(method="INVITE", host=DOMAIN)
    again.uri = again.uri.replace("alice", "00972597654321")
    edge.arrive(again)
    edge.answer(again, EDGE, STRANGER, "180 Ringing")
    edge.wait(60)
    edge.found += edge.guard.advance(edge.now_ns)
    edge.wait(30)
    edge.answer(again, EDGE, STRANGER, "200 OK")
    assert (edge.end(), edge.undecided) == ([], [])


def test_hops_that_were_made_up_are_told() -> None:
    edge = Edge()
    message = ask(host=DOMAIN)
    message.vias = [
        f"SIP/2.0/UDP {STRANGER}:5060;branch=z9hG4bK-1234567;rport",
        "SIP/2.0/UDP 8.8.8.8:5060;branch=z9hG4bK-7654321;rport",
    ]
    edge.refuse(message, "404 Not Found")
    assert "guard.made-up-hops" in edge.end()


def test_more_hops_than_expected_are_told_with_the_rules_of_the_evidence_room() -> None:
    edge = Edge()
    message = ask("203.0.113.50", host=DOMAIN)
    kamailio(message, STRANGER, "203.0.113.50", 5060)
    edge.refuse(message, "404 Not Found")
    assert edge.end() == ["guard.unknown-relay"]
    finding = edge.guard.findings[0]
    assert "203.0.113.50" in finding.case.sentence
    assert {each.rule for each in finding.case.evidence} >= {"path.kamailio-hash", "path.received"}


@pytest.mark.parametrize("guarded", [GuardConfig(), GuardConfig(expected_hops=2)])
def test_hops_within_what_is_expected_are_silent(guarded: GuardConfig) -> None:
    edge = Edge(OWN, guarded)
    message = ask("203.0.113.50", host=DOMAIN)
    kamailio(message, STRANGER, "203.0.113.50", 5060)
    edge.refuse(message, "404 Not Found")
    assert edge.end() == []


def test_call_through_an_unlisted_proxy_that_is_answered_is_silent() -> None:
    edge = Edge()
    message = ask("203.0.113.50", host=DOMAIN)
    kamailio(message, STRANGER, "203.0.113.50", 5060)
    edge.relay(message, USER)
    assert edge.end() == []


# ---- without end -------------------------------------------------------------------------------------------------


def test_flood_without_answers_holds_no_more_than_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relaytrap.guard.guard.HELD_MAX", 100)
    edge = Edge()
    for serial in range(1000):
        edge.now_ns -= 10_000_000  # all at one moment: patience ends for none
        edge.arrive(ask(serial=serial, host=DOMAIN))
    assert len(edge.guard._waiting) <= 101


def test_long_messages_hold_no_more_octets_than_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relaytrap.guard.guard.HELD_OCTETS_MAX", 100_000)
    edge = Edge()
    for serial in range(50):
        message = ask(serial=serial, host=DOMAIN)
        message.body = "x" * 20_000
        edge.arrive(message)
    assert edge.guard._octets <= 130_000
    assert len(edge.guard._waiting) <= 5


def test_what_is_held_is_counted_down_to_nothing() -> None:
    edge = Edge()
    for serial in range(20):
        edge.relay(ask(serial=serial, host=DOMAIN), USER)
        edge.leave(edge.arrive(ask(serial=100 + serial)), ANOTHER)
    edge.end()
    assert edge.guard._octets == 0


def test_flood_of_attempts_hides_no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relaytrap.guard.finding.FINDINGS_MAX", 10)
    edge = Edge()
    edge.guard._findings._most = 10
    for number in range(30):
        edge.refuse(ask(f"203.0.113.{number + 100}", serial=number), source=f"203.0.113.{number + 100}")
    edge.relay(ask(serial=99))
    edge.end()
    assert edge.rules[0] == "guard.open-relay"
    assert len(edge.rules) == 10
    assert edge.guard.summary().untold.total() == 21


def test_agent_whose_clock_is_ahead_takes_no_time_from_others() -> None:
    edge = Edge()
    ahead = Edge()
    ahead.wait(50)
    edge.guard = ahead.guard
    ahead.arrive(ask(USER, serial=1), USER)
    message = edge.arrive(ask(serial=2))
    edge.found += edge.guard.advance(ahead.now_ns + 1)
    edge.answer(edge.leave(message, ANOTHER), ANOTHER, EDGE, "200 OK")
    assert edge.found == []
    edge.answer(message, EDGE, STRANGER, "200 OK")
    assert [each.case.rule for each in edge.found] == ["guard.open-relay"]


def test_networks_that_are_not_those_of_the_traffic_are_no_quiet() -> None:
    edge = Edge(NetworkConfig(own_networks=("10.9.9.0/24",)))
    edge.relay(ask())
    edge.end()
    assert edge.guard.summary().ours == 0


def test_clock_that_steps_back_gives_nobody_up() -> None:
    edge = Edge()
    message = edge.arrive(ask())
    edge.wait(-3600)
    edge.leave(message, ANOTHER)
    assert edge.end() == ["guard.open-relay"]


def test_what_a_finding_tells_can_be_printed_as_json() -> None:
    edge = Edge()
    edge.relay(ask(target="a\x1b[31m\u202e"))
    row = finding_dict(edge.found[0])
    assert RULES[row["rule"]].level == row["level"] == "alarm"
    assert [each["source"] for each in row["sightings"]] == [STRANGER, EDGE, ANOTHER, EDGE]
    assert summary_dict(edge.guard.summary())["alarms"] == 1


def test_policy_of_all_settings_names_no_gap() -> None:
    assert not list(Policy.of(Config(data_dir=Path("nowhere"), network=OWN, guard=GUARDED)).gaps())
