"""The report files: whole, alone, and harmless whatever a server calls itself."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relaytrap.probe.report import not_run
from relaytrap.web.probe_pdf import render_pdf
from relaytrap.web.probe_report import render_html

from ..probe.results import arrived, outcomes, report_of
from .test_hostile import read

HOSTILE = (
    "<script>alert(1)</script>\x1b[31m\x07\u202egpj\u2066 <img src=x onerror=alert(2)> {{ 7*7 }} **b** Schön Пример"
)
MESSAGE = f"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.5\r\nServer: {HOSTILE}\r\n\r\n".encode()


@pytest.fixture(scope="module")
def hostile() -> dict[str, Any]:
    """An open server whose every text is hostile, also in the name that the user gave."""
    arrival = arrived("OPTIONS", vias=(f"SIP/2.0/UDP {HOSTILE}", "SIP/2.0/UDP <b>.example"), raw=MESSAGE)
    found = outcomes(lambda probe: probe.method == "OPTIONS", server=HOSTILE, arrival=arrival)
    return report_of(found, target=HOSTILE)


def test_html_runs_and_loads_nothing(hostile: dict[str, Any]) -> None:
    page = read(render_html(hostile))
    assert page.scripts == []
    assert page.events == []
    assert page.addresses == []
    assert not page.tags & {"img", "iframe", "object", "link", "form", "b.example"}


def test_html_shows_what_would_act(hostile: dict[str, Any]) -> None:
    html = render_html(hostile)
    assert not set("\x07\x1b\u202e\u2066") & set(html)
    text = read(html).text
    assert "<script>alert(1)</script>" in text
    assert "{{ 7*7 }}" in text
    assert "\\x1b" in text


def test_html_is_one_file_that_allows_no_script(hostile: dict[str, Any]) -> None:
    html = render_html(hostile)
    assert "default-src 'none'; style-src 'unsafe-inline'" in html
    assert not re.search(r"url\((?!#)|@import|https?://(?!www\.w3\.org/2000/svg)", html)


def test_html_has_everything_in_order(hostile: dict[str, Any]) -> None:
    text = read(render_html(hostile)).text
    places = [
        text.index(part) for part in ("What was tried", "Proof: OPTIONS by UDP", "What to change on", "Not tested")
    ]
    assert places == sorted(places)
    for product in ("Kamailio", "OpenSIPS", "Asterisk", "FreeSWITCH", "Ingate", "any other"):
        assert product in text


def test_verdict_in_one_sentence_is_said_once(hostile: dict[str, Any]) -> None:
    (_, sentence), *_ = hostile["classes"]
    assert " ".join(read(render_html(hostile)).text.split()).count(" ".join(sentence.split())) == 1


def test_message_is_shown_line_by_line(hostile: dict[str, Any]) -> None:
    text = read(render_html(hostile)).text
    assert "OPTIONS sip:x SIP/2.0\nVia: SIP/2.0/UDP 203.0.113.5\nServer: " in text


@pytest.mark.parametrize("render", [render_html, render_pdf])
@pytest.mark.parametrize("report", [report_of(outcomes()), not_run("pbx.example", "It does not resolve.", "")])
def test_closed_and_not_run_have_a_report_too(
    report: dict[str, Any], render: Callable[[dict[str, Any]], str | bytes]
) -> None:
    assert render(report)


@pytest.fixture(scope="module")
def pdf_text(hostile: dict[str, Any], peer: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a reader sees in the PDF."""
    path: Path = tmp_path_factory.mktemp("pdf") / "report.pdf"
    path.write_bytes(render_pdf(hostile))
    done = subprocess.run([peer("pdftotext"), "-raw", str(path), "-"], capture_output=True, check=True)
    return done.stdout.decode("utf-8")


@pytest.mark.peer
def test_pdf_shows_text_as_text_and_what_would_act_escaped(pdf_text: str) -> None:
    assert "<script>alert(1)</script>" in pdf_text
    assert "\\x1b[31m" in pdf_text
    assert "**b** Schön" in pdf_text
    assert "\\u041f" in pdf_text
    assert not set("\x07\x1b\u202e\u2066") & set(pdf_text)


@pytest.mark.peer
def test_pdf_has_everything_in_order(pdf_text: str) -> None:
    parts = ("What was tried", "Proof: OPTIONS by UDP", "What to change on", "Not tested")
    places = [pdf_text.index(part) for part in parts]
    assert places == sorted(places)


def test_pdf_holds_no_action_and_no_link(hostile: dict[str, Any]) -> None:
    data = render_pdf(hostile)
    assert not re.search(rb"/(?:JavaScript|JS|URI|Launch|OpenAction\s*<<|EmbeddedFile)\b", data)
