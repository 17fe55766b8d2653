"""The branch field that follows from Call-ID and CSeq. Vectors: branches that Kamailio 5.6.3 wrote in a laboratory."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.evidence.kamailio import branch_hash, field_agrees


@pytest.mark.parametrize(
    ("call_id", "cseq", "field"),
    [
        (b"n5hvmutifc9z8dztgacm4d", b"1", b"71a9"),
        (b"953qdcadaftk5dux24kjhx", b"1", b"35b1"),
        (b"470598606", b"1", b"919a"),
        (b"1-11816@198.51.100.90", b"1", b"01e9"),
        (b"1-11816@198.51.100.90", b"2", b"d0e9"),
        (b"235655009219687072720613", b"1", b"6a9d"),
    ],
)
def test_field_is_the_one_that_kamailio_wrote(call_id, cseq, field):
    assert branch_hash(call_id, cseq) == field


@given(st.binary(max_size=80), st.from_regex(rb"[0-9]{1,10}", fullmatch=True))
def test_a_branch_with_the_right_field_agrees_and_with_another_does_not(call_id, cseq):
    field = branch_hash(call_id, cseq)
    tail = b"." + b"0" * 32 + b".0"
    assert field_agrees(b"z9hG4bK" + field + tail, call_id, cseq) is True
    wrong = b"1" if field != b"1" else b"2"
    assert field_agrees(b"z9hG4bK" + wrong + tail, call_id, cseq) is False
