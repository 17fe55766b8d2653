"""A persona's words made ready: every answer as a compiled form, every tag, nonce and session made anew."""

from typing import Final

from relaytrap.sensor.flow import Flow
from relaytrap.sensor.media import media_lines
from relaytrap.sensor.pattern import Pattern, RandomBytes
from relaytrap.sensor.persona import Answer, Persona
from relaytrap.sensor.reply import Form, Slots, compile_form
from relaytrap.sip import Request, parse_message

__all__ = ["PROVING_BITS", "Voice"]

PROVING_BITS: Final = 32
"""A tag of fewer random bits could be guessed by somebody who never saw it."""
REHEARSAL: Final = (
    b"INVITE sip:1@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:2@192.0.2.1>;tag=1\r\n"
    b"To: <sip:1@192.0.2.2>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:2@192.0.2.1>\r\n\r\n"
)


class Voice:
    """What one installation's persona can say. forms: by answer name. challenges: by challenge name."""

    def __init__(self, persona: Persona) -> None:
        self.forms: dict[str, Form] = {name: compile_form(answer, persona) for name, answer in persona.answers.items()}
        self.challenges: dict[str, Form] = {
            name: compile_form(Answer(status=each.status, headers=each.headers), persona, challenge_header=each.header)
            for name, each in persona.challenges.items()
        }
        self._persona = persona
        self._given = {"started_ms": b"%d" % persona.started_ms}
        self._nonces = {name: Pattern(each.nonce) for name, each in persona.challenges.items()}
        self._values = {name: Pattern(each.value) for name, each in persona.challenges.items()}
        self._short_nonces = {name: Pattern(each.short_nonce) for name, each in persona.challenges.items()}
        self._short_values = {name: Pattern(each.short_value) for name, each in persona.challenges.items()}
        self._tag = Pattern(persona.wire.to_tag)
        self.short_tag = Pattern(persona.wire.short_tag)
        self._dialog_tag = Pattern(persona.wire.dialog_tag or persona.wire.to_tag)
        self._session = [Pattern(line) for line in persona.ring.sdp] if persona.ring else []

    def rehearse(self) -> None:
        """Say everything once to a made-up request. Raises KeyError with the field that nobody can fill."""
        request = parse_message(REHEARSAL)
        assert isinstance(request, Request)
        slots = Slots(request, Flow("udp", "192.0.2.1", 5060, "192.0.2.2", 5060), self._persona, 0)
        slots.use_tag(self.make_tag(self._tag, request, bytes, 0))
        self.make_tag(self._dialog_tag, request, bytes, 0)
        self.make_tag(self.short_tag, request, bytes, 0)
        slots[b"body"] = self.session(request, slots.flow, bytes, 0)
        for name, form in self.challenges.items():
            self.challenge(name, b"", bytes, 0, short=True)
            _, slots[b"challenge"] = self.challenge(name, b"", bytes, 0)
            form.rehearse(slots)
        for form in self.forms.values():
            form.rehearse(slots)

    def tag_pattern(self, form: Form) -> Pattern:
        """How the To tag of this answer is made."""
        return self._dialog_tag if form.answer.tag == "dialog" else self._tag

    def make_tag(self, pattern: Pattern, request: Request, random: RandomBytes, now_ns: int) -> bytes:
        """A To tag. Of `{branch}`, a request without one gets random digits."""
        given = self._given
        if pattern.names_branch:
            branch = request.vias[0].branch if request.vias else None
            given = {**given, "branch": branch or random(8).hex().encode()}
        return pattern.make(random, now_ns, given)

    def challenge(
        self, name: str, stale: bytes, random: RandomBytes, now_ns: int, *, short: bool = False
    ) -> tuple[bytes, bytes]:
        """A fresh nonce, and the header value that carries it; short: in as few octets as clients understand."""
        nonces, values = (self._short_nonces, self._short_values) if short else (self._nonces, self._values)
        nonce = nonces[name].make(random, now_ns, self._given)
        return nonce, values[name].make(random, now_ns, {**self._given, "nonce": nonce, "stale": stale})

    def session(self, request: Request, flow: Flow, random: RandomBytes, now_ns: int) -> bytes:
        """A session description that answers the request's offer, or (to another method) tells of abilities."""
        number = int.from_bytes(random(4), "big") & 0x7FFFFFFF
        given = {
            **self._given,
            "session": b"%d" % number,
            "session2": b"%d" % (number ^ 0x15A),
            "session4": b"%d" % (number % 9000 + 1000),
            "session4b": b"%d" % (number // 9000 % 9000 + 1000),
            "ip": b"IP6" if ":" in flow.local else b"IP4",
            "media": flow.local.encode(),
        }
        head = [line.make(random, now_ns, given) for line in self._session]
        is_call = request.method == b"INVITE"
        port = 10_000 + 2 * (number % 5_000) if is_call else 0
        return b"\r\n".join([*head, *media_lines(request.sdp if is_call else None, port)]) + b"\r\n"
