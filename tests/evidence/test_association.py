"""Whole scenes in memory: hidden requests find their campaign, liars are found out, nobody innocent is named.

Every scene is made here from real message bytes (relays.py), so the path rules are part of what is tested.
"""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relaytrap.evidence.association import associate
from relaytrap.evidence.host import CANDIDATES_MAX, Candidates, Host
from relaytrap.evidence.kamailio import branch_hash
from tests.evidence.relays import (
    Scene,
    analyse,
    b2bua,
    kamailio,
    liar,
    proxy,
    request,
    stripper,
    token,
    topoh,
)

A, B, STRANGER, INNOCENT = "198.51.100.66", "198.51.100.67", "198.51.100.72", "198.51.100.200"
HONEST = [(kamailio, f"203.0.113.{n}") for n in range(11, 17)]
HIDING = [(b2bua, "203.0.113.31"), (stripper, "203.0.113.32"), (topoh(b"secret", 3), "203.0.113.33")]
LYING = (liar(INNOCENT), "203.0.113.41")
SENSORS = ("one", "two", "three")


def sweep(scene: Scene, origin: str, targets, relays, *, start: float = 0, every: float = 2, seed: int = 1, **given):
    """A scan of targets in an order of its own, relay after relay, sensor after sensor; None for straight on."""
    order = list(targets)
    random.Random(seed).shuffle(order)
    for number, target in enumerate(order):
        message = request(origin, str(target), serial=number, **given)
        jitter = int(token(origin, number, length=2), 16) / 2560
        relay = relays[number % len(relays)]
        scene.send(
            message, origin, *([relay] if relay else []), at=start + number * every + jitter,
            sensor=SENSORS[number // len(relays) % len(SENSORS)],
        )  # fmt: skip


def outcome(scene: Scene):
    """(right, none, wrong) origins among messages that came through relays, and the beliefs."""
    beliefs, settled = analyse(scene.seen)
    right = none = wrong = 0
    for belief, seen, origin in zip(beliefs, scene.seen, scene.truth, strict=True):
        if seen.source != origin:
            right += belief.origin == origin
            none += belief.origin is None
            wrong += belief.origin not in (origin, None)
    return right, none, wrong, beliefs, settled


def test_hidden_requests_fill_the_holes_of_their_sweep():
    scene = Scene()
    sweep(scene, A, range(100, 400), HONEST + HIDING)
    right, none, wrong, beliefs, settled = outcome(scene)
    assert (none, wrong) == (0, 0)
    assert right == 300
    assert {belief.verdict for belief in beliefs} == {"relayed", "hidden"}
    hidden = [seen.source in {address for _, address in HIDING} for seen in scene.seen]
    assert [belief.association for belief in beliefs] == hidden
    assert settled.origins.keys() == {A}


def test_two_interleaved_campaigns_of_one_tool_over_the_same_relays_stay_two():
    scene = Scene()
    sweep(scene, A, range(100, 400), HONEST + HIDING, seed=1)
    sweep(scene, B, range(100, 400), HONEST + HIDING, seed=2, start=0.7, every=2.1)
    right, _, wrong, _, _ = outcome(scene)
    assert wrong == 0
    assert right >= 0.97 * 600


def test_a_liar_that_serves_several_campaigns_frames_nobody():
    scene = Scene()
    sweep(scene, A, range(100, 300), [*HONEST, LYING])
    sweep(scene, B, range(600, 760), [*HONEST[:2], LYING], seed=2)
    _, none, wrong, _, settled = outcome(scene)
    assert (none, wrong) == (0, 0)
    assert settled.lying == {LYING[1]: {INNOCENT}}
    assert INNOCENT not in settled.origins


def test_a_stripped_stretch_goes_to_the_campaign_of_its_method():
    scene = Scene()
    relays = [*HONEST[:4], HIDING[1]]
    for part, relay in enumerate(relays):
        targets = range(200 + 15 * part, 213 + 15 * part)
        sweep(scene, A, targets, [relay], start=part * 30, method="REGISTER")
        sweep(scene, B, targets, [relay], start=part * 30 + 1, method="INVITE", seed=2)
    _, none, wrong, _, _ = outcome(scene)
    assert (none, wrong) == (0, 0)


def test_a_lying_relay_frames_nobody_and_its_requests_find_their_campaign():
    scene = Scene()
    sweep(scene, A, range(100, 400), [*HONEST, LYING])
    right, _, wrong, _, settled = outcome(scene)
    assert (right, wrong) == (300, 0)
    assert settled.lying == {"203.0.113.41": {INNOCENT}}
    assert INNOCENT not in settled.origins


def test_two_liars_with_two_stories_are_both_found_out():
    other = (liar("198.51.100.201"), "203.0.113.42")
    scene = Scene()
    sweep(scene, A, range(100, 400), [*HONEST, LYING, other])
    right, _, wrong, _, settled = outcome(scene)
    assert (right, wrong) == (300, 0)
    assert settled.lying.keys() == {"203.0.113.41", "203.0.113.42"}


def test_two_liars_with_one_story_are_found_out_by_three_times_as_many():
    scene = Scene()
    sweep(scene, A, range(100, 400), [*HONEST, LYING, (liar(INNOCENT), "203.0.113.42")])
    right, _, wrong, _, settled = outcome(scene)
    assert (right, wrong) == (300, 0)
    assert INNOCENT not in settled.origins


def test_a_liar_that_brings_three_requests_frames_nobody():
    scene = Scene()
    sweep(scene, A, range(100, 220), [*((kamailio, f"203.0.113.{n}") for n in range(50, 89)), LYING])
    _, _, wrong, _, settled = outcome(scene)
    assert wrong == 0
    assert INNOCENT not in settled.origins


@pytest.mark.parametrize("targets", [range(100, 130), range(100, 400, 20), range(420, 460)])
@pytest.mark.parametrize("count", [1, 2])
def test_another_attacker_with_the_same_tool_and_relays_of_its_own_is_no_invention(targets, count):
    scene = Scene()
    sweep(scene, A, range(100, 400), HONEST * 2)
    sweep(scene, B, targets, [(kamailio, f"203.0.113.{77 + n}") for n in range(count)])
    _right, none, wrong, _, settled = outcome(scene)
    assert (none, wrong, settled.lying, settled.doubted) == (0, 0, {}, {})


@pytest.mark.parametrize("targets", [range(100, 180), range(420, 480), range(100, 400, 5)])
def test_a_direct_scanner_of_the_same_tool_is_never_blamed_on_somebody_else(targets):
    scene = Scene()
    sweep(scene, A, range(100, 400), HONEST + HIDING)
    for number, target in enumerate(targets):
        scene.send(request(STRANGER, str(target), serial=number), STRANGER, at=5 + number * 3)
    beliefs, settled = analyse(scene.seen)
    assert {belief.verdict for belief, seen in zip(beliefs, scene.seen, strict=True) if seen.source == STRANGER} == {
        "direct"
    }
    assert not [source for source, _ in settled.hiding if source == STRANGER]


def test_an_origin_that_also_scans_by_itself_is_no_relay_of_its_own_campaign():
    scene = Scene()
    sweep(scene, A, range(100, 400), HONEST + HIDING + [None] * 2)
    beliefs, settled = analyse(scene.seen)
    own = [belief for belief, seen in zip(beliefs, scene.seen, strict=True) if seen.source == A]
    assert len(own) > 30
    assert {(belief.verdict, belief.origin) for belief in own} == {("direct", None)}
    assert {source for source, _ in settled.hiding} == {HIDING[0][1]}


def test_a_relay_that_names_somebody_else_each_time_frames_nobody():
    def tells_stories(message, relay, source, port):
        liar(f"198.51.101.{int(token(message.get('Call-ID'), length=2), 16) % 250}")(message, relay, source, port)

    scene = Scene()
    sweep(scene, A, range(100, 400), [*HONEST, (tells_stories, "203.0.113.41")])
    right, _, wrong, _, settled = outcome(scene)
    assert wrong == 0
    assert right >= 290
    assert settled.origins.keys() == {A}
    assert len(settled.lying["203.0.113.41"]) > 20


def test_requests_without_a_word_join_nobody_whom_only_an_imitated_proxy_names():
    scene = Scene()
    order = [*HONEST, *HIDING]
    for number, target in enumerate(range(100, 300)):
        message = request(B, str(target), serial=number, forwards=69)
        field = branch_hash(message.get("Call-ID").encode(), b"1").decode()
        message.vias = [
            f"SIP/2.0/UDP {B}:5074;branch=z9hG4bK{field}.{token(number, length=32)}.0",
            f"SIP/2.0/UDP {INNOCENT}:5060;received={INNOCENT};rport=5060;branch=z9hG4bK-{number}",
        ]
        scene.send(message, B, order[number % len(order)], at=number * 2)
    _, _, wrong, beliefs, settled = outcome(scene)
    assert (wrong, settled.unseen) == (0, {INNOCENT})
    assert {belief.origin for belief in beliefs} == {B, None}


def test_a_target_that_everybody_tries_hides_no_b2bua_that_sweeps_as_well():
    scene = Scene()
    sweep(scene, A, range(100, 400), [*HONEST, HIDING[0]])
    sweep(scene, B, ["100"] * 300, [*HONEST, HIDING[0]], start=1, method="OPTIONS")
    beliefs, settled = analyse(scene.seen)
    assert {source for source, _ in settled.hiding} == {HIDING[0][1]}
    assert {belief.verdict for belief in beliefs} == {"relayed", "hidden"}


def test_a_host_scan_of_the_same_tool_alone_is_no_b2bua():
    scene = Scene()
    sweep(scene, A, ["100"] * 300, HONEST, method="OPTIONS")
    sweep(scene, STRANGER, ["100"] * 60, [None], start=1, every=9, method="OPTIONS")
    _, settled = analyse(scene.seen)
    assert settled.hiding == {}


def test_two_host_scans_of_one_tool_through_relays_of_their_own_stay_two():
    scene = Scene()
    sweep(scene, A, ["100"] * 140, [(kamailio, f"203.0.113.{n}") for n in range(11, 25)], method="OPTIONS")
    sweep(scene, B, ["100"] * 40, [(kamailio, "203.0.113.60")], start=5, every=3, method="OPTIONS")
    right, none, wrong, _, settled = outcome(scene)
    assert (right, none, wrong, settled.lying) == (180, 0, 0, {})


def test_naive_relays_that_pass_on_what_a_sender_made_up_frame_nobody():
    scene = Scene()
    naive = [(proxy, f"203.0.113.{n}") for n in range(70, 75)]
    order = [*((kamailio, f"203.0.113.{n}") for n in range(11, 29)), *naive]
    for number, target in enumerate(range(100, 400)):
        message = request(A, str(target), serial=number, sent_by="192.168.1.9")
        message.vias[0] += f";received={INNOCENT}"
        scene.send(message, A, order[number % len(order)], at=number * 2)
    _, _, wrong, _, settled = outcome(scene)
    assert (wrong, settled.origins.keys()) == (0, {A})


def test_who_tries_one_target_over_and_over_fills_its_hole_once():
    scene = Scene()
    sweep(scene, A, [target for target in range(100, 400) if target % 9], HONEST)
    sweep(scene, STRANGER, ["108"] * 200, [None], start=1, every=3)
    sweep(scene, B, ["108"] * 50, HONEST[:1], start=1, every=12, method="OPTIONS")  # a second chance for the place
    beliefs, settled = analyse(scene.seen)
    assert settled.hiding == {}
    assert {belief.verdict for belief, seen in zip(beliefs, scene.seen, strict=True) if seen.source == STRANGER} == {
        "direct"
    }


def test_many_small_b2buas_are_found_together():
    scene = Scene()
    anew = [(b2bua, f"203.0.113.{n}") for n in range(60, 90)]
    sweep(scene, A, range(100, 400), [*HONEST * 10, *anew])
    right, _, wrong, _, settled = outcome(scene)
    assert (right, wrong) == (300, 0)
    assert len(settled.hiding) == 30


def test_forged_vias_contacts_and_claims_name_nobody():
    made_up = f"SIP/2.0/UDP {INNOCENT}:5060;received={INNOCENT};rport=5060;branch=z9hG4bK12ab.{'0' * 32}.0"
    scene = Scene()
    sweep(scene, A, range(100, 300), HONEST + HIDING, extra=[made_up], contact=INNOCENT)
    right, _, wrong, _, settled = outcome(scene)
    assert wrong == 0
    assert right >= 0.95 * 200
    assert settled.origins.keys() == {A}


def test_what_only_a_hiding_relay_brings_is_left_without_an_origin():
    scene = Scene()
    sweep(scene, A, range(100, 200), HONEST)
    sweep(scene, B, range(5000, 5040), [(stripper, "203.0.113.32")], contact="10.0.0.1")
    right, none, wrong, _, _ = outcome(scene)
    assert (right, none, wrong) == (100, 40, 0)


def test_a_relay_that_attacks_on_its_own_account_stays_direct_for_that():
    scene = Scene()
    sweep(scene, A, range(100, 300), HONEST)
    relay = HONEST[0][1]
    for number in range(40):
        scene.send(request(relay, str(900 + number), serial=number), relay, at=number * 3)
    beliefs, _ = analyse(scene.seen)
    assert [belief.verdict for belief in beliefs[-40:]] == ["direct"] * 40


def test_retransmissions_are_no_second_try():
    scene = Scene()
    sweep(scene, A, range(100, 300), HONEST + HIDING)
    once = analyse(scene.seen)[0]
    scene.seen += [seen for seen in scene.seen if seen.source == "203.0.113.31"]
    beliefs, _ = analyse(scene.seen)
    assert beliefs[: len(once)] == once


def mixed_scene() -> Scene:
    scene = Scene()
    sweep(scene, A, range(100, 200), HONEST[:4] + HIDING + [LYING, (proxy, "203.0.113.50")])
    sweep(scene, B, range(100, 160), HONEST[2:], seed=4, every=3.3)
    return scene


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False))
def test_the_order_of_arrival_leaves_no_trace(draw):
    scene = mixed_scene()
    expected, settled = analyse(scene.seen)
    order = list(range(len(scene.seen)))
    draw.shuffle(order)
    beliefs, again = analyse([scene.seen[number] for number in order])
    assert [beliefs[order.index(number)] for number in range(len(order))] == expected
    assert again == settled


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 10**6), st.integers(1, 40))
def test_unrelated_traffic_leaves_findings_alone(seed, count):
    scene = mixed_scene()
    expected, settled = analyse(scene.seen)
    drawn = random.Random(seed)
    size = len(scene.seen)
    for number in range(count):
        source = f"192.88.99.{drawn.randrange(1, 250)}"
        message = request(source, str(drawn.randrange(10**6, 10**8)), serial=number, method="OPTIONS", agent="phone")
        message.headers.append(("Subject", "hello"))
        scene.send(message, source, at=drawn.random() * 200)
    beliefs, again = analyse(scene.seen)
    assert beliefs[:size] == expected
    assert (again.origins, again.lying, again.hiding) == (settled.origins, settled.lying, settled.hiding)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(["contact", "via", "received"]), st.sampled_from([0, 3, 8]), st.sampled_from([70, 69]))
