"""Session descriptions without sound."""

from hypothesis import given
from hypothesis import strategies as st

from relaytrap.sensor.media import media_lines
from relaytrap.sip.sdp import read_sdp


def answer(offer: bytes) -> list[bytes]:
    return list(media_lines(read_sdp(offer), 12345))


def test_audio_is_agreed_to_and_inactive() -> None:
    lines = answer(b"v=0\r\nm=audio 4000 RTP/AVP 18 0 101\r\na=sendrecv\r\n")
    assert lines[0] == b"m=audio 12345 RTP/AVP 0 101"
    assert lines[-1] == b"a=inactive"


def test_every_stream_of_the_offer_has_its_line_and_others_are_refused() -> None:
    lines = answer(b"v=0\r\nm=video 5 RTP/AVP 31\r\nm=audio 4000 RTP/SAVP 0\r\nm=audio 4000 RTP/AVP 18\r\n")
    assert lines == [b"m=video 0 RTP/AVP 31", b"m=audio 0 RTP/SAVP 0", b"m=audio 0 RTP/AVP 18"]


def test_without_an_offer_one_is_made() -> None:
    assert media_lines(None, 12345)[0] == b"m=audio 12345 RTP/AVP 0 8 101"


@given(st.binary(max_size=300))
def test_any_offer_gets_some_answer_of_bounded_length(offer: bytes) -> None:
    lines = answer(offer + b"\r\nm=audio 1 RTP/AVP 0" * 50)
    assert 1 <= len(lines) <= 16
