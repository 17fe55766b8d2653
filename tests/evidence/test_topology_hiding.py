"""Masked hops: undone with the built-in key, worked out from many messages under a secret one."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relaytrap.evidence import topology_hiding
from relaytrap.evidence.association import MASKED_MAX, associate
from relaytrap.evidence.topology_hiding import (
    MASKED_BRANCH,
    Masked,
    fits,
    masked_text,
    sender_key,
    solve,
    unmask,
)
from relaytrap.evidence.visits import TrackInfo, Visit
from tests.evidence.relays import mask

VIA = "SIP/2.0/UDP {host};received={seen};TH=div;branch=z9hG4bK-{branch};rport={port}"


def via(sender: str, port: int, branch: int, *, sent_by: str = "") -> str:
    host = f"{sent_by or sender}:{port}"
    return VIA.format(host=host, seen=sender, branch=branch, port=port)


def sample(key: bytes, sender: str, port: int, number: int, *, contact: str = "", sent_by: str = "") -> Masked:
    user = str(100 + number)
    line = f"sip:{user}@{contact or f'{sent_by or sender}:{port}'}"
    masked = MASKED_BRANCH + mask(via(sender, port, 10**6 + number * 7919, sent_by=sent_by), key, 5).encode()
    return Masked(masked, b"sr-" + mask(line, key, 5).encode(), user.encode(), b"192.0.2.10")


def test_built_in_key_gives_the_via_that_was_masked():
    plain = via("198.51.100.66", 5074, 307410798)
    assert unmask(MASKED_BRANCH + mask(plain).encode()) == plain.encode()


def test_what_kamailio_masked_comes_off():
    masked = (
        b"z9hG4bKsr-j4IPOlV7MGQKatycM.qZOBjfOBFAMGZ6WBvuMxN4zweI36KYpEKqH.FszGZuMmZfMxy7WB3XKFcQgSI6z6eL3RsBCxu-zRrU"
        b"WSeOO.MAWlPfMxNszx1LNSQLpx4uMxN4"
    )
    assert unmask(masked).startswith(b"SIP/2.0/UDP 198.51.100.66:5074;received=198.51.100.66;")


def test_another_key_gives_nothing_readable():
    assert unmask(MASKED_BRANCH + mask(via("198.51.100.66", 5074, 1), b"secret", 5).encode()) is None


def test_values_too_long_to_be_masked_are_not_kept():
    kept = len(topology_hiding._kept)
    assert unmask(MASKED_BRANCH + b"A" * 60_000) is None
    assert len(topology_hiding._kept) == kept


@given(st.binary(max_size=200))
def test_any_bytes_unmask_to_text_or_nothing(data):
    plain = unmask(MASKED_BRANCH + data)
    assert plain is None or plain.isascii()
    assert masked_text(data) is None or data.startswith((b"z9hG4bKsr-", b"sr-", b"!!:"))


octets = st.integers(0, 255)
senders = st.tuples(st.integers(1, 223), octets, octets, octets).map(lambda parts: ".".join(map(str, parts)))


@settings(max_examples=40, deadline=None)
@given(senders, st.integers(1024, 65535), st.binary(min_size=4, max_size=12))
def test_twenty_messages_under_a_secret_key_give_their_sender_or_none(sender, port, key):
    solution = solve([sample(key, sender, port, number) for number in range(20)])
    if solution is not None:
        assert (solution.sender.address, solution.messages) == (sender, 20)
        assert solution.sender.port in (port, 0)


def test_a_secret_key_hides_hardly_any_sender_from_twenty_messages():
    random = Random(5)
    senders = [f"{random.randint(1, 223)}.{'.'.join(str(random.randint(0, 255)) for _ in range(3))}" for _ in range(60)]
    keys = [random.randbytes(random.randint(4, 12)) for _ in senders]
    ports = [random.randint(1024, 65535) for _ in senders]
    hidden = [
        sender
        for sender, port, key in zip(senders, ports, keys, strict=True)
        if solve([sample(key, sender, port, number) for number in range(20)]) is None
    ]
    assert len(hidden) <= 1


def test_a_sender_beside_which_a_translated_one_fits_is_not_told():
    """10.10.154.100, that calls itself 10.10.124.100:8055, would be masked into the same symbols."""
    assert solve([sample(bytes(4), "10.10.124.100", 8052, number) for number in range(20)]) is None


def test_a_port_of_which_two_fit_is_not_told():
    solution = solve([sample(bytes(4), "1.0.0.0", 1842, number) for number in range(20)])
    assert solution is not None
    assert (solution.sender.address, solution.sender.port) == ("1.0.0.0", 0)


@settings(max_examples=40, deadline=None)
@given(senders, st.integers(1024, 65535), st.binary(min_size=4, max_size=12))
def test_what_is_solved_is_never_another_address(sender, port, key):
    solution = solve([sample(key, sender, port, 1)])
    assert solution is None or solution.sender.address == sender


def test_a_sender_behind_address_translation_is_found_by_what_the_relay_noted():
    samples = [sample(b"key!", "203.0.113.77", 5074, number, sent_by="192.168.1.20") for number in range(20)]
    assert solve(samples).sender.address == "203.0.113.77"


def test_more_masked_senders_than_anybody_meets_are_looked_for_by_their_requests():
    """Each that is looked for costs a search; one who makes up masks by the thousand shall not hold up the rest."""
    tracks, visits = {}, []
    for number in range(MASKED_MAX + 10):
        sender, requests = f"198.51.{number // 200}.{number % 200 + 1}", 2 if number >= 10 else 1
        masks = (sample(b"secret", sender, 5074, 1),)
        tracks[number] = TrackInfo("hidden", "203.0.113.33", None, 0, 1, 2, masks)
        visits += [
            Visit(number * 2 + again, number, number, "203.0.113.33", 100, "one", number * 2 + again, "", "extension")
            for again in range(requests)
        ]
    found = associate(tracks, visits).placements
    assert len({each.visit.track for each in found if each.origin}) > MASKED_MAX * 0.9
    assert not any(each.origin for each in found if each.visit.track < 10)


def test_a_contact_that_names_us_leaves_too_much_open_but_fits_a_known_sender():
    samples = [sample(b"key!", "198.51.100.66", 5074, number, contact="192.0.2.10") for number in range(20)]
    solution = solve(samples)
    assert solution is None or solution.sender.address == "198.51.100.66"
    assert fits(samples[0], "198.51.100.66", 5074)


def test_a_contact_that_names_an_innocent_never_makes_it_the_sender():
    samples = [sample(b"key!", "198.51.100.66", 5074, n, contact="198.51.100.99:5074") for n in range(20)]
    solution = solve(samples)
    assert solution is None or solution.sender.address == "198.51.100.66"


def test_masked_hops_fit_their_sender_and_hardly_another():
    one = sample(b"secret", "198.51.100.66", 5074, 1)
    assert fits(one, "198.51.100.66", 5074)
    assert not any(fits(one, f"198.51.100.{last}", 5074) for last in range(256) if last != 66)


def places(known: str, *masked: str) -> set[str]:
    """Whom one masking relay's requests are put down to, without Contacts; known: an origin that relays vouch for."""
    tracks = {at: TrackInfo("relayed", f"203.0.113.{at}", known, 5074, 1, 2) for at in (1, 2)}
    for at, sender in enumerate(masked, 3):
        bare = Masked(sample(b"secret", sender, 5074, 1).via, b"", b"100")
        tracks[at] = TrackInfo("hidden", "203.0.113.33", None, 0, 9, 2, (bare,))
    visits = [Visit(at, at, at, info.source, 0, "one", at, "", "host") for at, info in tracks.items()]
    return {place.origin for place in associate(tracks, visits).placements if place.visit.track > 2}


def test_a_known_sender_that_fits_two_different_masked_ones_is_neither():
    one, like_it = "198.51.101.9", "198.51.101.2"
    assert fits(sample(b"secret", like_it, 5074, 1), one, 5074)
    assert places(one, one) == {one}
    assert places(one, one, like_it) == {""}


def test_one_sender_has_one_key_whatever_it_asks_for():
    one, other = sample(b"secret", "198.51.100.66", 5074, 1), sample(b"secret", "198.51.100.66", 5074, 2)
    neighbour = sample(b"secret", "198.51.100.67", 5074, 1)
    assert sender_key(one.via) == sender_key(other.via) != sender_key(neighbour.via)


@given(st.lists(st.tuples(st.binary(max_size=60), st.binary(max_size=40), st.binary(max_size=8)), max_size=4))
def test_any_samples_are_solved_or_not_without_raising(parts):
    solve([Masked(MASKED_BRANCH + via_, contact, user) for via_, contact, user in parts])


@pytest.mark.parametrize("text", [b"", b"z9hG4bK-123", b"SIP"])
def test_what_is_not_masked_has_no_text(text):
    assert masked_text(text) is None
