"""Python in the pages runs; settings in the pages load."""

import re
from pathlib import Path
from typing import Any

import pytest

from relaytrap.config import load_config

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


def samples(language: str) -> list[Any]:
    """Each block of code in a language, named by its page and number."""
    return [
        pytest.param(code, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, code in enumerate(re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL), 1)
    ]


@pytest.mark.parametrize("code", samples("python"))
def test_a_sample_runs(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "sample", "exec"), {"__name__": "sample"})


@pytest.mark.parametrize("code", samples("toml"))
def test_settings_load(code: str, tmp_path: Path) -> None:
    file = tmp_path / "relaytrap.toml"
    file.write_text(code, encoding="utf-8")
    load_config(file, environ={})
