"""Who may be sent how much: the part of the sensor's law that is arithmetic.

An unproven UDP source may be a victim whose address somebody forged. So bytes sent to it never exceed the bytes that
came from it, counted twice: as payload, and on the wire with IP and UDP headers, for many small answers weigh more
than one. Credit that is not used within a transaction's life (64*T1, RFC 3261 17.2.2) lapses, so that nobody saves it
up for a burst. A source is proven for a while when it returns something random that only we and whoever really
receives at that address can know: a nonce or a To tag of ours.

Every source, proven or not, and all of them together have a budget of bytes a second. Memory is bounded: the unproven
sources heard longest ago are forgotten first, together with their credit, which only ever makes us quieter.

No clock and no socket here: `now` is monotonic seconds from outside.
"""

from collections import OrderedDict
from typing import Final

__all__ = ["Ledger", "Source"]

CREDIT_LIFETIME_S: Final = 32.0
CREDIT_MAX_BYTES: Final = 1 << 16
PROOF_LIFETIME_S: Final = 120.0
SECRET_LIFETIME_S: Final = 600.0
"""An address may go to somebody else, who must not get what the one before him could still prove."""
HEADER_BYTES: Final = 48
"""IPv6 and UDP; IPv4 and UDP take 28. The larger keeps us on the safe side for both."""
SECRETS_KEPT: Final = 16
BURST_S: Final = 30.0
"""A source may spend this many seconds of its budget at once: a scanner's sweep is answered, a stream is not."""
TOTAL_BURST_S: Final = 10.0


class Source:
    """What is known of one address. secrets: what was issued to it, and when."""

    __slots__ = ("credit", "heard_at", "packets", "proven_until", "secrets", "spent_at", "tokens")

    def __init__(self, tokens: float, now: float) -> None:
        self.credit = 0
        self.packets = 0
        self.heard_at = now
        self.proven_until = 0.0
        self.secrets: dict[bytes, float] = {}
        self.tokens = tokens
        self.spent_at = now


class Ledger:
    """Credit, proofs and budgets of every source."""

    def __init__(self, *, source_bytes_per_s: int, total_bytes_per_s: int, max_sources: int = 20_000) -> None:
        self._rate = source_bytes_per_s
        self._burst = source_bytes_per_s * BURST_S
        self._total_rate = total_bytes_per_s
        self._total_burst = total_bytes_per_s * TOTAL_BURST_S
        self._total = self._total_burst
        self._total_at = 0.0
        self._max_sources = max_sources
        self._unproven: OrderedDict[str, Source] = OrderedDict()
        self._proven: OrderedDict[str, Source] = OrderedDict()

    def __len__(self) -> int:
        return len(self._unproven) + len(self._proven)

    def received(self, address: str, size: int, now: float, *, connected: bool = False) -> Source:
        """Book `size` octets from this address; what is known of it. A connection earns no credit: it needs none."""
        source = self.source(address, now)
        if connected:
            return source
        if now - source.heard_at > CREDIT_LIFETIME_S:
            source.credit = source.packets = 0
        source.heard_at = now
        credit = source.credit + size
        source.credit = credit if credit < CREDIT_MAX_BYTES else CREDIT_MAX_BYTES
        source.packets += 1
        return source

    def source(self, address: str, now: float) -> Source:
        """What is known of an address; one never heard of, or forgotten, begins with nothing."""
        source = self._unproven.get(address)
        if source is not None:
            self._unproven.move_to_end(address)
            return source
        return self._proven.get(address) or self._admit(address, now)

    def _admit(self, address: str, now: float) -> Source:
        if len(self._unproven) + len(self._proven) >= self._max_sources:
            (self._unproven or self._proven).popitem(last=False)
        source = self._unproven[address] = Source(self._burst, now)
        return source

    def allowance(self, source: Source, now: float, *, connected: bool = False) -> int:
        """The most octets that the next answer to this source may have; 0 or less: none.

        connected: the bytes go back over a TCP connection, whose handshake is a proof of its own.
        """
        most = self._refill(source, now)
        if connected or source.proven_until > now:
            return most
        if now - source.heard_at > CREDIT_LIFETIME_S:
            return 0
        credit = source.credit
        if source.packets < 1:  # what it paid for in octets it has not paid for in headers
            credit += HEADER_BYTES * (source.packets - 1)
        return credit if credit < most else most

    def spend(self, source: Source, size: int, now: float, *, connected: bool = False) -> None:
        """Book `size` octets sent to this source; only after `allowance` said so."""
        source.tokens -= size
        self._total -= size
        if not connected and source.proven_until <= now:
            source.credit -= size
            source.packets -= 1

    def is_proven(self, source: Source, now: float) -> bool:
        """Whether this address returned a secret of ours lately."""
        return source.proven_until > now

    def issue(self, source: Source, secret: bytes, now: float) -> None:
        """Remember a random value that goes to this source."""
        secrets = source.secrets
        secrets[secret] = now
        if len(secrets) > SECRETS_KEPT:
            del secrets[next(iter(secrets))]

    def is_issued(self, source: Source, secret: bytes, now: float) -> bool:
        """Whether this random value went to the source lately."""
        issued_at = source.secrets.get(secret)
        return issued_at is not None and now - issued_at <= SECRET_LIFETIME_S

    def returned(self, address: str, source: Source, secret: bytes, now: float) -> bool:
        """Whether this is a secret that went to the source; if so it is proven from now on for a while."""
        if not self.is_issued(source, secret, now):
            return False
        source.proven_until = now + PROOF_LIFETIME_S
        self._unproven.pop(address, None)
        self._proven[address] = source
        self._proven.move_to_end(address)
        while len(self._proven) > self._max_sources // 2:
            old, dropped = self._proven.popitem(last=False)
            dropped.proven_until = 0.0
            self._unproven[old] = dropped
        return True

    def _refill(self, source: Source, now: float) -> int:
        """Fill the buckets of this source and of all together; what is in the emptier one."""
        tokens = source.tokens + (now - source.spent_at) * self._rate
        source.tokens = tokens = tokens if tokens < self._burst else self._burst
        source.spent_at = now
        total = self._total + (now - self._total_at) * self._total_rate
        self._total = total = total if total < self._total_burst else self._total_burst
        self._total_at = now
        return int(tokens if tokens < total else total)
