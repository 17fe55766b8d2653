"""What decides and writes answers touches no socket, clock or chance of its own."""

import ast
from pathlib import Path

import pytest

import relaytrap.sensor

PURE = (
    "calls",
    "chance",
    "credentials",
    "engine",
    "flow",
    "ledger",
    "media",
    "outlet",
    "pattern",
    "persona",
    "reply",
    "voice",
)
FORBIDDEN = {"socket", "asyncio", "ssl", "sqlite3", "time", "random", "secrets", "os", "pathlib", "relaytrap.clock"}


@pytest.mark.parametrize("name", PURE)
def test_pure_module_imports_nothing_impure(name: str) -> None:
    path = Path(relaytrap.sensor.__path__[0], f"{name}.py")
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    assert not imported & FORBIDDEN
