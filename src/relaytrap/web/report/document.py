"""From facts to a document: which sections, how it was judged, and what was taken out before anybody else reads it."""

from collections.abc import Mapping
from typing import Any, Final

from relaytrap.web.report.blocks import Bullets, Document, Paragraph, Section, Strong, Words, cut, words
from relaytrap.web.report.facts import end_of
from relaytrap.web.report.parts import moment
from relaytrap.web.report.subjects import subject_sections
from relaytrap.web.report.whole import whole_sections
from relaytrap.web.window import Window

__all__ = ["compose"]

Facts = Mapping[str, Any]

STANDING: Final = (
    ("Fact", "the packet's source, and what that source says it received."),
    (
        "Vouched",
        "a relay wrote down from whom it took the request. One can lie; independent ones that agree cannot all.",
    ),
    ("Claimed", "whatever else stands in a message: Contact, From, SDP, User-Agent, hops further down."),
    ("By association", "the bytes do not say; the request fits into a sequence that others vouch for."),
)
CONFIDENCES: Final = (
    ("90 to 99, very strong", "many relays in different networks vouch for it."),
    ("70 to 89, strong", "several independent relays vouch for it."),
    ("50 to 69, fair", "one or two relays vouch for it, and nothing speaks against it."),
    ("Below 50, weak", "a lead, no evidence to act upon alone."),
)


def compose(facts: Facts, window: Window | None) -> Document:
    """The document of facts that are as they may be read: redacted, or whole for the operator himself."""
    sections = whole_sections(facts, window) if window else subject_sections(facts)
    sections = [*sections, _judged(facts), _removed(facts["redaction"])]
    title, lead = _title(facts, window)
    foot = (
        f"Made {moment(facts['made_at'])} UTC by Relaytrap {facts['version']}, rules version {facts['rules_version']}."
    )
    return Document(title, lead, tuple(sections), foot, bool(facts["redaction"]))


def _title(facts: Facts, window: Window | None) -> tuple[str, Words]:
    redacted = (
        "redacted: no sensor addresses, no whole numbers"
        if facts["redaction"]
        else "not redacted: for the operator and whom he trusts"
    )
    if window:
        span = (
            f"{moment(facts['since'])[:16]} to {moment(end_of(facts))[:16]} UTC"
            if facts["since"]
            else "no messages yet"
        )
        return "What reached our SIP honeypots", words(f"{span}; {redacted}.")
    return f"Report on {cut(facts['what'], 60)}", words(f"{redacted[0].upper()}{redacted[1:]}.")


def _judged(facts: Facts) -> Section:
    def listed(rows: tuple[tuple[str, str], ...]) -> Bullets:
        return Bullets(tuple(words(Strong(name), f": {text}") for name, text in rows))

    return Section(
        "How it was judged",
        "judged",
        (
            Paragraph(
                words(
                    f"Everything here follows from the raw bytes by rules of version {facts['rules_version']}, and can "
                    "be worked out again from them. Four standings are kept apart:"
                )
            ),
            listed(STANDING),
            Paragraph(words(
                    "Confidence is in an origin, from 0 to 99. It grows with the relays that vouch and with their "
                    "networks, and falls with contradictions:"
                )),
            listed(CONFIDENCES),
            Paragraph(words(
                    "A legitimate carrier's proxy has the shape of a relay; only the operator's list of known proxies "
                    "tells them apart."
                )),
        ),
    )  # fmt: skip


def _removed(redaction: Facts | None) -> Section:
    title, anchor = "What was removed", "removed"
    if not redaction:
        text = (
            "Nothing. Messages name the sensors' addresses in many places, and numbers may be somebody's: this is for "
            "the operator and whom he trusts, and not to be published."
        )
        return Section(title, anchor, (Paragraph(words(text)),))
    counts = [
        f"{count:,} {name}{'es' if name.endswith('s') else 's'}"
        for name, count in redaction["removed"].items()
        if count != 1
    ]
    counts += [f"1 {name}" for name, count in redaction["removed"].items() if count == 1]
    blocks = (
        Paragraph(
            words(
                "What follows was taken out of every text, table, picture and quoted message. What stands in its place "
                "is ours."
            )
        ),
        Bullets(
            (
                words("Sensors are called sensor-1, sensor-2 and so on, in the order of their names."),
                words(
                    "Their addresses are gone in every encoding that can be decoded: with dots, without, in hex, as a "
                    "number, turned round, in base64, escaped, and one inside the other, as scanners write them into "
                    "Call-IDs, branches and tags."
                ),
                words("Numbers keep their first digits; the last six stand as x."),
                words(
                    "Digests over what was removed, identifiers of messages, names of capture files: they would "
                    "confirm a guess. What a relay masked under a key of its own: enough of it gives the key away."
                ),
                words("Sources, relays, origins and what they wrote besides are as they came."),
            )
        ),
        Paragraph(words(f"Taken out: {', '.join(counts) or 'nothing'}."), muted=True),
    )
    return Section(title, anchor, blocks)
