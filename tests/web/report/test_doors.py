"""Whatever somebody wrote reaches no report as anything but text: each door escapes for itself."""

import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from relaytrap.web.report.blocks import (
    Banner,
    Bullets,
    Column,
    Document,
    FactList,
    Mono,
    Paragraph,
    Section,
    Strong,
    Subheading,
    Table,
    Verbatim,
    cut,
    words,
)
from relaytrap.web.report.html import render_html
from relaytrap.web.report.markdown import escaped, render_markdown
from relaytrap.web.report.pdf import render_pdf

PAYLOADS = {
    "script": "<script>alert(1)</script>",
    "attribute": "\"><img src=x onerror='alert(2)'>",
    "link": "[click](javascript:alert(3)) <javascript:alert(4)> https://example.invalid www.example.invalid",
    "picture": "![x](https://example.invalid/track.png)",
    "reference": "[x]: https://example.invalid",
    "ticks": "``` `code` ~~~",
    "cells": "a | b || c\\| d",
    "heading": "# big\n## bigger\n---\n===\n- item\n1. one\n> quote",
    "emphasis": "**bold** __under__ ~~gone~~ $x$ :smile: @user #1",
    "entity": "&lt;script&gt; &#60;b&#62;",
    "escapes": "\x1b[31mred\x1b]0;title\x07 \x00",
    "direction": "invoice\u202egpj.exe\u2066",
    "template": "{{ 7 * 7 }} {% raw %} ${x}",
    "beyond latin": "Ж 漢 🙂 \ud800".encode("utf-8", "replace").decode(),
    "long": "L" * 65_536,
    "comment": "--> <!-- -->",
}


TEXTUAL = ("span", "bdi")


def document_of(text: str) -> Document:
    """A document that has the text wherever text can be."""
    run = words(text, " ", Mono(text), " ", Strong(text))
    blocks = (
        Paragraph(run),
        Paragraph(run, muted=True),
        Subheading(text),
        Banner(run),
        Bullets((run, run)),
        FactList((("Name", run),)),
        Table((Column(text), Column("n", number=True)), ((run, words(3)),), text),
        Verbatim(text, run),
    )
    return Document(text, run, (Section(text, "one", blocks),), text)


class Seen(HTMLParser):
    """Tags and attributes of a page, and its text without style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.in_style = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.in_style = tag == "style"

    def handle_endtag(self, tag: str) -> None:
        self.in_style = False

    def handle_data(self, data: str) -> None:
        if not self.in_style:
            self.text.append(data)


@pytest.mark.parametrize("name", PAYLOADS)
def test_html_has_the_tags_of_a_harmless_report(name):
    harmless = [tag for tag, _ in Seen(render_html(document_of("harmless"))).tags if tag not in TEXTUAL]
    page = Seen(render_html(document_of(cut(PAYLOADS[name]))))
    assert [tag for tag, _ in page.tags if tag not in TEXTUAL] == harmless
    assert not any(key.startswith("on") or key == "src" for _, attrs in page.tags for key in attrs)
    assert all((attrs.get("href") or "#").startswith("#") for _, attrs in page.tags)
    assert not re.search("[\x00\x07\x1b\u202e\u2066]", "".join(page.text))


@pytest.mark.parametrize("name", PAYLOADS)
def test_markdown_shows_the_text_and_nothing_else(name):
    """Every sign that Markdown or HTML reads stands behind a backslash or as an entity."""
    shown = escaped(PAYLOADS[name])
    assert not re.search(r"(?<!\\)[`*_{}\[\]|~$^@#]", shown.replace("\\\\", ""))
    assert not re.search("[<>\x00-\x1f\u202e]", shown)
    assert not re.search(r"(?<!\\)://|www\.", shown)
    assert not re.match(r"\s*([-+=>]|\d+[.)]\s)", shown)


def test_shares_and_addresses_need_no_backslash():
    assert [escaped(text) for text in ("3.6 %", "192.0.2.1", "1. one", "1.")] == [
        "3.6 %",
        "192.0.2.1",
        "1\\. one",
        "1\\.",
    ]


@pytest.mark.parametrize("name", PAYLOADS)
def test_reader_of_markdown_finds_no_more_than_in_a_harmless_report(name):
    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])

    def kinds(text: str) -> list[str]:
        tokens = reader.parse(render_markdown(document_of(text)))
        inner = [child for token in tokens for child in token.children or ()]
        return [each.type for each in (*tokens, *inner) if each.type not in ("text", "text_special", "code_inline")]

    assert kinds(cut(PAYLOADS[name])) == kinds("harmless")


@pytest.mark.parametrize("name", PAYLOADS)
def test_markdown_keeps_its_lines(name):
    """No text adds a line, a cell or a block."""
    harmless = render_markdown(document_of("harmless")).split("\n")
    lines = render_markdown(document_of(cut(PAYLOADS[name]))).split("\n")
    code = [line for line in lines if line.startswith("    ")]
    assert len(lines) - len(code) == len(harmless) - 1
    table = [line for line in lines if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line.replace("\\\\", ""))) for line in table} == {3}
    assert sum(line.startswith("#") for line in lines) == 3


@pytest.mark.parametrize("name", PAYLOADS)
def test_pdf_takes_it(name):
    made = render_pdf(document_of(cut(PAYLOADS[name], 4000)))
    assert made.startswith(b"%PDF")
    assert b"/URI" not in made
    assert b"/JavaScript" not in made


def test_long_text_is_cut_and_says_so():
    assert cut("L" * 65_536).endswith("… (65,536 characters)")
    assert len(cut("L" * 65_536)) < 200