def test_a_false_claim_never_makes_an_innocent_more_than_claimed(where, every, forwards):
    scene = Scene()
    relays = HONEST[:4] + HIDING + [(proxy, "203.0.113.50")]
    for number, target in enumerate(range(100, 160)):
        made_up = f"SIP/2.0/UDP {INNOCENT}:5060;received={INNOCENT};rport=5060;branch=z9hG4bK9{number:03x}.{'1' * 32}.0"
        message = request(
            A, str(target), serial=number, forwards=forwards,
            contact=INNOCENT if where == "contact" else "", extra=[made_up] if where == "via" else (),
        )  # fmt: skip
        if where == "received":
            message.vias[0] += f";received={INNOCENT}"
        if every and number % every == 0:
            scene.send(message, A, at=number * 2)
        else:
            scene.send(message, A, relays[number % len(relays)], at=number * 2)
    beliefs, settled = analyse(scene.seen)
    assert INNOCENT not in settled.origins
    assert all(belief.origin != INNOCENT for belief in beliefs)


def test_nothing_gives_nothing():
    assert associate({}, []) == ([], [])


@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize("relay", [HIDING[0], LYING], ids=["b2bua", "liar"])
def test_who_tries_everything_twice_is_seen_through_as_well(relay, times):
    scene, order = Scene(), list(range(100, 280))
    random.Random(1).shuffle(order)
    relays = [*HONEST, relay]
    for number, target in enumerate(order):
        for again in range(times):
            message = request(A, str(target), serial=number * times + again)
            at = number * 2 + again * 0.05
            scene.send(message, A, relays[number % len(relays)], at=at, sensor=SENSORS[number // len(relays) % 3])
    right, none, wrong, _, settled = outcome(scene)
    assert (right, none, wrong) == (len(order) * times, 0, 0)
    assert settled.origins.keys() == {A}


def test_what_contact_says_makes_no_relay_a_liar():
    """Six relays bring what A sends in B's name; nothing of it fits into B's campaign, so they tell the truth."""
    scene = Scene()
    sweep(scene, B, range(500, 650), [(kamailio, f"203.0.113.{n}") for n in range(100, 120)])
    sweep(scene, A, range(100, 160), HONEST, contact=B)
    _, none, wrong, _, settled = outcome(scene)
    assert (none, wrong, settled.lying) == (0, 0, {})


def test_origins_made_up_by_the_thousand_crowd_out_nobody_whom_more_relays_name():
    hosts = {f"10.0.{n // 256}.{n % 256}": host(f"10.0.{n // 256}.{n % 256}", {"r"}) for n in range(3000)}
    hosts[A] = host(A, {"r", "s", "t"})
    hosts[A].lone = False
    candidates = Candidates(hosts)
    assert len(candidates.of_shape(7)) == len(candidates.every) == CANDIDATES_MAX
    assert candidates.every[0] is hosts[A]
    assert candidates.of_shape(7, lone=False) == [hosts[A]]
    assert candidates.of_shape(8) == []


def host(origin: str, relays: set[str]) -> Host:
    return Host(origin, 5060, relays=relays, shapes={7}, lone=True)
