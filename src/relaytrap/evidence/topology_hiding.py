"""Topology hiding by Kamailio's `topoh`: what it masks, and how it comes off.

`topoh` rewrites each Via, Contact, Record-Route (and, if told to, the Call-ID) into a constant host and one masked
value: base64 with an alphabet shuffled by a key. That is a simple substitution of 64 symbols, not encryption:

- with the built-in key anybody can undo it. (The binary holds and uses `aL9.n8~Hm]Z`; the documentation names
  another.) What comes off is as good as the relay that wrote it: vouched.
- with a secret key, one alphabet still serves every message of that relay, and the plain text is known in part:
  `SIP/2.0/UDP `, `;received=`, `;branch=z9hG4bK` and, in Contact, `sip:EXTENSION@`. `solve` looks for the one sender's
  address under which every symbol of many messages keeps one meaning. That is an inference, and is reported as such
  with the number of messages behind it.

Even without any key, two masked hops that begin alike came from the same sender (`sender_key`).
"""

import hashlib
import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from relaytrap.kept import Kept

__all__ = [
    "BUILT_IN_KEY",
    "MASKED_BRANCH",
    "MASKED_CALL_ID",
    "MASKED_PARAM",
    "Masked",
    "Sender",
    "Solution",
    "fits",
    "masked_text",
    "sender_key",
    "solve",
    "unmask",
]

BUILT_IN_KEY: Final = b"aL9.n8~Hm]Z"
MASKED_BRANCH: Final = b"z9hG4bKsr-"
MASKED_CALL_ID: Final = b"!!:"
MASKED_PARAM: Final = b"sr-"

SYMBOLS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"
PADDING: Final = b"*"
# The shuffle mixes in a checksum, of which only the residues modulo 4 and modulo the key's length count. For the
# built-in key this one gives readable text and the other 43 do not.
BUILT_IN_RESIDUE: Final = 29
LONGEST: Final = 1024


def alphabet(key: bytes, residue: int) -> bytes:
    """The 64 symbols in the order that a key gives them."""
    words = struct.unpack("<4I", hashlib.md5(key + key, usedforsecurity=False).digest())
    symbols = bytearray(SYMBOLS)
    for last in range(64, 1, -1):
        turn = residue + last + len(key)
        drawn = ((words[turn % 4] + key[turn % len(key)]) & 0xFFFFFFFF) % last
        symbols[drawn], symbols[last - 1] = symbols[last - 1], symbols[drawn]
    return bytes(symbols)


BUILT_IN: Final = {symbol: value for value, symbol in enumerate(alphabet(BUILT_IN_KEY, BUILT_IN_RESIDUE))}


def masked_text(value: bytes) -> bytes | None:
    """The symbols of a masked branch, parameter or Call-ID without their mark and padding; None for anything else."""
    for mark in (MASKED_BRANCH, MASKED_CALL_ID, MASKED_PARAM):
        if value.startswith(mark):
            return value[len(mark) :].rstrip(PADDING)
    return None


def _unmask(value: bytes) -> bytes | None:
    text = masked_text(value)
    if not text or len(text) > LONGEST:
        return None
    plain = _plain(text, BUILT_IN)
    return plain if plain and all(32 <= octet < 127 for octet in plain) else None


_kept: Final = Kept(_unmask, most=1 << 12, longest=LONGEST)


def unmask(value: bytes) -> bytes | None:
    """What a masked value stands for under the built-in key; None when it is not masked with that."""
    return _kept[value]


