"""docs/reference/probe-report.md names every field and every result of a report."""

import re
from pathlib import Path
from typing import Any, get_args

import pytest

from relaytrap.probe.verdict import Result

from ..probe.results import outcomes, report_of

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "probe-report.md").read_text(encoding="utf-8")
NAMED = set(re.findall(r"`([^`]+)`", PAGE))
REPORT = report_of(outcomes(lambda probe: probe.transport == "tcp"))


def fields() -> set[str]:
    """Names of all fields but those of advice, which are plain words."""
    found: set[str] = set(REPORT)
    rows: list[dict[str, Any]] = [*REPORT["table"], *REPORT["proof"], *REPORT["probes"]]
    for row in rows:
        found |= set(row)
        for part in (*row.get("answers", ()), *row.get("arrivals", ())):
            found |= set(part)
    return found


@pytest.mark.parametrize("field", sorted(fields()))
def test_every_field_is_named(field: str) -> None:
    assert field in NAMED


@pytest.mark.parametrize("result", get_args(Result))
def test_every_result_is_named(result: str) -> None:
    assert result in NAMED
