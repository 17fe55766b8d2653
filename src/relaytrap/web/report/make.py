"""A report from question to file: what page and command line share.

Whoever makes one says how questions are asked and what is the operator's own; everything else follows.
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from relaytrap.clock import rfc3339
from relaytrap.config import NetworkConfig
from relaytrap.errors import InputError
from relaytrap.redaction import Redactor, Secrets
from relaytrap.store.queries.filter import parse_moment
from relaytrap.web.file_names import safe_name
from relaytrap.web.report.blocks import Document, Picture
from relaytrap.web.report.document import compose
from relaytrap.web.report.facts import Ask, Facts, Tell, ask_subject, ask_whole, end_of, head_of
from relaytrap.web.window import Window, choose_window, window_between

__all__ = ["FORMATS", "Made", "Wanted", "make_report", "name_of", "render"]

FORMATS: Final = {"html": "text/html; charset=utf-8", "md": "text/markdown; charset=utf-8", "pdf": "application/pdf"}


NAME_MIN: Final = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a report is asked for.

    what: an identifier or address, "" for everything in a span. since, until: as the conditions of messages; last:
    instead of them, the name of a window of the pages. also: more of the operator's own names, addresses and networks.
    """

    what: str = ""
    since: str = ""
    until: str = ""
    last: str = ""
    redact: bool = True
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Made:
    """A report before it has a form.

    facts: as JSON gives them, redacted when that was wanted. guessed: addresses that were left out because requests
    name them, not because a sensor's socket had them; they are not part of the facts.
    """

    facts: Facts
    document: Document
    guessed: tuple[Mapping[str, Any], ...] = ()


def make_report(ask: Ask, wanted: Wanted, network: NetworkConfig, now_ns: int, tell: Tell = lambda _: None) -> Made:
    """Ask, redact, put into words. network: what is ours. tell: hears what is being done.

    Raises InputError when nothing is known of what is asked for, and when times are wrong.
    """
    window = None if wanted.what else _window(ask, wanted, now_ns)
    facts = ask_whole(ask, window, tell) if window else ask_subject(ask, wanted.what, tell)
    if not facts:
        raise InputError(
            f"nothing is known of {wanted.what!r}; relaytrap messages, sources, relays and campaigns list what is"
        )
    facts = head_of("everything" if window else "subject", wanted.what, now_ns) | facts
    own: list[Mapping[str, Any]] = []
    if wanted.redact:
        tell("redacting")
        own = list(ask("sensor_addresses", {}))
        redactor = Redactor(secrets_of(own, network, wanted.also))
        facts = redactor.rows(facts)
        facts["redaction"] = {"removed": dict(redactor.removed.most_common()), "sensors": len(redactor.secrets.sensors)}
    else:
        facts["redaction"] = None
    return Made(facts, compose(facts, window), tuple(row for row in own if row["known"] == "requests"))


def secrets_of(own: Iterable[Mapping[str, Any]], network: NetworkConfig, also: tuple[str, ...] = ()) -> Secrets:
    """What must not leave: sensors' addresses and names, the networks and domains of the settings, and more.

    own: rows of the question `sensor_addresses`.
    """
    also = tuple(text.strip() for text in also)
    networks, names = list(network.own_networks), list(network.own_domains)
    for text in also:
        if len(text) < NAME_MIN:
            raise InputError(
                f"{text!r} is too short to be left out wherever it stands; write {NAME_MIN} letters or more"
            )
        (networks if _is_network(text) else names).append(text)
    return Secrets.of(own, networks=networks, names=names)


def render(made: Made, form: str, place: "Callable[[Picture, bytes], str] | None" = None) -> bytes:
    """The file. form: one of FORMATS. place: where Markdown's pictures go; None puts them into the text."""
    # Each with its own libraries: numpy for PDF alone takes a third of a second and 20 MB.
    if form == "pdf":
        from relaytrap.web.report.pdf import render_pdf

        return render_pdf(made.document)
    if form == "md":
        from relaytrap.web.report.markdown import render_markdown

        return render_markdown(made.document, place).encode()
    from relaytrap.web.report.html import render_html

    return render_html(made.document).encode()


def name_of(made: Made, form: str) -> str:
    """A file name that says what is in it."""
    facts = made.facts
    until = end_of(facts)[:10]
    about = facts["what"] or f"{str(facts.get('since') or until)[:10]}-to"
    return f"{safe_name(f'relaytrap-report-{about}-{until}')}.{form}"


def _window(ask: Ask, wanted: Wanted, now_ns: int) -> Window:
    span = next(iter(ask("span", {})))
    if not wanted.since and not wanted.until:
        return choose_window(wanted.last, now_ns, span["first_hour"], span["last_hour"])
    since, until = (_moment(name, getattr(wanted, name), now_ns) for name in ("since", "until"))
    if since is not None and since >= (now_ns if until is None else until):
        raise InputError(f"since: {rfc3339(since)[:19]}Z is not before the end of the report")
    return window_between(since, until, now_ns, span["first_hour"])


def _moment(name: str, text: str, now_ns: int) -> int | None:
    try:
        return parse_moment(text, now_ns) if text else None
    except (ValueError, OverflowError):
        raise InputError(
            f"{name}: {text!r} is not understood; write 2026-01-31 18:30 (UTC), RFC 3339, or 90m, 24h, 7d ago"
        ) from None


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True
