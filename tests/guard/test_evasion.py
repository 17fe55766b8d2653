"""Strangers who know how the guard looks, and servers that make it look away: nothing of it hides a relay."""

import copy

import pytest

from tests.evidence.relays import Message
from tests.guard.edge import ANOTHER, DOMAIN, EDGE, FOREIGN, STRANGER, TRUNK, USER, Edge, ask

HOUR_S = 3_600


def anew(message: Message, mark: str, **changes: str) -> Message:
    """The same Call-ID and CSeq in another request."""
    made = copy.deepcopy(message)
    made.vias = [via.replace("z9hG4bK", f"z9hG4bK{mark}") for via in made.vias]
    made.uri = changes.get("uri", made.uri)
    return made


def junk(method: str, host: str, serial: int = 0) -> Message:
    """A request with credentials that answer no challenge."""
    value = f'Digest username="a", realm="x", nonce="made-up", uri="sip:{host}", response="0"'
    return ask(method=method, host=host, serial=serial, headers=[("Authorization", value)])


# ---- servers that answer first -----------------------------------------------------------------------------------


def test_server_that_answers_and_then_calls_on_is_an_alarm() -> None:
    edge = Edge()
    edge.refuse(ask(target="09098790000", host=EDGE), "200 OK")
    edge.wait(2)
    edge.see(EDGE, TRUNK, ask(EDGE, "+449098790000", TRUNK, serial=3).wire())
    assert edge.end() == ["guard.toll-answered"]
    assert list(edge.found[0].destinations) == [TRUNK]


@pytest.mark.parametrize("status", ["202 Accepted", "403 Forbidden"])
def test_server_that_answers_and_hands_on_nevertheless_is_an_open_relay(status: str) -> None:
    edge = Edge()
    message = ask(method="MESSAGE")
    edge.refuse(message, status)
    edge.wait(2)
    edge.leave(message, ANOTHER)
    assert edge.end() == ["guard.open-relay"]


def test_what_was_answered_is_judged_within_seconds() -> None:
    edge = Edge()
    edge.refuse(ask())
    assert edge.found == []
    edge.found += edge.guard.advance(edge.now_ns + 11 * 10**9)
    assert edge.rules == ["guard.relay-attempt"]


def test_answer_that_is_repeated_is_held_once() -> None:
    edge = Edge()
    message = edge.arrive(ask())
    for _ in range(5):
        edge.answer(message, EDGE, STRANGER, "403 Forbidden")
    assert len(edge.guard._answered) == 1


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE", "SUBSCRIBE"])
def test_foreign_domain_that_is_served_out_of_sight_is_undecided(method: str) -> None:
    edge = Edge()
    edge.refuse(ask(method=method), "200 OK")
    assert (edge.end(), edge.undecided) == ([], ["way-unseen"])


def test_edge_that_answers_a_strangers_options_itself_is_silent() -> None:
    edge = Edge()
    edge.refuse(ask(method="OPTIONS"), "200 OK")
    assert (edge.end(), edge.undecided) == ([], [])


# ---- one Call-ID for all -----------------------------------------------------------------------------------------


def test_relaying_under_a_call_id_that_was_refused_before_is_found() -> None:
    edge = Edge()
    message = ask()
    edge.refuse(message)
    edge.wait(11)
    edge.relay(anew(message, "x", uri=f"sip:200@{FOREIGN}"))
    assert edge.end() == ["guard.open-relay", "guard.relay-attempt"]


def test_relaying_under_a_call_id_with_more_vias_than_the_one_refused_is_found() -> None:
    edge = Edge()
    message = ask()
    edge.refuse(message)
    edge.wait(11)
    second = anew(message, "x")
    second.vias.append("SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKmade")
    edge.relay(second)
    assert edge.end() == ["guard.open-relay", "guard.relay-attempt"]


def test_relaying_under_the_call_id_of_a_call_to_us_that_rings_is_found() -> None:
    edge = Edge()
    message = ask(host=DOMAIN)
    edge.arrive(message)
    edge.answer(message, EDGE, STRANGER, "180 Ringing")
    edge.relay(anew(message, "x", uri=f"sip:200@{FOREIGN}"))
    assert "guard.open-relay" in edge.end()


def test_repetition_of_a_judged_request_is_not_counted_again() -> None:
    edge = Edge()
    message = ask()
    edge.relay(message)
    edge.arrive(message)
    edge.leave(message, ANOTHER)
    edge.end()
    assert [each.requests for each in edge.guard.findings] == [1]


def test_many_branches_do_not_crowd_out_where_a_request_went() -> None:
    edge = Edge()
    message = ask()
    for mark in range(20):
        edge.arrive(anew(message, str(mark)))
    edge.leave(message, ANOTHER)
    assert edge.end() == ["guard.open-relay"]


def test_many_responses_that_nobody_waits_for_do_not_crowd_out_the_answer() -> None:
    edge = Edge()
    message = edge.arrive(ask(method="REGISTER", host=DOMAIN))
    for number in range(40):
        edge.answer(message, f"203.0.113.{number + 100}", EDGE, "180 Ringing")
    edge.answer(message, EDGE, STRANGER, "200 OK", Contact=f"<sip:a@{STRANGER}>")
    assert edge.end() == ["guard.open-registrar"]


# ---- made-up acquaintance ----------------------------------------------------------------------------------------


def test_password_that_a_foreign_registrar_took_makes_nobody_a_user() -> None:
    edge = Edge()
    edge.relay(junk("REGISTER", FOREIGN))
    edge.relay(ask(serial=1))
    assert edge.end() == ["guard.open-relay"]


