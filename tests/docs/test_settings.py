"""docs/reference/settings.md has every setting with its default and meaning, and nothing else."""

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from relaytrap.config import SECTIONS, Config, NetworkName

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")


def shown(value: Any) -> str:
    """A default the way TOML writes it."""
    if isinstance(value, tuple):
        return "`[" + ", ".join(f'"{each}"' if isinstance(each, str) else str(each) for each in value) + "]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    return f"`{value}`"


ROWS = {
    f"{section}.{spec.name}": f"| `{spec.name}` | {shown(getattr(cls(), spec.name))} | {spec.metadata['doc']} |"
    for section, cls in SECTIONS.items()
    for spec in dataclasses.fields(cls)
}


def section_of(name: str) -> str:
    found = re.search(rf"^## `\[{name}\]`.*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, f"docs/reference/settings.md lacks the section `[{name}]`"
    return found[0]


@pytest.mark.parametrize("key", ROWS)
def test_every_setting_has_its_row(key: str) -> None:
    assert ROWS[key] in section_of(key.partition(".")[0]), f"docs/reference/settings.md lacks the line\n{ROWS[key]}"


def test_no_row_is_about_a_setting_that_does_not_exist() -> None:
    for section, cls in SECTIONS.items():
        documented = set(re.findall(r"^\| `(\w+)` \|", section_of(section), re.MULTILINE))
        assert documented == {spec.name for spec in dataclasses.fields(cls)}, section


def test_every_section_of_the_settings_is_there() -> None:
    sections = {spec.name for spec in dataclasses.fields(Config)} - {"data_dir"}
    assert set(re.findall(r"^## `\[(\w+)\]`", PAGE, re.MULTILINE)) == sections
    assert "`data_dir`" in PAGE


@pytest.mark.parametrize("spec", dataclasses.fields(NetworkName), ids=lambda spec: spec.name)
def test_every_key_of_a_network_name_is_explained(spec: "dataclasses.Field[Any]") -> None:
    assert f"`{spec.name}`" in section_of("network")


def test_the_example_is_a_file_that_loads(tmp_path: Path) -> None:
    from relaytrap.config import load_config

    example = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert example
    file = tmp_path / "relaytrap.toml"
    file.write_text(example[1])
    load_config(file, environ={})
