"""Telling first line, header fields and body apart."""

import pytest

from relaytrap.sip import Request, Response, Unparsed, parse_message, validate
from relaytrap.sip.parse import MAX_HEADER_BYTES, MAX_HEADERS
from tests.sip.torture import INVITE, IS_SDP, OPTIONS, SDP, message


def names(data: bytes) -> list[str]:
    return [anomaly.name for anomaly in parse_message(data).anomalies]


def request(data: bytes) -> Request:
    parsed = parse_message(data)
    assert isinstance(parsed, Request)
    return parsed


def test_request_line_is_taken_apart() -> None:
    parsed = request(message(INVITE))
    assert (parsed.method, parsed.request_uri, parsed.version) == (b"INVITE", b"sip:bob@example.net", b"SIP/2.0")


def test_status_line_is_taken_apart() -> None:
    parsed = parse_message(message(b"SIP/2.0 486 Busy Here, sorry"))
    assert isinstance(parsed, Response)
    assert (parsed.status_code, parsed.reason_phrase) == (486, b"Busy Here, sorry")


def test_good_message_has_no_anomalies() -> None:
    assert names(message(INVITE, IS_SDP, body=SDP)) == []


def test_empty_datagram_is_unparsed() -> None:
    parsed = parse_message(b"")
    assert isinstance(parsed, Unparsed)
    assert parsed.reason == "empty"


@pytest.mark.parametrize("data", [b"\r\n\r\n", b"\r\n", b"\x00\x00\x00\x00", b"\x00", b"jaK\x00", b"\n"])
def test_keepalives_are_known(data: bytes) -> None:
    parsed = parse_message(data)
    assert isinstance(parsed, Unparsed)
    assert parsed.reason == "keepalive"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nVia: 1.1 proxy\r\n\r\n",
        b'M-SEARCH * HTTP/1.1\r\nMAN: "ssdp:discover"\r\n\r\n',
        b"OPTIONS rtsp://1.2.3.4:554 RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00\x01\x00\x00\x21\x12\xa4\x42",
    ],
)
def test_other_protocols_are_no_sip(data: bytes) -> None:
    parsed = parse_message(data)
    assert isinstance(parsed, Unparsed)
    assert (parsed.reason, len(parsed.headers)) == ("not-sip", 0)


def test_broken_first_line_keeps_the_header_lines() -> None:
    parsed = parse_message(b"INVITE sip:a@b\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nCall-ID: x\r\n\r\n")
    assert isinstance(parsed, Unparsed)
    assert (parsed.reason, parsed.headers.get(b"call-id")) == ("start-line", b"x")


@pytest.mark.parametrize(
    ("before", "name"), [(b"\r\n\r\n", "leading-line-ends"), (b"\x00\x00", "leading-octets"), (b" ", "leading-octets")]
)
def test_what_stands_before_the_first_line_is_stepped_over(before: bytes, name: str) -> None:
    parsed = request(before + message(OPTIONS))
    assert [(anomaly.name, anomaly.offset) for anomaly in parsed.anomalies] == [(name, 0)]


def test_bare_line_feeds_end_lines() -> None:
    parsed = request(message(INVITE, IS_SDP, body=b"v=0\n").replace(b"\r\n", b"\n"))
    assert (parsed.call_id, parsed.body) == (b"843817637684230@998sdasdh09", b"v=0\n")
    assert parsed.anomalies[0].name == "bare-lf"


def test_bare_carriage_returns_end_lines_where_there_is_no_line_feed() -> None:
    parsed = request(message(OPTIONS).replace(b"\r\n", b"\r"))
    assert (parsed.call_id, len(parsed.vias)) == (b"843817637684230@998sdasdh09", 1)
    assert parsed.anomalies[0].name == "bare-cr"


def test_bare_carriage_returns_end_lines_although_the_body_holds_a_line_feed() -> None:
    head = message(OPTIONS, b"Content-Type: image/x", b"Content-Length: 4").replace(b"\r\n", b"\r")
    parsed = request(head + b"\x89\n\n\x00")
    assert (parsed.call_id, parsed.body) == (b"843817637684230@998sdasdh09", b"\x89\n\n\x00")


def test_two_carriage_returns_in_a_value_end_no_header_where_lines_end_in_crlf() -> None:
    data = message(OPTIONS).replace(b"\r\n", b"\r\nSubject: a\r\rb\r\n", 1)
    parsed = request(data)
    assert (len(parsed.vias), parsed.call_id) == (1, b"843817637684230@998sdasdh09")
    assert parsed.headers.get(b"subject") == b"a\r\rb"


def test_lines_that_end_in_several_carriage_returns_are_lines() -> None:
    parsed = request(message(OPTIONS).replace(b"\r\n", b"\r\r\n"))
    assert parsed.call_id == b"843817637684230@998sdasdh09"


@pytest.mark.parametrize("before", [b"\x0b", b"\x0c\x0b "])
def test_control_characters_before_the_method_move_no_other_element(before: bytes) -> None:
    parsed = request(before + b"AB B SIP/2.0\r\n\r\n")
    assert (parsed.method, parsed.request_uri, parsed.version) == (b"AB", b"B", b"SIP/2.0")
    assert {"header-control", "start-line-blanks"} <= set(names(parsed.raw))


