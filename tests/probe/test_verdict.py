"""What arrivals and answers prove."""

from collections.abc import Callable

import pytest

from relaytrap.probe.plan import Plan, Way, plan_probes
from relaytrap.probe.request import METHODS, Probe
from relaytrap.probe.target import Endpoint, Target
from relaytrap.probe.tricks import STANDARD, Ends
from relaytrap.probe.verdict import Answer, Arrival, Outcome, judge_server

ENDS = Ends(
    "203.0.113.5", 5060, "pbx.example", "192.0.2.10", 5060, "198.51.100.10", 5061, "k3yabcdefgh1", "99900000001"
)


def arrived(method: str, *, ours_alone: bool = False) -> Arrival:
    return Arrival(0.1, "203.0.113.5", 5060, "udp", method, ("SIP/2.0/UDP 203.0.113.5",), 7, b"", ours_alone)


def family(relays: Callable[[Probe], bool], status_code: int = 403, transports: str = "udp tcp") -> list[Outcome]:
    """What a server gives that relays the probes it relays, and answers the others with one status."""
    found = []
    for transport in transports.split():
        for method in METHODS:
            for trick in STANDARD:
                probe = Probe(method, transport, trick, ENDS)
                if relays(probe):
                    found.append(Outcome(probe, (arrived(method),), (Answer(0.2, 486, "Busy Here", True),)))
                else:
                    found.append(Outcome(probe, (), (Answer(0.2, status_code, "x", False),) if status_code else ()))
    return found


def classes(outcomes: list[Outcome], *, witness_reachable: bool = True) -> list[tuple[str, str]]:
    return [(each.name, detail) for each, detail in judge_server(outcomes, witness_reachable=witness_reachable)]


def test_server_that_relays_everything_is_open() -> None:
    assert classes(family(lambda probe: True)) == [("open", "")]


def test_one_method_names_the_method() -> None:
    assert classes(family(lambda probe: probe.method == "INVITE")) == [("open for a method", "INVITE")]


def test_one_transport_names_the_transport() -> None:
    assert classes(family(lambda probe: probe.transport == "tcp")) == [("open on a transport", "TCP")]


def test_from_hole() -> None:
    assert classes(family(lambda probe: probe.trick.startswith("from"))) == [("open by From", "")]


def test_route_hole() -> None:
    assert classes(family(lambda probe: probe.trick == "route")) == [("open by Route", "")]


def test_default_configuration_is_open_in_dialog_only() -> None:
    assert classes(family(lambda probe: probe.trick == "to-tag-route")) == [("open in-dialog", "")]


def test_method_and_in_dialog_are_both_said_most_severe_first() -> None:
    found = classes(family(lambda probe: probe.method == "INVITE" or probe.trick == "to-tag-route"))
    assert found == [("open for a method", "INVITE"), ("open in-dialog", "")]


@pytest.mark.parametrize(
    ("status_code", "name"),
    [
        (403, "refused"),
        (404, "refused"),
        (302, "refused"),
        (407, "challenges"),
        (478, "probable"),
        (477, "probable"),
        (408, "undecided"),
        (480, "undecided"),
        (482, "undecided"),
        (483, "undecided"),
        (487, "undecided"),
        (500, "undecided"),
        (503, "undecided"),
        (100, "undecided"),
        (200, "answers itself"),
        (0, "unanswered"),
    ],
)
def test_status_without_arrival(status_code: int, name: str) -> None:
    assert classes(family(lambda probe: False, status_code)) == [(name, "")]


def test_two_hundred_is_never_proof_of_relaying() -> None:
    assert not any(
        each.exit_status == 1 for each, _ in judge_server(family(lambda p: False, 200), witness_reachable=True)
    )


def test_unreachable_witness_is_never_closed() -> None:
    assert classes(family(lambda probe: False, 403), witness_reachable=False) == [("witness not reachable", "")]


def test_our_own_datagram_sent_back_is_an_echo_not_a_relay() -> None:
    probe = Probe("OPTIONS", "udp", "plain", ENDS)
    assert Outcome(probe, (arrived("OPTIONS", ours_alone=True),)).result == "echoed"


def test_arrival_wins_over_any_status() -> None:
    probe = Probe("INVITE", "udp", "plain", ENDS)
    assert Outcome(probe, (arrived("INVITE"),), (Answer(0.1, 403, "Forbidden", False),)).result == "relayed"


def test_nothing_could_be_sent() -> None:
    probe = Probe("OPTIONS", "tcp", "plain", ENDS)
    assert classes([Outcome(probe, error="refused")]) == [("not run", "")]


def test_server_that_falls_silent_midway_is_not_called_closed() -> None:
    outcomes = family(lambda probe: False, 403)
    answered = len(STANDARD) + 2
    banned = [*outcomes[:answered], *(Outcome(each.probe) for each in outcomes[answered:])]
    assert classes(banned) == [("undecided", "")]


def test_one_server_error_among_refusals_is_not_called_closed() -> None:
    outcomes = family(lambda probe: False, 403)
    probe = outcomes[4].probe
    assert classes([*outcomes[:4], Outcome(probe, (), (Answer(0.2, 503, "x", False),)), *outcomes[5:]]) == [
        ("undecided", "")
    ]


def test_server_that_is_silent_to_every_stranger_and_answers_in_between_is_closed() -> None:
    outcomes = family(lambda probe: False, 404)
    choosy = [each if each.probe.trick == "route" else Outcome(each.probe) for each in outcomes]
    assert classes(choosy) == [("refused", "")]


def test_silence_to_the_last_tricks_that_nothing_follows_is_not_called_closed() -> None:
    outcomes = [each for each in family(lambda probe: False, 404) if each.probe.transport == "udp"]
    by_trick = sorted(outcomes, key=lambda each: STANDARD.index(each.probe.trick))
    banned = [*by_trick[:9], *(Outcome(each.probe) for each in by_trick[9:])]
    assert classes(banned) == [("undecided", "")]


def test_one_lost_answer_or_a_method_never_answered_leaves_a_server_closed() -> None:
    outcomes = family(lambda probe: False, 403)
    lossy = [Outcome(each.probe) if number == 4 else each for number, each in enumerate(outcomes)]
    assert classes(lossy) == [("refused", "")]
    deaf = [Outcome(each.probe) if each.probe.method == "REGISTER" else each for each in outcomes]
    assert classes(deaf) == [("refused", "")]


@pytest.mark.parametrize(("method", "toll"), [("INVITE", True), ("OPTIONS", False), ("REGISTER", False)])
def test_only_a_call_that_is_taken_may_be_a_toll_relay(method: str, toll: bool) -> None:
    number = Outcome(Probe(method, "udp", "number", ENDS), (), (Answer(0.2, 200, "OK", False),))
    found = [name for name, _ in classes([*family(lambda probe: False, 403), number])]
    assert ("possible toll relay" in found) is toll


def test_number_of_the_users_own_is_called_and_never_registered() -> None:
    target = Target("pbx.example", "pbx.example", (Endpoint("udp", "203.0.113.5", 5060),))
    plan = Plan(target, "198.51.100.10", tricks=("number",), number="+4930123")
    way = Way(target.endpoints[0], "198.51.100.10", 5061, ("192.0.2.10", 5060))
    probes = plan_probes(plan, [way])
    assert [probe.method for probe in probes] == ["INVITE"]
