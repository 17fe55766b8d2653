"""A report as PDF, for printing and filing."""

from functools import singledispatch
from typing import Any

from relaytrap.web.pdf import BAD, MUTED, Cell, Page
from relaytrap.web.pictures.theme import LIGHT
from relaytrap.web.report.blocks import (
    Banner,
    Bullets,
    Document,
    FactList,
    Paragraph,
    Picture,
    Subheading,
    Table,
    Verbatim,
    plain_words,
)
from relaytrap.web.report.draw import as_png

__all__ = ["render_pdf"]


def render_pdf(document: Document) -> bytes:
    """A4 pages."""
    page = Page(document.title)
    page.put_title(document.title)
    page.put_text(plain_words(document.lead), colour=MUTED)
    for section in document.sections:
        page.put_heading(section.title)
        for block in section.blocks:
            _put(block, page)
    page.put_text("")
    page.put_text(document.foot, colour=MUTED)
    return bytes(page.output())


@singledispatch
def _put(block: Any, page: Page) -> None:
    raise TypeError(f"no way to print a {type(block).__name__}")


@_put.register
def _(block: Paragraph, page: Page) -> None:
    if block.muted:
        page.put_text(plain_words(block.words), colour=MUTED)
    else:
        page.put_text(plain_words(block.words))


@_put.register
def _(block: Subheading, page: Page) -> None:
    page.put_subheading(block.text)


@_put.register
def _(block: Banner, page: Page) -> None:
    page.put_banner(plain_words(block.words), BAD)


@_put.register
def _(block: Bullets, page: Page) -> None:
    page.put_bullets("", map(plain_words, block.items))


@_put.register
def _(block: FactList, page: Page) -> None:
    rows = [(Cell(name, MUTED), Cell(plain_words(value))) for name, value in block.rows]
    page.put_table((), (28, 72), rows)


@_put.register
def _(block: Table, page: Page) -> None:
    headings = [Cell(column.title, number=column.number) for column in block.columns]
    rows = [[Cell(plain_words(cell)) for cell in row] for row in block.rows]
    page.put_table(headings, [column.share for column in block.columns], rows)
    if block.more:
        page.put_text(f"{block.more}.", colour=MUTED)


@_put.register
def _(block: Picture, page: Page) -> None:
    page.put_picture(as_png(block), block.alt)
    if block.legend:
        page.put_legend(
            (colour, f"{name or 'not SIP'} {total:,}")
            for colour, (name, total) in zip(LIGHT.series, block.legend, strict=False)
        )
    if block.caption:
        page.put_text(block.caption, colour=MUTED)


@_put.register
def _(block: Verbatim, page: Page) -> None:
    if block.note:
        page.put_text(plain_words(block.note))
    page.put_code(block.text)
