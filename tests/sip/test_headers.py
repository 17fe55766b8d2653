"""Header fields: canonical names, order, folding, offsets."""

from relaytrap.sip import parse_message
from relaytrap.sip.headers import canonical_name
from tests.sip.torture import OPTIONS, message


def test_compact_forms_are_known_by_their_long_name() -> None:
    assert [canonical_name(name) for name in (b"v", b"F", b"i ", b"CALL-id\t")] == [
        b"via",
        b"from",
        b"call-id",
        b"call-id",
    ]


def test_name_that_is_no_token_has_no_canonical_name() -> None:
    assert canonical_name(b"C(m)") == canonical_name(b"") == canonical_name(b" v") == b""


def test_names_stand_as_written_and_in_order() -> None:
    headers = parse_message(b"OPTIONS sip:a SIP/2.0\r\nv: x\r\nFROM : y\r\nX-Odd: z\r\n\r\n").headers
    assert headers.names() == (b"v", b"FROM ", b"X-Odd")
    assert headers.canonical_names() == (b"via", b"from", b"x-odd")


def test_first_value_and_all_values_are_found_by_canonical_name() -> None:
    headers = parse_message(message(OPTIONS, b"x: 1", b"Route: <sip:a>")).headers
    assert headers.get(b"session-expires") == b"1"
    assert headers.get_all(b"route") == (b"<sip:a>",)
    assert headers.get(b"absent") is None
    assert headers.get_all(b"absent") == ()


def test_repeated_fields_keep_their_order() -> None:
    headers = parse_message(b"OPTIONS sip:a SIP/2.0\r\nVia: 1\r\nTo: x\r\nv: 2\r\nVIA: 3\r\n\r\n").headers
    assert headers.get_all(b"via") == (b"1", b"2", b"3")
    assert headers.get(b"via") == b"1"


def test_folds_become_one_blank_and_stay_reachable() -> None:
    data = b"OPTIONS sip:a SIP/2.0\r\nSubject: one  \r\n\t two\r\n   \r\n three \r\nTo: x\r\n\r\n"
    headers = parse_message(data).headers
    assert headers.get(b"subject") == b"one two three"
    assert next(headers.raw_items()) == (b"Subject", b" one  \r\n\t two\r\n   \r\n three ")


def test_each_header_knows_its_offset() -> None:
    data = b"OPTIONS sip:a SIP/2.0\r\nA: 1\r\n 2\r\nBee: 3\r\n\r\n"
    header_list = list(parse_message(data).headers)
    assert [(header.name, header.value, data[header.offset :][:3]) for header in header_list] == [
        (b"accept-contact", b"1 2", b"A: "),
        (b"bee", b"3", b"Bee"),
    ]


def test_value_keeps_inner_blanks() -> None:
    assert (
        parse_message(b"OPTIONS sip:a SIP/2.0\r\nX:   a  b\tc \r\n\r\n").headers.get(b"session-expires") == b"a  b\tc"
    )


def test_empty_value_is_not_absent() -> None:
    headers = parse_message(b"OPTIONS sip:a SIP/2.0\r\nSubject:\r\n\r\n").headers
    assert headers.get(b"subject") == b""
    assert b"subject" in headers
