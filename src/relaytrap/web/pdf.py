"""Printed reports: the few shapes that they are made of.

The standard fonts of PDF hold Latin-1; what lies beyond is shown as \\uNNNN, like all that somebody sent and that acts
instead of showing. Text goes in as text: nothing of it is ever read as markup.
"""

import io
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace

from relaytrap import __version__
from relaytrap.sip.text import visible

__all__ = ["BAD", "GOOD", "INK", "MUTED", "WARN", "Cell", "Page"]

Colour = tuple[int, int, int]
INK, MUTED, LINE, PAPER, RAISED = (21, 32, 43), (90, 103, 120), (226, 230, 236), (255, 255, 255), (244, 246, 249)
GOOD, BAD, WARN = (29, 122, 79), (179, 38, 30), (138, 90, 0)


CELL_CHARS = 4000
"""Of a row that fills half a page."""

TITLE_SHARE = 0.025
"""Of as many characters, at the foot of a page."""

TYPOGRAPHY = str.maketrans({"…": "...", "–": "-", "—": "-", "“": '"', "”": '"', "’": "'"})
"""Signs of ours that Latin-1 lacks."""


class Cell(NamedTuple):
    """What stands in a table."""

    text: str
    colour: Colour = INK
    number: bool = False


class Page(FPDF):
    """The few shapes that a report is made of, on A4."""

    def __init__(self, running_title: str) -> None:
        super().__init__(format="A4")
        self._running_title = _latin(running_title)
        self.set_title(self._running_title)
        self.set_creator(f"Relaytrap {__version__}")
        self.set_margins(18, 16, 18)
        self.set_auto_page_break(True, margin=18)
        self.add_page()

    def footer(self) -> None:
        self.set_y(-13)
        self.set_font("Helvetica", size=8)
        self.set_text_color(*MUTED)
        self.cell(0, 5, _fitting(self._running_title, TITLE_SHARE))
        self.set_x(self.l_margin)
        self.cell(0, 5, f"Relaytrap {__version__}, page {self.page_no()}", align="R")

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

    def put_text(self, text: str, colour: Colour = INK) -> None:
        self.set_text_color(*colour)
        self._paragraph(text, 4.6, "Helvetica", 9.5)

    def put_banner(self, text: str, colour: Colour = WARN) -> None:
        self.ln(1)
        self.set_fill_color(*colour)
        self.set_text_color(*PAPER)
        self._paragraph(text, 6, "Helvetica", 11, "B", padding=2, fill=True)

    def put_subheading(self, text: str) -> None:
        self.ln(2)
        if self.will_page_break(16):
            self.add_page()
        self.set_text_color(*INK)
        self._paragraph(text, 5, "Helvetica", 10, "B")

    def put_bullets(self, title: str, lines: Iterable[str]) -> None:
        """A heading and what stands below it; nothing for no lines. title: "" for none."""
        lines = list(lines)
        if lines and title:
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

    def put_picture(self, png: bytes, alt: str = "") -> None:
        self.image(io.BytesIO(png), w=self.epw, alt_text=_latin(alt) or None)

    def put_legend(self, names: Iterable[tuple[str, str]]) -> None:
        """What colours stand for, on as many lines as it takes: (colour as #rrggbb, name)."""
        self.set_font("Helvetica", size=8.5)
        self.set_text_color(*MUTED)
        for colour, name in names:
            text = _fitting(_latin(name), TITLE_SHARE)
            width = self.get_string_width(text) + 9
            if self.get_x() + width > self.l_margin + self.epw:
                self.ln(4.6)
            self.set_fill_color(colour)
            self.rect(self.get_x() + 1, self.get_y() + 1.1, 2.4, 2.4, style="F")
            self.set_x(self.get_x() + 4)
            self.cell(width - 4, 4.6, text)
        self.ln(4.6)

    def put_table(self, headings: Sequence[Cell], shares: Sequence[int], rows: Iterable[Sequence[Cell]]) -> None:
        """headings: none for facts and their names. shares: of the width, one for each column."""
        self.ln(1)
        self.set_font("Helvetica", size=8)
        self.set_text_color(*INK)
        self.set_fill_color(*PAPER)
        self.set_draw_color(*LINE)
        head = FontFace(emphasis="BOLD", color=MUTED, fill_color=RAISED)
        with self.table(
            col_widths=list(shares),
            headings_style=head,
            first_row_as_headings=bool(headings),
            borders_layout=TableBordersLayout.HORIZONTAL_LINES,
            text_align=["RIGHT" if each.number else "LEFT" for each in headings] or "LEFT",
            line_height=4,
            padding=1,
        ) as table:
            if headings:
                table.row([_fitting(_latin(each.text), 1 / len(headings) / 8) for each in headings])
            for cells in rows:
                row = table.row()
                for each, share in zip(cells, shares, strict=True):
                    row.cell(_fitting(_latin(each.text), share / sum(shares)), style=FontFace(color=each.colour))

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


def _fitting(text: str, share: float) -> str:
    """As much of a text as a page has room for in one cell of this share of the width."""
    limit = int(CELL_CHARS * share)
    return text if len(text) <= limit else f"{text[:limit]}..."


def _latin(text: str) -> str:
    """Text that shows everything and does nothing, in the characters that the standard fonts have."""
    return visible(text).translate(TYPOGRAPHY).encode("latin-1", "backslashreplace").decode("latin-1")
