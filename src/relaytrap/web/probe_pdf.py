"""The same result as PDF, for printing and filing."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from relaytrap.web.pdf import BAD, GOOD, INK, MUTED, WARN, Cell, Page
from relaytrap.web.pictures.standalone import draw_standalone, to_png
from relaytrap.web.probe_report import shown_result, signal_of

__all__ = ["render_pdf"]

WORDS: Final = ("Closed", "Open", "Undecided", "Not run")
SIGNALS: Final = (GOOD, BAD, WARN, WARN)
CELLS: Final = {"good": INK, "bad": BAD, "warn": WARN}
TRANSPORT_SHARE, PLACE_SHARE, TRICK_SHARE, METHOD_SHARE = 10, 24, 40, 26
PICTURE_WIDTH: Final = 760


def render_pdf(report: Mapping[str, Any]) -> bytes:
    """A4 pages: one sentence first, then the table, proof, advice and what was not tested."""
    shown = shown_result(report)
    page = Page(f"Open-relay test of {report['target']}, {report['started_at'][:19].replace('T', ' ')} UTC")
    page.put_title(f"{report['target']}: {report['verdict']}")
    sentences = " ".join(sentence for _, sentence in report["classes"])
    page.put_banner(f"{WORDS[report['exit_status']]}. {sentences}", SIGNALS[report["exit_status"]])
    if report["table"]:
        page.put_heading("What was tried")
        page.put_text(
            f"{report['sent']} probes from {report['tested_from']}, witness {report['witness']}, {report['seconds']} s",
            colour=MUTED,
        )
        _put_results(page, report["table"], shown["methods"])
    for proof, picture in zip(report["proof"], shown["pictures"], strict=True):
        page.put_heading(
            f"Proof: {proof['method']} by {proof['sent_by'].upper()}, {shown['tricks'][proof['trick']].text}"
        )
        page.put_picture(to_png(draw_standalone("ladder", picture, width=PICTURE_WIDTH), scale=3.0))
        came_back = "came back to us" if proof["answer_came_back"] else "did not come back to us"
        page.put_text(
            f"It arrived at the witness by {proof['arrived_by'].upper()} from {proof['arrived_from']} after "
            f"{proof['after_s']} s. The witness's answer {came_back}."
        )
        page.put_code(proof["message"])
    page.put_bullets("Hints", report["hints"])
    for number, advice in enumerate(report["advice"]):
        tried = ", tried on a real one" if advice["tried"] else ""
        page.put_bullets(f"{'' if number else 'What to change on '}{advice['product']}{tried}", advice["steps"])
        page.put_code(advice["snippet"])
    page.put_bullets("Not tested", report["not_tested"])
    return bytes(page.output())


def _put_results(page: Page, rows: Sequence[Mapping[str, Any]], methods: Sequence[str]) -> None:
    several = len({row["sent_to"] for row in rows}) > 1
    shares = [TRANSPORT_SHARE, *([PLACE_SHARE] if several else []), TRICK_SHARE, *([METHOD_SHARE] * len(methods))]
    headings = [Cell(name) for name in ("By", *(["To"] if several else []), "Trick", *methods)]
    page.put_table(headings, shares, (_cells(row, methods, several=several) for row in rows))


def _cells(row: Mapping[str, Any], methods: Iterable[str], *, several: bool) -> list[Cell]:
    said = [row["transport"].upper(), *([row["sent_to"]] if several else []), row["what"]]
    results = [row.get(method, "") for method in methods]
    return [*map(Cell, said), *(Cell(text, CELLS[signal_of(text)]) for text in results)]
