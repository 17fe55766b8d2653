"""A raw message as lines with what was found in them."""

from hypothesis import given, settings
from hypothesis import strategies as st

from relaytrap.sip import parse_message
from relaytrap.web.annotate import Line, Mark, annotate, hex_lines, marks_of

INVITE = (
    b"INVITE sip:1@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1\r\nf: <sip:2@192.0.2.1>;tag=a\r\n"
    b"To: <sip:1@192.0.2.1>\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nSubject: one\r\n two\r\n\r\nv=0\r\n"
)


def text_of(line: Line) -> str:
    return "".join(piece.text for piece in line.pieces)


def test_lines_have_their_offsets_parts_and_ends() -> None:
    lines, beyond = annotate(parse_message(INVITE), [])
    assert beyond == 0
    assert [line.part for line in lines] == ["start", *["header"] * 6, "folded", "blank", "body"]
    for line in lines:
        assert INVITE[line.offset :].startswith(text_of(line).encode())
        assert line.end == "CRLF"


def test_header_name_is_told_from_its_value() -> None:
    lines, _ = annotate(parse_message(INVITE), [])
    assert next((piece.text, piece.kind) for piece in lines[2].pieces) == ("f", "name")


def test_mark_colours_its_bytes_and_speaks_below_its_line() -> None:
    start = INVITE.index(b"branch=")
    lines, _ = annotate(parse_message(INVITE), [Mark(start, start + 16, "tool", "Its branch.")])
    assert ("branch=z9hG4bK1", "tool") in [(piece.text, piece.kind) for piece in lines[1].pieces]
    assert lines[1].notes == (("tool", "Its branch."),)


def test_shortest_mark_decides_the_colour_where_one_lies_in_another() -> None:
    start = INVITE.index(b"SIP/2.0/UDP")
    inner = INVITE.index(b"192.0.2.9")
    marks = [Mark(start, start + 40, "path", "A hop."), Mark(inner, inner + 9, "decoded", "An address.")]
    lines, _ = annotate(parse_message(INVITE), marks)
    assert ("192.0.2.9", "decoded") in [(piece.text, piece.kind) for piece in lines[1].pieces]


def test_first_kind_decides_the_colour_over_the_same_bytes() -> None:
    start = INVITE.index(b"192.0.2.9")
    marks = [Mark(start, start + 9, "decoded", "An address."), Mark(start, start + 9, "path", "A hop.")]
    lines, _ = annotate(parse_message(INVITE), marks)
    assert ("192.0.2.9", "path") in [(piece.text, piece.kind) for piece in lines[1].pieces]
    assert len(lines[1].notes) == 2


def test_anomaly_is_marked_at_its_byte_with_its_section() -> None:
    raw = INVITE.replace(b"z9hG4bK1", b"1")
    row = {"evidence": [], "decoded": []}
    lines, _ = annotate(parse_message(raw), marks_of(row, parse_message(raw)))
    assert any("RFC 3261 8.1.1.7" in text for line in lines for _, text in line.notes)


def test_very_long_message_is_cut_and_says_how_much_is_left_out() -> None:
    raw = INVITE + b"x" * 100_000
    lines, beyond = annotate(parse_message(raw), [])
    assert beyond == len(raw) - 65_536
    assert lines[-1].cut > 0


def test_evidence_without_a_place_marks_nothing() -> None:
    found = {"rule": "path.one-via", "text": "x", "offset": -1, "length": 0}
    row = {"evidence": [found, found | {"offset": 10**6, "length": 5}], "decoded": []}
    assert [mark for mark in marks_of(row, parse_message(INVITE)) if mark.kind == "path"] == []


@settings(deadline=None)
@given(
    st.binary(max_size=400),
    st.lists(
        st.tuples(st.integers(0, 500), st.integers(1, 50), st.sampled_from(["path", "tool", "anomaly", "decoded"]))
    ),
)
def test_every_byte_is_shown_exactly_once(raw: bytes, places: list[tuple[int, int, str]]) -> None:
    marks = [Mark(start, start + size, kind, "x") for start, size, kind in places]
    lines, beyond = annotate(parse_message(raw), marks)
    assert beyond == 0
    edges = [*(line.offset for line in lines), len(raw)]
    assert edges[0] == 0
    for line, start, stop in zip(lines, edges, edges[1:], strict=False):
        end = {"CRLF": b"\r\n", "LF": b"\n", "": b""}[line.end]
        assert start < stop
        assert raw[start:stop].endswith(end)
        assert b"\n" not in raw[start : stop - len(end)]


@given(st.text(alphabet="abc:;=<>@ \r\n\t", max_size=300))
def test_pieces_of_a_line_join_to_its_text(text: str) -> None:
    raw = text.encode()
    lines, _ = annotate(parse_message(raw), [Mark(3, 9, "tool", "x"), Mark(5, 40, "path", "y")])
    ends = {"CRLF": "\r\n", "LF": "\n", "": ""}
    assert "".join("".join(piece.text for piece in line.pieces) + ends[line.end] for line in lines) == text


def test_hex_dump_has_offset_bytes_and_text() -> None:
    assert hex_lines(b"INVITE\x00\xff")[0] == "000000  49 4e 56 49 54 45 00 ff                           INVITE.."


def test_hex_dump_stops_and_says_how_much_is_left_out() -> None:
    dump, beyond = hex_lines(bytes(20_000))
    assert dump.count("\n") == 1023
    assert beyond == 20_000 - 16_384
