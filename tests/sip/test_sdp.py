"""Session descriptions."""

from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sip import parse_message
from relaytrap.sip.sdp import find_odd_line, read_sdp
from tests.sip.torture import INVITE, IS_SDP, message

BODY = (
    b"v=0\r\no=- 16264 18299 IN IP4 192.0.2.7\r\ns=call\r\nc=IN IP4 192.0.2.8\r\nt=0 0\r\n"
    b"m=audio 25282 RTP/AVP 0 101\r\na=rtpmap:0 pcmu/8000\r\n"
    b"m=video 3227/2 RTP/AVP 31\r\nc=IN IP6 2001:db8::1/127\r\na=sendonly\r\n"
)


def test_lines_stand_as_written_and_in_order() -> None:
    assert read_sdp(BODY).lines[:3] == ((b"v", b"0"), (b"o", b"- 16264 18299 IN IP4 192.0.2.7"), (b"s", b"call"))


def test_origin_is_taken_apart() -> None:
    origin = read_sdp(BODY).origin
    assert origin is not None
    assert (origin.username, origin.session_id, origin.version, origin.address) == (
        b"-",
        b"16264",
        b"18299",
        b"192.0.2.7",
    )


def test_origin_of_the_wrong_shape_is_none() -> None:
    assert read_sdp(b"o=only three fields\r\n").origin is None


def test_first_connection_is_found() -> None:
    assert read_sdp(BODY).connection == b"192.0.2.8"


def test_media_are_taken_apart() -> None:
    assert read_sdp(BODY + b"m=\r\nm=image 1\r\n").media == (
        (b"audio", b"RTP/AVP", (b"0", b"101")),
        (b"video", b"RTP/AVP", (b"31",)),
        (b"", b"", ()),
        (b"image", b"", ()),
    )


def test_odd_line_is_kept_whole() -> None:
    assert read_sdp(b"v=0\r\nm =video 1\r\n").lines[1] == (b"", b"m =video 1")


def test_odd_line_is_found() -> None:
    assert find_odd_line(BODY) == -1
    assert find_odd_line(b"v=0\r\nm =video 1\r\n") == 5


def test_message_knows_its_description_by_content_type() -> None:
    parsed = parse_message(message(INVITE, IS_SDP + b"; charset=x", body=BODY))
    assert parsed.sdp is not None  # type: ignore[union-attr]  # a request
    other = parse_message(message(INVITE, b"Content-Type: text/plain", body=BODY))
    assert other.sdp is None  # type: ignore[union-attr]  # a request


def test_odd_line_is_an_anomaly_at_its_place() -> None:
    data = message(INVITE, IS_SDP, body=b"v=0\r\nnonsense\r\n")
    (anomaly,) = parse_message(data).anomalies
    assert (anomaly.name, data[anomaly.offset : anomaly.offset + 4]) == ("sdp", b"nons")


@given(st.binary(max_size=120) | st.text("vomca=0 :/IN\r\n", max_size=80).map(str.encode))
def test_any_octets_are_read(body: bytes) -> None:
    sdp = read_sdp(body)
    _ = sdp.origin, sdp.connection, sdp.media
    assert -1 <= find_odd_line(body) <= len(body)