def test_registrar_that_takes_any_password_is_no_proof_of_one() -> None:
    edge = Edge()
    edge.refuse(junk("REGISTER", DOMAIN), "200 OK", Contact=f"<sip:a@{STRANGER}>")
    edge.relay(ask(serial=1))
    assert (edge.end(), edge.undecided) == ([], ["earlier-challenge"])


def test_after_an_hour_only_a_password_that_we_asked_for_makes_a_user() -> None:
    edge = Edge()
    edge.refuse(ask(USER), source=USER)
    edge.wait(HOUR_S + 60)
    edge.refuse(junk("REGISTER", DOMAIN), "200 OK", Contact=f"<sip:a@{STRANGER}>")
    edge.relay(ask(serial=1))
    assert edge.end() == ["guard.open-relay"]


def test_address_of_a_user_of_yesterday_is_a_strangers() -> None:
    edge = Edge()
    edge.register()
    edge.wait(25 * HOUR_S)
    edge.register(ANOTHER)
    edge.relay(ask(serial=1), "203.0.113.50")
    assert edge.end() == ["guard.open-relay"]


def test_response_that_nobody_waits_for_opens_no_dialog() -> None:
    edge = Edge()
    edge.refuse(ask(USER), source=USER)
    edge.wait(HOUR_S + 60)
    message = ask(serial=1, to_tag="made-up")
    edge.answer(message, STRANGER, EDGE, "200 OK")
    edge.relay(message)
    assert edge.end() == ["guard.open-in-dialog"]


def test_response_of_the_caller_to_its_own_refused_call_opens_no_dialog() -> None:
    edge = Edge()
    edge.refuse(ask(USER), source=USER)
    edge.wait(HOUR_S + 60)
    message = ask(host=DOMAIN)
    edge.refuse(message, "404 Not Found")
    edge.answer(message, STRANGER, EDGE, "200 OK")
    again = ask(to_tag="answered")
    again.put("CSeq", "2 INVITE")
    edge.relay(again)
    assert "guard.open-in-dialog" in edge.end()


# ---- honest ones -------------------------------------------------------------------------------------------------


def test_call_that_rings_at_many_phones_is_a_dialog_with_each() -> None:
    edge = Edge()
    edge.register(ANOTHER)
    message = edge.arrive(ask(host=DOMAIN, serial=5))
    onward = edge.leave(message, ANOTHER)
    for number in range(40):
        early = copy.deepcopy(onward)
        early.put("To", f"{early.get('To')};tag=phone{number}")
        edge.answer(early, ANOTHER, EDGE, "180 Ringing")
        back = copy.deepcopy(message)
        back.put("To", early.get("To"))
        edge.answer(back, EDGE, STRANGER, "180 Ringing")
    edge.wait(HOUR_S + 60)
    bye = ask(host=FOREIGN, serial=5, method="BYE", to_tag="phone39")
    bye.put("From", message.get("From"))
    bye.put("CSeq", "2 BYE")
    edge.relay(bye, TRUNK)
    assert "within a dialog that is known" in edge.guard.summary().allowed


def test_refresh_without_a_password_of_who_showed_one_is_silent() -> None:
    edge = Edge()
    edge.register()
    edge.wait(300)
    edge.refuse(ask(host=DOMAIN, method="REGISTER", serial=7), "200 OK", Contact=f"<sip:a@{STRANGER}>")
    assert edge.end() == []


@pytest.mark.parametrize("host", [f"{DOMAIN}.", DOMAIN.upper(), f"{EDGE}"])
def test_domain_of_ours_is_ours_however_it_is_written(host: str) -> None:
    edge = Edge()
    edge.relay(ask(host=host))
    assert (edge.end(), edge.undecided) == ([], ["own-name"])


def test_browsers_of_our_users_do_not_crowd_out_the_name_of_the_edge() -> None:
    edge = Edge()
    for number in range(300):
        edge.relay(ask(USER, serial=number), source=USER)
        named = ask(USER, serial=1_000 + number)
        named.vias = [f"SIP/2.0/WSS x{number}.invalid;branch=z9hG4bK{number}"]
        edge.arrive(named, USER)
    assert edge.guard._policy.own_names == set()


def test_proxy_that_forks_one_call_to_two_numbers_of_ours_is_two_requests() -> None:
    edge = Edge()
    message = ask(host=DOMAIN)
    edge.relay(message, USER)
    edge.relay(anew(message, "fork", uri=f"sip:101@{DOMAIN}"), USER)
    assert (edge.end(), edge.guard.summary().handed_on) == ([], 2)


def test_user_whose_password_comes_under_the_same_cseq_is_no_stranger() -> None:
    edge = Edge()
    again = edge.log_in(method="INVITE", host=FOREIGN)
    again.put("CSeq", "1 INVITE")
    edge.relay(anew(again, "again"), TRUNK)
    assert edge.end() == []
    assert edge.guard.summary().allowed


@pytest.mark.parametrize("is_late", [False, True])
@pytest.mark.parametrize("index", range(3))
def test_user_is_not_accused_where_a_message_before_the_registrars_last_is_lost_or_late(
    index: int, is_late: bool
) -> None:
    whole = Edge()
    whole.register()
    whole.wait(1)
    whole.relay(ask(serial=1))
    seen = list(whole.seen)
    moved = seen.pop(index)
    if is_late:
        seen.insert(index + 1, moved)
    edge = Edge()
    for each in seen:
        edge.found += edge.guard.take(each)
    assert edge.end() == []
