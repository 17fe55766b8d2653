"""The same result as PDF, for printing and filing.

The standard fonts of PDF hold Latin-1; what lies beyond is shown as \\uNNNN, like all that a server sent and that acts
instead of showing. Text goes in as text: nothing of it is ever read as markup.
"""

import io
from collections.abc import Iterable, Mapping
from typing import Any, Final

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace

from relaytrap import __version__
from relaytrap.sip.text import visible
from relaytrap.web.pictures.standalone import draw_standalone, to_png
from relaytrap.web.probe_report import shown_result, signal_of

__all__ = ["render_pdf"]

WORDS: Final = ("Closed", "Open", "Undecided", "Not run")
INK, MUTED, LINE, PAPER, RAISED = (21, 32, 43), (90, 103, 120), (226, 230, 236), (255, 255, 255), (244, 246, 249)
GOOD, BAD, WARN = (29, 122, 79), (179, 38, 30), (138, 90, 0)
SIGNALS: Final = (GOOD, BAD, WARN, WARN)
CELLS: Final = {"good": INK, "bad": BAD, "warn": WARN}
TRANSPORT_SHARE, PLACE_SHARE, TRICK_SHARE, METHOD_SHARE = 10, 24, 40, 26
PICTURE_WIDTH: Final = 760


def render_pdf(report: Mapping[str, Any]) -> bytes:
    """A4 pages: one sentence first, then the table, proof, advice and what was not tested."""
    shown = shown_result(report)
    page = _Page(f"Open-relay test of {_latin(report['target'])}, {report['started_at'][:19].replace('T', ' ')} UTC")
    page.put_title(f"{report['target']}: {report['verdict']}")
    page.put_banner(WORDS[report["exit_status"]], report["classes"], SIGNALS[report["exit_status"]])
    if report["table"]:
        page.put_heading("What was tried")
        page.put_text(
            f"{report['sent']} probes from {report['tested_from']}, witness {report['witness']}, {report['seconds']} s",
            colour=MUTED,
        )
        page.put_results(report["table"], shown["methods"])
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


class _Page(FPDF):
    """The few shapes that a result is made of."""

    def __init__(self, running_title: str) -> None:
        super().__init__(format="A4")
        self._running_title = running_title
        self.set_title(running_title)
        self.set_creator(f"Relaytrap {__version__}")
        self.set_margins(18, 16, 18)
        self.set_auto_page_break(True, margin=18)
        self.add_page()

    def footer(self) -> None:
        self.set_y(-13)
        self.set_font("Helvetica", size=8)
        self.set_text_color(*MUTED)
        self.cell(0, 5, f"{self._running_title}. Relaytrap {__version__}, page {self.page_no()}")

    def put_title(self, text: str) -> None:
        self.set_text_color(*INK)
        self._paragraph(text, 8, "Helvetica", 17, "B")

    def put_heading(self, text: str, height: int = 26) -> None:
        """height: what must fit on the page below it, in millimetres."""
        self.ln(4)
        if self.will_page_break(height):
            self.add_page()
        self.set_text_color(*INK)
        self._paragraph(text, 6, "Helvetica", 11.5, "B")

    def put_text(self, text: str, colour: tuple[int, int, int] = INK) -> None:
        self.set_text_color(*colour)
        self._paragraph(text, 4.6, "Helvetica", 9.5)

    def put_banner(self, word: str, classes: Iterable[tuple[str, str]], colour: tuple[int, int, int]) -> None:
        self.ln(1)
        self.set_fill_color(*colour)
        self.set_text_color(*PAPER)
        sentences = " ".join(sentence for _, sentence in classes)
        self._paragraph(f"{word}. {sentences}", 6, "Helvetica", 11, "B", padding=2, fill=True)

    def put_bullets(self, title: str, lines: Iterable[str]) -> None:
        lines = list(lines)
        if not lines:
            return
        self.put_heading(title)
        for line in lines:
            self.put_text(f"-  {line}")

    def put_code(self, text: str) -> None:
        if not text:
            return
        self.ln(1)
        self.set_fill_color(*RAISED)
        self.set_text_color(*INK)
        lines = "\n".join(visible(line) for line in text.replace("\r\n", "\n").strip("\n").split("\n"))
        self._paragraph(lines, 3.6, "Courier", 7.5, padding=2, fill=True)

    def put_picture(self, png: bytes) -> None:
        self.image(io.BytesIO(png), w=self.epw)

    def put_results(self, rows: Iterable[Mapping[str, Any]], methods: Iterable[str]) -> None:
        rows, methods = list(rows), list(methods)
        several = len({row["sent_to"] for row in rows}) > 1
        shares = [TRANSPORT_SHARE, *([PLACE_SHARE] if several else []), TRICK_SHARE, *([METHOD_SHARE] * len(methods))]
        self.set_font("Helvetica", size=8)
        self.set_text_color(*INK)
        self.set_fill_color(*PAPER)
        self.set_draw_color(*LINE)
        head = FontFace(emphasis="BOLD", color=MUTED, fill_color=RAISED)
        with self.table(
            col_widths=shares,
            headings_style=head,
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            text_align="LEFT",
            line_height=4,
            padding=1,
        ) as table:
            table.row(["By", *(["To"] if several else []), "Trick", *methods])
            for each in rows:
                row = table.row()
                for text in (each["transport"].upper(), *([each["sent_to"]] if several else []), each["what"]):
                    row.cell(_latin(text))
                for method in methods:
                    text = each.get(method, "")
                    row.cell(_latin(text), style=FontFace(color=CELLS[signal_of(text)]))

    def _paragraph(
        self,
        text: str,
        height: float,
        family: str,
        size: float,
        style: str = "",
        *,
        padding: int = 0,
        fill: bool = False,
    ) -> None:
        """Text over the whole width; lines in it are kept, everything else that would act is shown."""
        self.set_font(family, style, size)
        shown = "\n".join(_latin(line) for line in text.split("\n"))
        self.multi_cell(0, height, shown, align="L", fill=fill, padding=padding, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _latin(text: str) -> str:
    """Text that shows everything and does nothing, in the characters that the standard fonts have."""
    return visible(text).replace("…", "...").encode("latin-1", "backslashreplace").decode("latin-1")