@pytest.mark.parametrize("line", [b"OPTIONS\tsip:bob@example.net SIP/2.0", b"OPTIONS sip:bob@example.net\tSIP/2.0"])
def test_tab_between_the_elements_of_the_first_line_is_noted(line: bytes) -> None:
    parsed = request(message(OPTIONS).replace(OPTIONS, line))
    assert parsed.request_uri == b"sip:bob@example.net"
    assert names(parsed.raw) == ["start-line-blanks"]


def test_carriage_return_inside_a_line_stays_in_its_value() -> None:
    parsed = request(message(OPTIONS, b"Subject: a\rVia: SIP/2.0/UDP evil"))
    assert len(parsed.vias) == 1
    assert parsed.headers.get(b"subject") == b"a\rVia: SIP/2.0/UDP evil"
    assert "bare-cr" in names(parsed.raw)


def test_mixed_line_ends_find_the_empty_line() -> None:
    data = (
        message(OPTIONS, b"Content-Type: text/plain", b"Content-Length:").replace(b"\r\n\r\n", b"\n\r\n")
        + b"x\r\n\r\ny"
    )
    assert request(data).body == b"x\r\n\r\ny"


def test_anomaly_offset_points_at_the_octet() -> None:
    data = message(OPTIONS, b"To: <sip:bob@exa mple.net>")
    (anomaly,) = (each for each in parse_message(data).anomalies if each.name == "uri-blanks")
    assert data[anomaly.offset : anomaly.offset + 5] == b" mple"


def test_anomaly_offset_points_through_folding() -> None:
    data = message(OPTIONS, b"To:\r\n  <sip:bob@example.net>\r\n\t;tag=1 ;\r\n  ;x")
    (anomaly,) = (each for each in parse_message(data).anomalies if each.name == "param-gap")
    assert data[anomaly.offset : anomaly.offset + 1] == b";"
    assert data[anomaly.offset - 1 : anomaly.offset + 3] == b" ;\r\n"


def test_lines_that_are_no_headers_are_noted_and_kept() -> None:
    data = message(OPTIONS, b"no colon here", b"bad name: x", b": nameless")
    assert names(data) == ["header-no-colon", "header-name", "header-name"]
    assert (b"no colon here", b"") in parse_message(data).headers.raw_items()


def test_continuation_line_without_a_header_is_noted() -> None:
    data = message(OPTIONS).replace(b"\r\nVia", b"\r\n folded: x\r\nVia", 1)
    assert names(data) == ["header-fold-first"]
    assert len(request(data).vias) == 1


def test_end_inside_a_header_is_noted() -> None:
    data = message(OPTIONS)[:-14]
    assert names(data)[-2:] == ["no-empty-line", "cut-in-header"]


def test_control_characters_are_noted_but_not_behind_a_backslash() -> None:
    assert "header-control" in names(message(OPTIONS, b"User-Agent: a\x1b[31mb"))
    assert names(message(OPTIONS, b'To: "\\\x1b" <sip:bob@example.net>')) == []


def test_octets_that_are_no_utf8_are_noted() -> None:
    assert names(message(OPTIONS, b"User-Agent: \xff\xfe")) == ["header-not-utf8"]


def test_user_agent_falls_back_to_server() -> None:
    assert request(message(OPTIONS, b"Server: x")).user_agent == b"x"
    assert request(message(OPTIONS, b"Server: x", b"User-Agent: y")).user_agent == b"y"


@pytest.mark.parametrize(
    ("extra", "name"),
    [(b"\x00\x00", "padding"), (b"\r\n", "padding"), (b"junk", "extra-octets"), (message(OPTIONS), "second-message")],
)
def test_octets_behind_the_end_are_named(extra: bytes, name: str) -> None:
    data = message(OPTIONS) + extra
    assert request(data).extra == extra
    assert [(each.name, each.offset) for each in request(data).anomalies] == [(name, len(data) - len(extra))]


def test_body_without_content_length_reaches_to_the_end() -> None:
    assert request(message(INVITE, IS_SDP, b"Content-Length:", body=SDP)).body == SDP


def test_version_in_lower_case_is_noted_only() -> None:
    assert names(message(b"OPTIONS sip:bob@example.net sip/2.0")) == ["version-case"]


@pytest.mark.parametrize("code", [b"099", b"700", b"20", b"2000"])
def test_odd_status_codes_are_responses_all_the_same(code: bytes) -> None:
    parsed = parse_message(message(b"SIP/2.0 " + code + b" x"))
    assert isinstance(parsed, Response)
    assert parsed.status_code < 1000
    assert "status-code" in [anomaly.name for anomaly in parsed.anomalies]


def test_header_lines_beyond_the_limit_are_left_in_raw() -> None:
    data = message(OPTIONS, *(b"X%d: y" % at for at in range(MAX_HEADERS)))
    parsed = request(data)
    assert len(parsed.headers) == MAX_HEADERS
    assert "too-many-headers" in names(data)


