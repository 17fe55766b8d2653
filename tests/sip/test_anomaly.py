"""The names of what can be odd."""

from pathlib import Path

from relaytrap.sip import ANOMALIES
from relaytrap.sip.anomaly import anomaly

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "anomalies.md"


def test_every_anomaly_stands_on_the_reference_page_as_it_is() -> None:
    rows = {line for line in PAGE.read_text().splitlines() if line.startswith("| `")}
    assert rows == {
        f"| `{name}` | {kind.text} | {kind.section} | {kind.status or ''} |" for name, kind in ANOMALIES.items()
    }


def test_anomaly_carries_the_section_of_its_name() -> None:
    assert anomaly("bare-lf", 7) == ("bare-lf", 7, "RFC 3261 7")
