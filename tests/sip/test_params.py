"""Parameters and comma-separated lists."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sip.params import (
    MAX_PARAMS,
    MAX_VALUES,
    find_param,
    plain_params,
    read_params,
    split_list,
    split_params,
    unquote,
)


def test_elements_come_with_their_offsets() -> None:
    assert split_list(b"a ,  b,c") == [(0, b"a"), (5, b"b"), (7, b"c")]


def test_quotes_and_brackets_hide_commas() -> None:
    assert [element for _, element in split_list(b'"a,\\",b", <c,d>, e')] == [b'"a,\\",b"', b"<c,d>", b"e"]


@pytest.mark.parametrize("value", [b'"a, b', b"<a, b", b'a"\\", b', b'"\\", b'])
def test_open_quotes_and_brackets_hide_nothing(value: bytes) -> None:
    assert len(split_list(value)) == 2


def test_list_without_end_is_cut() -> None:
    elements = split_list(b"," * 10000)
    assert len(elements) == MAX_VALUES + 1


def test_parameters_keep_order_case_and_quotes() -> None:
    defects: list[tuple[str, int]] = []
    assert read_params(b' ; A = "x;y" ;b;C=1', 0, defects) == ((b"A", b'"x;y"'), (b"b", None), (b"C", b"1"))
    assert defects == []


def test_odd_parameters_are_kept_as_well_as_can_be() -> None:
    defects: list[tuple[str, int]] = []
    assert read_params(b';a=@;b="open;c', 10, defects) == ((b"a", b"@"), (b"b", b'"open'), (b"c", None))
    assert defects == [("param", 10), ("param", 14)]


def test_parameters_without_end_are_cut() -> None:
    defects: list[tuple[str, int]] = []
    assert len(read_params(b";a" * 1000, 0, defects)) == MAX_PARAMS
    assert defects[0] == ("too-many-values", 2 * MAX_PARAMS)


def test_gaps_without_end_are_cut() -> None:
    defects: list[tuple[str, int]] = []
    read_params(b";" * 10000, 0, defects)
    assert len(defects) <= MAX_PARAMS + 1


def test_parameter_is_found_in_any_case() -> None:
    assert find_param(((b"Tag", b"1"), (b"tag", b"2")), b"tag") == b"1"
    assert find_param((), b"tag") is None


def test_quotes_and_backslashes_are_taken_off() -> None:
    assert unquote(b'"a\\"b\\\\"') == b'a"b\\'
    assert unquote(b"plain") == b"plain"
    assert unquote(b'"open') == b'"open'


@given(st.text('a,"<>\\ ', max_size=40).map(str.encode))
def test_elements_stand_where_their_offsets_say(value: bytes) -> None:
    for offset, element in split_list(value):
        assert value[offset : offset + len(element)] == element


def test_parameters_of_a_plain_text_are_told_apart_in_order() -> None:
    assert plain_params(b"") == ()
    assert plain_params(b";rport=5060;lr;rport") == ((b"rport", b"5060"), (b"lr", None), (b"rport", None))


@given(
    st.lists(st.sampled_from([b";", b"=", b'"', b"\\", b" ", b"\t", b"a", b"received", b",", b"@", b";b=1"])).map(
        b"".join
    )
)
def test_split_parameters_are_those_that_are_read_and_join_to_the_text(text: bytes) -> None:
    text = text and b";" + text
    pieces = split_params(text)
    assert b"".join(piece for _, piece in pieces) == text
    assert [name for name, piece in pieces if piece[:1] == b";" and piece[1:].strip(b" \t")] == [
        name for name, _ in read_params(text, 0, [])
    ]
