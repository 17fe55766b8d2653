"""Evidence: one named fact in the bytes of a message that speaks for or against a claim.

Every room of `evidence` hands out its reasons in this form, so that a page can mark the quoted bytes in the raw
message and a stored row says which version of which rule spoke.
"""

import msgspec

__all__ = ["Evidence"]


class Evidence(msgspec.Struct, frozen=True):
    """One reason, with the bytes it rests on.

    rule: name of the rule, dotted from the general to the special ("tool.sippts.branch"); stable over versions.
    version: raised whenever the rule changes what it says about the same bytes, starting at 1.
    weight: how much it counts for the claim (positive) or against it (negative), -100 to 100; 0 only informs.
    quote: the bytes as they stand in the message; empty for a fact about absence.
    offset: where the quote starts in the raw message; -1 when the fact has no place (absence, order, the source).
    text: one plain sentence for people. Attacker bytes stand in it only as `sip.text.display` shows them.
    """

    rule: str
    version: int
    weight: int
    quote: bytes
    offset: int
    text: str