def test_header_octets_beyond_the_limit_are_left_in_raw() -> None:
    data = message(OPTIONS, b"X: " + b"y" * MAX_HEADER_BYTES)
    parsed = request(data)
    assert parsed.call_id is not None
    assert "too-much-header" in names(data)


def test_digits_without_end_are_no_number() -> None:
    nines = b"9" * 5000
    data = message(
        OPTIONS,
        b"Content-Length: " + nines,
        b"Max-Forwards: " + nines,
        b"CSeq: " + nines + b" OPTIONS",
        b"Expires: " + b"0" * 20000,
        b"Via: SIP/2.0/UDP h:" + nines + b";rport=" + nines + b";branch=z9hG4bK1",
    )[:MAX_HEADER_BYTES]
    parsed = parse_message(data)
    assert {"cseq-range", "max-forwards", "port"} <= {anomaly.name for anomaly in parsed.anomalies}


def test_cseq_of_leading_zeros_is_read() -> None:
    cseq = request(message(INVITE, b"CSeq: 0009 INVITE")).cseq
    assert cseq is not None
    assert (cseq.number, cseq.method) == (9, b"INVITE")


@pytest.mark.parametrize("value", [b"0", b"70", b"0068", b"255"])
def test_max_forwards_is_read(value: bytes) -> None:
    assert request(message(OPTIONS, b"Max-Forwards: " + value)).max_forwards == int(value)


@pytest.mark.parametrize("value", [b"256", b"-1", b"", b"70 ;x", b"\xb2"])
def test_odd_max_forwards_is_none(value: bytes) -> None:
    parsed = request(message(OPTIONS, b"Max-Forwards: " + value + b" "))
    assert parsed.max_forwards is None
    assert "max-forwards" in [anomaly.name for anomaly in parsed.anomalies]


def test_equal_content_lengths_are_no_conflict() -> None:
    data = message(OPTIONS).replace(b"\r\n\r\n", b"\r\nl: 0\r\n\r\n")
    assert request(data).content_length == 0
    assert names(data) == ["header-repeated"]


def test_wildcard_contact_is_no_address() -> None:
    parsed = request(message(b"REGISTER sip:example.com SIP/2.0", b"Contact: *", b"Expires: 0"))
    assert (parsed.contacts, parsed.is_wildcard_contact, parsed.anomalies) == ((), True, ())


def test_wildcard_contact_with_an_expiry_is_noted() -> None:
    assert names(message(b"REGISTER sip:example.com SIP/2.0", b"Contact: *", b"Expires: 60")) == ["contact-star"]


def test_route_and_record_route_are_read_in_order() -> None:
    parsed = request(message(OPTIONS, b"Route: <sip:a;lr>, <sip:b;lr>", b"Record-Route: <sip:c;lr>"))
    assert [route.uri.host for route in parsed.route] == [b"a", b"b"]
    assert [route.uri.host for route in parsed.record_route] == [b"c"]


def test_via_count_counts_unreadable_hops_too() -> None:
    parsed = request(message(OPTIONS, b"Via: SIP/2.0/UDP a;branch=z9hG4bK1, nonsense"))
    assert (parsed.via_count, len(parsed.vias)) == (2, 1)


def test_vias_are_read_over_lines_that_are_not_adjacent() -> None:
    data = message(OPTIONS, b"v: SIP/2.0/TCP b, SIP/2.0/TLS c").replace(b"\r\n\r\n", b"\r\nVIA: SIP/2.0/UDP d\r\n\r\n")
    assert [via.sent_by_host for via in request(data).vias] == [b"pbx.example.com", b"b", b"c", b"d"]


def test_thousands_of_hops_end_in_an_anomaly() -> None:
    parsed = request(message(OPTIONS, b"Via: " + b",".join([b"SIP/2.0/UDP a;branch=z9hG4bK1"] * 2000)))
    assert (len(parsed.vias), parsed.via_count) == (255, 255)
    assert "too-many-values" in [anomaly.name for anomaly in parsed.anomalies]


def test_description_cut_in_its_middle_is_short() -> None:
    data = message(INVITE, IS_SDP, b"Content-Length: %d" % len(SDP), body=SDP[:20])
    assert names(data) == ["body-short"]


@pytest.mark.parametrize("line_end", [b"\n", b"\r"])
def test_body_that_lost_octets_with_its_line_ends_is_miscounted(line_end: bytes) -> None:
    data = message(INVITE, b"Content-Type: text/plain", body=b"one\r\ntwo\r\n").replace(b"\r\n", line_end)
    assert [name for name in names(data) if name.startswith("body")] == ["body-miscounted"]
    assert validate(parse_message(data)) is None


def test_body_that_lacks_more_than_its_line_ends_lost_is_short() -> None:
    data = message(INVITE, b"Content-Type: text/plain", body=b"one\r\ntwo\r\n").replace(b"\r\n", b"\n")
    assert "body-short" in names(data[:-4])
