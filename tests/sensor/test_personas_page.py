"""docs/reference/personas.md names every key that a persona file may have, and every bundled persona."""

from pathlib import Path

import msgspec
import pytest

from relaytrap.sensor import persona
from relaytrap.sensor.pattern import MAKERS
from relaytrap.sensor.personas import persona_names
from relaytrap.sensor.reply import MAKERS as SLOT_MAKERS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "personas.md").read_text(encoding="utf-8")
SECTIONS = {
    "wire": persona.Wire,
    "challenges.NAME": persona.Challenge,
    "accounts": persona.Accounts,
    "answers": persona.Answer,
    "methods": persona.Rule,
    "ring": persona.Ring,
    "cases": persona.Cases,
    "http": persona.Http,
    "certificate": persona.Certificate,
}
OWN_SLOTS = {"to_bare", "copied", "copied_bare", "record_route"}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_named_under_its_section(section: str) -> None:
    _, _, rest = PAGE.partition(f"### `[{section}]`")
    part = rest.partition("\n### ")[0]
    assert part
    missing = [field for field in SECTIONS[section].__struct_fields__ if f"`{field}`" not in part]
    assert not missing, f"{section} lacks {missing}"


def test_every_file_section_is_a_key_of_the_file() -> None:
    top = set(persona.PersonaFile.__struct_fields__) - {"format", "title", "installation", "headers"}
    assert top == {name.partition(".")[0] for name in SECTIONS}
    assert issubclass(persona.PersonaFile, msgspec.Struct)


def test_every_pattern_field_and_header_field_is_named() -> None:
    assert not [name for name in MAKERS if f"{{{name}" not in PAGE]
    given = {key.decode() for key in SLOT_MAKERS} - OWN_SLOTS
    assert not [name for name in given if f"{{{name}}}" not in PAGE]


def test_every_bundled_persona_is_named() -> None:
    assert not [name for name in persona_names() if f"| `{name}` |" not in PAGE]
