"""Every page, question, condition and door is in the reference."""

import re
from pathlib import Path

import pytest
from litestar.handlers import HTTPRouteHandler

from relaytrap.store.queries import CATALOGUE, FIELDS, options_of
from relaytrap.web import api, pages

REFERENCE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference"
PAGES = (REFERENCE / "pages.md").read_text(encoding="utf-8")
API = (REFERENCE / "api.md").read_text(encoding="utf-8")
# What a page asks for behind the reader's back.
INNER = ("/map/", "/live", "/probe/")


def paths(handlers: tuple[HTTPRouteHandler, ...]) -> set[str]:
    return {re.sub(r":\w+}", "}", path) for handler in handlers for path in handler.paths}


@pytest.mark.parametrize("path", sorted(paths(pages.HANDLERS)))
def test_every_page_is_in_the_reference(path: str) -> None:
    assert path.startswith(INNER) or f"| `{path}` |" in PAGES or f"`GET {path}`" in API


@pytest.mark.parametrize("path", sorted(paths(api.HANDLERS) - {"/api/{name}"}))
def test_every_door_of_the_api_is_in_the_reference(path: str) -> None:
    assert path.startswith(INNER) or path in API


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_question_is_in_the_reference_with_its_options(name: str) -> None:
    (line,) = [each for each in API.splitlines() if each.startswith(f"| `{name}` |")]
    assert set(re.findall(r"`(\w+)`", line.split("|")[3])) == set(options_of(name))


def test_every_condition_is_in_the_reference_and_no_other() -> None:
    part = API.split("## Conditions")[1].split("Questions over time")[0].split("`7d`).")[1]
    assert set(re.findall(r"`(\w+)`", part)) == set(FIELDS)