def _plain(text: bytes, values: dict[int, int]) -> bytes | None:
    bits = 0
    for symbol in text:
        value = values.get(symbol)
        if value is None:
            return None
        bits = bits << 6 | value
    spare = len(text) * 6 % 8
    return (bits >> spare).to_bytes(len(text) * 6 // 8, "big")


# ---- a secret key: many messages, one alphabet -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sender:
    """Who a hop took the message from, as it wrote it down: the address it saw when it noted one, else the sent-by."""

    address: str
    port: int
    sent_by: str


@dataclass(frozen=True, slots=True)
class Masked:
    """The masked parts of one message, with what is known about them.

    via, contact: as they stand, with their marks (contact b"" when there is none). user: the one that Contact should
    name. local: our own address, which some scanners put into Contact instead of theirs.
    """

    via: bytes
    contact: bytes
    user: bytes
    local: bytes = b""

    @classmethod
    def read(cls, mask: bytes, user: bytes, local: bytes = b"") -> "Masked":
        """From the `mask` of a Path."""
        via, _, contact = mask.partition(b" ")
        return cls(via, contact, user, local)


@dataclass(frozen=True, slots=True)
class Solution:
    """What fits the masked hops of one sender: the address, its port (0 when more than one fits), and how many messages
    said so."""

    sender: Sender
    messages: int


# Symbols of a masked Via: 36 octets, as many as "SIP/2.0/UDP " and the longest IPv4 address with a port have, and
# hardly more than the shortest Via has before its branch begins.
SENDER_SYMBOLS: Final = 48
HEADS: Final = (b"SIP/2.0/UDP ", b"SIP/2.0/TCP ", b"SIP/2.0/TLS ")
# What topoh's `received` is followed by: its own mark in 5.x, the branch in others.
BEHIND_RECEIVED: Final = (b";TH=", b";branch=")
BEHIND_SENT_BY: Final = (b";branch=", b";rport")
LONGEST_ADDRESS: Final = len("255.255.255.255:65535")
MANY: Final = 64
# A search that has not ended by then has too little to go by: of 1,080 true ones none took more than 912 steps. One
# that somebody made to last takes 0.05 s.
STEPS: Final = 2_000


def sender_key(mask: bytes) -> bytes:
    """The same for every message that one sender sent through one masking relay, whatever the key."""
    return mask.partition(b" ")[0][: len(MASKED_BRANCH) + SENDER_SYMBOLS]


def solve(samples: Sequence[Masked]) -> Solution | None:
    """The sender behind masked messages of one relay and one `sender_key`; None unless exactly one address fits.

    samples: any number; the first MANY different ones are used. Only IPv4 senders are looked for.
    """
    kept = list(dict.fromkeys(samples))[:MANY]
    via = masked_text(kept[0].via) if kept else None
    if not via or len(via) > LONGEST:
        return None
    for contacts in (_naming_sender(kept), _naming_us(kept), ()):
        found: dict[str, Sender] = {}
        for head in HEADS:
            symbols = _Symbols()
            for sender in _fitting(symbols, _Stream(via, head), contacts):
                known = found.setdefault(sender.address, sender)
                if known.port != sender.port:
                    found[sender.address] = Sender(sender.address, 0, sender.address)
                if len(found) > 1:
                    return None
            if symbols.steps_left <= 0:
                return None
        if found:
            return Solution(next(iter(found.values())), len(kept))
    return None


def fits(sample: Masked, address: str, port: int) -> bool:
    """Whether a masked Via can stand for a sender that is known from elsewhere."""
    via, host = masked_text(sample.via), address.encode()
    if not via or len(via) > LONGEST:
        return False
    sent_by = host + b":%d" % port
    ends = [b";received=" + host + end for end in BEHIND_RECEIVED]
    return any(_Symbols().would_take(_Stream(via, head), head + sent_by + end) for head in HEADS for end in ends)


@dataclass(frozen=True, slots=True)
class _Stream:
    """One masked value and the beginning of its plain text. whole: the head is all of it."""

    text: bytes
    head: bytes
    whole: bool = False

    @property
    def length(self) -> int:
        return len(self.text) * 6 // 8


def _contacts(samples: Sequence[Masked]) -> Iterator[tuple[Masked, bytes]]:
    for sample in samples:
        text = masked_text(sample.contact)
        if text and sample.user:
            yield sample, text


def _naming_sender(samples: Sequence[Masked]) -> tuple[_Stream, ...]:
    """Contacts read as sip:USER@ and the sender."""
    return tuple(_Stream(text, b"sip:" + sample.user + b"@") for sample, text in _contacts(samples))


def _naming_us(samples: Sequence[Masked]) -> tuple[_Stream, ...]:
    """Contacts read as sip:USER@ and our own address, as scanners write that call everybody by the target's name."""
    streams = (
        _Stream(text, b"sip:" + s.user + b"@" + s.local, whole=True) for s, text in _contacts(samples) if s.local
    )
    return tuple(stream for stream in streams if len(stream.head) == stream.length)


def _fitting(symbols: "_Symbols", via: _Stream, contacts: Sequence[_Stream]) -> Iterator[Sender]:
    """Every sender under which all streams keep one meaning for each symbol."""
    if not all(symbols.take(each, each.head) for each in (via, *contacts)):
        return
    open_ends = [via, *(each for each in contacts if not each.whole)]
    for sent_by in _addresses(symbols, open_ends):
        if any(len(each.head) + len(sent_by) != each.length for each in open_ends[1:]):
            continue
        yield from _closed(symbols, via, sent_by)


def _closed(symbols: "_Symbols", via: _Stream, sent_by: bytes) -> Iterator[Sender]:
    """Senders when the sent-by ends here: its own address when the Via goes on so, else the `received` behind it."""
    host, port = _parts(sent_by)
    plain = via.head + sent_by
    noted = (plain + b";received=" + host + end for end in BEHIND_RECEIVED)
    silent = (plain + end for end in BEHIND_SENT_BY)
    if any(symbols.would_take(via, each) for each in (*noted, *silent)):
        yield Sender(host.decode(), port, host.decode())
        return
    beyond = _Stream(via.text, plain + b";received=")
    if learnt := symbols.take(beyond, beyond.head):
        for received in _addresses(symbols, [beyond]):
            ends = (beyond.head + received + end for end in BEHIND_RECEIVED)
            if b":" not in received and any(symbols.would_take(via, each) for each in ends):
                yield Sender(received.decode(), port, host.decode())
        symbols.forget(learnt)


def _parts(text: bytes) -> tuple[bytes, int]:
    host, _, port = text.partition(b":")
    return host, min(int(port or 5060), 65535)


class _Learnt(list[int]):
    """Symbols that a step gave a meaning; true even when there were none."""

    def __bool__(self) -> bool:
        return True


class _Symbols:
    """Meanings found so far: one value a symbol, one symbol a value."""

    def __init__(self) -> None:
        self.value: dict[int, int] = {}
        self.symbol: dict[int, int] = {}
        self.steps_left = STEPS

    def take(self, stream: _Stream, plain: bytes, start: int = 0) -> _Learnt | None:
        """Learn what plain text settles, from octet `start` on; None, with nothing learnt, when it contradicts."""
        if len(plain) > stream.length:
            return None
        learnt = _Learnt()
        for index in range(start * 8 // 6, len(plain) * 8 // 6):
            value, symbol = _six_bits(plain, index), stream.text[index]
            if self.value.get(symbol, value) != value or self.symbol.get(value, symbol) != symbol:
                self.forget(learnt)
                return None
            if symbol not in self.value:
                self.value[symbol], self.symbol[value] = value, symbol
                learnt.append(symbol)
        return learnt

    def would_take(self, stream: _Stream, plain: bytes) -> bool:
        """Whether plain text contradicts nothing."""
        learnt = self.take(stream, plain)
        if learnt is None:
            return False
        self.forget(learnt)
        return True

    def forget(self, symbols: Iterable[int]) -> None:
        """Unlearn."""
        for symbol in symbols:
            del self.symbol[self.value.pop(symbol)]


def _six_bits(plain: bytes, index: int) -> int:
    octet, inside = divmod(index * 6, 8)
    pair = plain[octet] << 8 | (plain[octet + 1] if octet + 1 < len(plain) else 0)
    return pair >> (10 - inside) & 63


def _addresses(symbols: _Symbols, streams: Sequence[_Stream], text: bytes = b"") -> Iterator[bytes]:
    """Every `address[:port]` that all streams can go on with, depth first; its symbols are learnt while it is out."""
    for octet in b"0123456789.:":
        longer = text + bytes((octet,))
        symbols.steps_left -= 1
        if symbols.steps_left <= 0 or not BEGINNING.fullmatch(longer):
            continue
        learnt = _take_all(symbols, streams, longer)
        if learnt is None:
            continue
        if WHOLE.fullmatch(longer):
            yield longer
        if len(longer) < LONGEST_ADDRESS:
            yield from _addresses(symbols, streams, longer)
        symbols.forget(learnt)


def _take_all(symbols: _Symbols, streams: Sequence[_Stream], text: bytes) -> _Learnt | None:
    learnt = _Learnt()
    for stream in streams:
        plain = stream.head + text
        taken = symbols.take(stream, plain, len(plain) - 2)
        if taken is None:
            symbols.forget(learnt)
            return None
        learnt += taken
    return learnt


OCTET: Final = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
ADDRESS: Final = rb"(?:" + OCTET + rb"\.){3}" + OCTET
BEGINNING: Final = re.compile(rb"(?:" + OCTET + rb"\.){0,3}(?:" + OCTET + rb")?|" + ADDRESS + rb":(?:[1-9][0-9]{0,4})?")
WHOLE: Final = re.compile(ADDRESS + rb"(?::[1-9][0-9]{0,4})?")
