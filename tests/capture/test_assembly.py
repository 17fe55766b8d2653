"""Pieces in any order, the first to claim an octet keeps it."""

from hypothesis import given
from hypothesis import strategies as st

from relaytrap.capture.assembly import Assembly

PIECES = st.lists(st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=12)), max_size=20)


@given(PIECES)
def test_it_keeps_exactly_what_a_map_of_octets_would(pieces):
    assembly, octets, conflicts = Assembly(), {}, set()
    for start, data in pieces:
        assembly.add(start, data, 0, 0)
        for at, octet in enumerate(data, start):
            if octets.setdefault(at, octet) != octet:
                conflicts.add(at)
    kept = {at: octet for start, data, _, _ in assembly.chunks for at, octet in enumerate(data, start)}
    assert kept == octets
    assert assembly.octets == len(octets)
    disputed = {at for begin, end in assembly.disputes.spans for at in range(begin, end)}
    assert conflicts <= disputed
    assert bool(conflicts) == bool(disputed)
    starts = [chunk[0] for chunk in assembly.chunks]
    assert starts == sorted(starts)


@given(PIECES)
def test_taking_from_the_front_gives_the_leading_octets(pieces):
    assembly = Assembly()
    for start, data in pieces:
        assembly.add(start, data, 0, 0)
    leading, taken, at = assembly.leading(), b"", 0
    while chunk := assembly.take_from(at):
        taken += chunk[1]
        at += len(chunk[1])
    assert taken == leading
    assert assembly.octets == sum(len(chunk[1]) for chunk in assembly.chunks)
