"""A session description that agrees to a call and carries no sound: every stream inactive or refused (RFC 3264)."""

from collections.abc import Sequence
from typing import Final

from relaytrap.sip import Sdp

__all__ = ["media_lines"]

SPOKEN: Final = (b"0", b"8", b"101")
"""PCMU, PCMA and telephone-event: what everybody offers."""
ATTRIBUTES: Final = {
    b"0": b"a=rtpmap:0 PCMU/8000",
    b"8": b"a=rtpmap:8 PCMA/8000",
    b"101": b"a=rtpmap:101 telephone-event/8000",
}
MOST_STREAMS: Final = 8


def media_lines(offer: Sdp | None, port: int) -> Sequence[bytes]:
    """The `m=` and `a=` lines that answer an offer, one `m=` for each of its own; without an offer, one of ours.

    port: what the first audio stream names. It is inactive, so nobody sends there; streams of other kinds are refused.
    """
    media = offer.media[:MOST_STREAMS] if offer is not None else ()
    if not media:
        return _audio(b"RTP/AVP", SPOKEN, port)
    lines: list[bytes] = []
    has_audio = False
    for each in media:
        formats = tuple(form for form in SPOKEN if form in each.formats)
        if each.kind == b"audio" and formats and each.protocol == b"RTP/AVP" and not has_audio:
            lines += _audio(each.protocol, formats, port)
            has_audio = True
        else:
            lines.append(b"m=%b 0 %b %b" % (each.kind, each.protocol, b" ".join(each.formats[:16]) or b"0"))
    return lines


def _audio(protocol: bytes, formats: Sequence[bytes], port: int) -> list[bytes]:
    named = [ATTRIBUTES[form] for form in formats]
    return [b"m=audio %d %b %b" % (port, protocol, b" ".join(formats)), *named, b"a=inactive"]
