"""Server transactions, as conversations: request in, actions out, timer, actions out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sip import Request, parse_message
from relaytrap.sip.build import build_response
from relaytrap.sip.transaction import (
    Action,
    Drop,
    Ended,
    PassUp,
    Send,
    ServerTransactions,
    State,
    Timers,
    Transaction,
    Trying,
)

PEER = "192.0.2.1"


def request(
    method: bytes,
    *,
    branch: bytes | None = b"z9hG4bK1",
    to_tag: bytes = b"",
    cseq: int = 1,
    call_id: bytes = b"c1",
    uri: bytes = b"sip:100@h",
) -> Request:
    via = b"SIP/2.0/UDP 192.0.2.1:5062" + (b"" if branch is None else b";branch=" + branch)
    tag = b";tag=" + to_tag if to_tag else b""
    parsed = parse_message(
        b"%b %b SIP/2.0\r\nVia: %b\r\nMax-Forwards: 70\r\nFrom: <sip:a@h>;tag=f1\r\nTo: <sip:100@h>%b\r\n"
        b"Call-ID: %b\r\nCSeq: %d %b\r\nContent-Length: 0\r\n\r\n" % (method, uri, via, tag, call_id, cseq, method)
    )
    assert isinstance(parsed, Request)
    return parsed


class Desk:
    """A table and the clock that drives it; answers like a TU."""

    def __init__(self, **options: object) -> None:
        self.table = ServerTransactions(**options)  # type: ignore[arg-type]  # passed on
        self.now = 100.0

    def hear(self, heard: Request, *, reliable: bool = False, peer: str = PEER) -> list[Action]:
        return self.table.receive_request(heard, peer, self.now, is_reliable=reliable)

    def open(self, heard: Request, *, reliable: bool = False, peer: str = PEER) -> Transaction:
        (action,) = self.hear(heard, reliable=reliable, peer=peer)
        assert isinstance(action, PassUp)
        assert action.transaction is not None
        return action.transaction

    def answer(self, transaction: Transaction, status: int, to_tag: bytes = b"t1") -> bytes:
        data = build_response(transaction.request, status, b"x", to_tag=to_tag)
        self.sent = self.table.send_response(transaction, status, data, self.now)
        return data

    def wait(self, seconds: float) -> list[tuple[float, Action]]:
        """Lets time pass; gives (seconds since then, action) for every timer that fired."""
        start, end = self.now, self.now + seconds
        fired: list[tuple[float, Action]] = []
        while (due := self.table.next_timer()) is not None and due <= end:
            self.now = due
            fired += [(round(due - start, 3), action) for action in self.table.handle_timers(due)]
        self.now = end
        return fired


class TestNonInvite:
    def test_request_is_passed_up_once(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"OPTIONS"))
        assert transaction.state is State.TRYING
        assert desk.hear(request(b"OPTIONS")) == [Drop("retransmission", transaction)]

    def test_retransmission_gets_the_last_provisional(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"SUBSCRIBE"))
        data = desk.answer(transaction, 183)
        assert desk.hear(request(b"SUBSCRIBE")) == [Send(transaction, data, again=True)]

    def test_retransmission_gets_the_final_until_timer_j(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"OPTIONS"))
        data = desk.answer(transaction, 200)
        assert desk.sent == [Send(transaction, data, again=False)]
        assert desk.wait(31.9) == []
        assert desk.hear(request(b"OPTIONS")) == [Send(transaction, data, again=True)]
        assert desk.wait(0.2) == [(0.1, Ended(transaction, "done"))]
        assert isinstance(desk.hear(request(b"OPTIONS"))[0], PassUp)

    def test_reliable_transport_ends_at_the_final(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"OPTIONS"), reliable=True)
        data = desk.answer(transaction, 200)
        assert desk.sent == [Send(transaction, data, again=False), Ended(transaction, "done")]
        assert len(desk.table) == 0

    def test_second_final_is_not_sent(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"OPTIONS"))
        desk.answer(transaction, 200)
        desk.answer(transaction, 404)
        assert desk.sent == []


class TestInvite:
    def test_trying_is_due_after_200_ms_of_silence(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"INVITE"))
        assert desk.wait(1) == [(0.2, Trying(transaction))]

    def test_trying_is_not_due_once_something_was_sent(self) -> None:
        desk = Desk()
        desk.answer(desk.open(request(b"INVITE")), 180)
        assert desk.wait(60) == []

    def test_final_is_repeated_at_doubling_intervals_until_timer_h(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"INVITE"))
        data = desk.answer(transaction, 486)
        fired = desk.wait(40)
        assert [at for at, action in fired] == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 32.0]
        assert all(action == Send(transaction, data, again=True) for _, action in fired[:-1])
        assert fired[-1][1] == Ended(transaction, "no-ack")

    def test_ack_ends_the_repetition(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"INVITE"))
        desk.answer(transaction, 486)
        assert len(desk.wait(0.6)) == 1
        assert desk.hear(request(b"ACK", to_tag=b"t1")) == [Drop("ack", transaction)]
        assert transaction.state is State.CONFIRMED
        assert desk.hear(request(b"INVITE")) == [Drop("retransmission", transaction)]
        assert desk.hear(request(b"ACK", to_tag=b"t1")) == [Drop("ack", transaction)]
        assert desk.wait(10) == [(5.0, Ended(transaction, "done"))]

    def test_ack_on_a_reliable_transport_ends_at_once(self) -> None:
        desk = Desk()
        desk.answer(desk.open(request(b"INVITE"), reliable=True), 486)
        desk.hear(request(b"ACK", to_tag=b"t1"))
        assert len(desk.table) == 0

    def test_reliable_transport_repeats_no_final(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"INVITE"), reliable=True)
        desk.answer(transaction, 486)
        assert desk.wait(40) == [(32.0, Ended(transaction, "no-ack"))]

    def test_retransmission_gets_the_final_again(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"INVITE"))
        data = desk.answer(transaction, 486)
        assert desk.hear(request(b"INVITE")) == [Send(transaction, data, again=True)]

    def test_success_is_repeated_until_its_ack(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"INVITE"))
        data = desk.answer(transaction, 200)
        assert transaction.state is State.ACCEPTED
        assert [at for at, _ in desk.wait(2)] == [0.5, 1.5]
        ack = request(b"ACK", to_tag=b"t1", branch=b"z9hG4bK-other")
        assert desk.hear(ack) == [PassUp(None, ack, transaction)]
        assert desk.wait(60) == [(30.0, Ended(transaction, "done"))]
        assert data.startswith(b"SIP/2.0 200")

    def test_success_is_repeated_on_reliable_transports_too(self) -> None:
        desk = Desk()
        desk.answer(desk.open(request(b"INVITE"), reliable=True), 200)
        assert len(desk.wait(1)) == 1

    def test_success_without_ack_ends_with_timer_l(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"INVITE"))
        desk.answer(transaction, 200)
        assert desk.wait(40)[-1] == (32.0, Ended(transaction, "no-ack"))

    def test_retransmission_of_an_accepted_invite_is_absorbed(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"INVITE"))
        desk.answer(transaction, 200)
        assert desk.hear(request(b"INVITE")) == [Drop("retransmission", transaction)]

    def test_further_success_is_sent_and_a_late_failure_is_not(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"INVITE"))
        desk.answer(transaction, 200)
        data = desk.answer(transaction, 200, to_tag=b"t2")
        assert desk.sent == [Send(transaction, data, again=False)]
        desk.answer(transaction, 486)
        assert desk.sent == []

    def test_ack_of_another_dialog_does_not_stop_the_success(self) -> None:
        desk = Desk()
        desk.answer(desk.open(request(b"INVITE")), 200)
        stray = request(b"ACK", to_tag=b"other", branch=b"z9hG4bK-other")
        assert desk.hear(stray) == [Drop("ack-without-invite")]
        assert len(desk.wait(1)) == 1

    def test_nothing_is_repeated_when_retransmission_is_off(self) -> None:
        desk = Desk(timers=Timers(retransmits=False))
        transaction = desk.open(request(b"INVITE"))
        desk.answer(transaction, 486)
        assert desk.wait(40) == [(32.0, Ended(transaction, "no-ack"))]


class TestMatching:
    def test_another_branch_is_another_transaction(self) -> None:
        desk = Desk()
        assert desk.open(request(b"OPTIONS")) is not desk.open(request(b"OPTIONS", branch=b"z9hG4bK2"))

    def test_another_method_is_another_transaction(self) -> None:
        desk = Desk()
        assert desk.open(request(b"OPTIONS")) is not desk.open(request(b"REGISTER"))

    def test_another_peer_is_another_transaction(self) -> None:
        desk = Desk()
        assert desk.open(request(b"OPTIONS")) is not desk.open(request(b"OPTIONS"), peer="198.51.100.1")

    def test_cancel_names_its_invite_and_has_a_transaction_of_its_own(self) -> None:
        desk = Desk()
        invite = desk.open(request(b"INVITE"))
        cancel = request(b"CANCEL")
        (action,) = desk.hear(cancel)
        assert isinstance(action, PassUp)
        assert action.matched is invite
        assert action.transaction is not invite

    def test_cancel_of_nothing_is_passed_up_without_an_invite(self) -> None:
        (action,) = Desk().hear(request(b"CANCEL"))
        assert isinstance(action, PassUp)
        assert action.matched is None

    def test_stray_ack_opens_nothing(self) -> None:
        desk = Desk()
        assert desk.hear(request(b"ACK")) == [Drop("ack-without-invite")]
        assert len(desk.table) == 0

    @pytest.mark.parametrize("branch", [None, b"foo", b"z9hG4bK"])
    def test_requests_without_cookie_are_matched_as_rfc_2543_matched(self, branch: bytes | None) -> None:
        desk = Desk()
        transaction = desk.open(request(b"OPTIONS", branch=branch))
        assert desk.hear(request(b"OPTIONS", branch=branch)) == [Drop("retransmission", transaction)]
        for other in (
            request(b"OPTIONS", branch=branch, cseq=2),
            request(b"OPTIONS", branch=branch, call_id=b"c2"),
            request(b"OPTIONS", branch=branch, uri=b"sip:101@h"),
            request(b"OPTIONS", branch=branch, to_tag=b"x"),
        ):
            assert isinstance(desk.hear(other)[0], PassUp)

    def test_ack_without_cookie_must_carry_the_tag_of_the_answer(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"INVITE", branch=b"foo"))
        desk.answer(transaction, 486, to_tag=b"mine")
        desk.hear(request(b"ACK", branch=b"foo", to_tag=b"other"))
        assert transaction.state is State.COMPLETED
        desk.hear(request(b"ACK", branch=b"foo", to_tag=b"mine"))
        assert transaction.state is State.CONFIRMED

    def test_request_without_via_is_matched(self) -> None:
        desk = Desk()
        bare = parse_message(b"REGISTER sip:h SIP/2.0\r\nCall-ID: x\r\n\r\n")
        assert isinstance(bare, Request)
        transaction = desk.open(bare)
        assert desk.hear(bare) == [Drop("retransmission", transaction)]

    def test_find_gives_the_transaction(self) -> None:
        desk = Desk()
        transaction = desk.open(request(b"INVITE"))
        assert desk.table.find(request(b"CANCEL"), PEER, method=b"INVITE") is transaction
        assert desk.table.find(request(b"CANCEL"), PEER) is None


class TestLimits:
    def test_oldest_goes_when_the_table_is_full(self) -> None:
        desk = Desk(max_transactions=3)
        opened = [desk.open(request(b"OPTIONS", branch=b"z9hG4bK%d" % at)) for at in range(3)]
        actions = desk.hear(request(b"OPTIONS", branch=b"z9hG4bKnew"))
        assert actions[0] == Ended(opened[0], "evicted")
        assert len(desk.table) == 3
        desk.answer(opened[0], 200)
        assert desk.sent == []

    def test_oldest_go_when_too_many_octets_are_held(self) -> None:
        size = len(request(b"OPTIONS").raw)
        desk = Desk(max_bytes=3 * size + 10)
        for at in range(9):
            desk.hear(request(b"OPTIONS", branch=b"z9hG4bK%d" % at))
            assert len(desk.table) <= 3

    def test_timers_of_what_has_gone_are_forgotten(self) -> None:
        desk = Desk(max_transactions=4)
        for at in range(2000):
            transaction = desk.table.receive_request(request(b"INVITE", branch=b"z9hG4bK%d" % at), PEER, desk.now)[-1]
            assert isinstance(transaction, PassUp)
            assert transaction.transaction is not None
            desk.answer(transaction.transaction, 486)
            desk.table.next_timer()
        assert len(desk.table._heap) <= 8 * 4 + 64 + 3

    def test_everything_ends(self) -> None:
        desk = Desk()
        for at, status in enumerate((200, 486, 180)):
            desk.answer(desk.open(request(b"OPTIONS", branch=b"z9hG4bK%d" % at)), status)
            desk.answer(desk.open(request(b"INVITE", branch=b"z9hG4bK%d" % at, call_id=b"%d" % at)), status)
        desk.wait(100)
        assert len(desk.table) == 2  # the two that were only told 180: theirs to finish


def test_forgetting_what_was_evicted_leaves_the_transaction_that_came_again() -> None:
    """Else the octets of the second would count as held for good."""
    desk = Desk(max_transactions=1)
    evicted = desk.open(request(b"OPTIONS"))
    desk.hear(request(b"OPTIONS", branch=b"z9hG4bK2"))
    again = next(action.transaction for action in desk.hear(request(b"OPTIONS")) if isinstance(action, PassUp))
    desk.table.forget(evicted)
    assert len(desk.table) == 1
    assert again is not None
    desk.table.forget(again)
    assert len(desk.table) == 0


@given(st.lists(st.tuples(st.sampled_from("IACO"), st.floats(0, 0.15)), max_size=30), st.sampled_from([200, 302, 486]))
def test_over_a_link_that_repeats_and_reorders_each_request_is_passed_up_once(
    script: list[tuple[str, float]], status: int
) -> None:
    """INVITE, ACK, CANCEL and OPTIONS arrive again and again, in any order, for less than timer I lasts."""
    desk = Desk()
    heard = {
        "I": request(b"INVITE"),
        "A": request(b"ACK", to_tag=b"t1"),
        "C": request(b"CANCEL"),
        "O": request(b"OPTIONS", branch=b"z9hG4bK2"),
    }
    seen: list[bytes] = []
    for letter, pause in script:
        for action in desk.hear(heard[letter]):
            if isinstance(action, PassUp) and action.transaction is not None:
                seen.append(action.request.method)
                desk.answer(action.transaction, status)
        desk.wait(pause)
    assert len(seen) == len(set(seen))
