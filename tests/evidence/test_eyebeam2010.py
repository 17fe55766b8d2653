"""The message of 2010, rebuilt: each fact of its story is found in the bytes."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from relaytrap.evidence.dialplan import read_number
from relaytrap.evidence.fingerprint import find_tool
from relaytrap.evidence.identifiers import decode_identifiers
from relaytrap.observation import Observation
from relaytrap.sip import Request
from tests.evidence.samples import request

GOLDEN = Path(__file__).resolve().parents[1] / "golden/eyebeam2010"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_message", GOLDEN / "make_message.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def message(script: ModuleType) -> Request:
    return request(script.make_message())


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return dict(json.loads((GOLDEN / "expected.json").read_text()))


def test_tool_is_the_three_integer_family_and_eyebeam_is_borrowed(message: Request, expected: dict[str, Any]) -> None:
    tool = find_tool(message)
    told = {name: getattr(tool, name) for name in ("name", "family", "claimed", "faked", "why")}
    assert told == expected["tool"]
    assert [(sign.rule, sign.quote.decode()) for sign in tool.signs] == [tuple(each) for each in expected["signs"]]


def test_both_addresses_and_the_number_are_in_call_id_and_branch(
    script: ModuleType, message: Request, expected: dict[str, Any]
) -> None:
    observation = Observation(
        script.RECEIVED_AT_NS, "2010", "in", "udp",
        script.SOURCE, script.SOURCE_PORT, script.HONEYPOT, script.HONEYPOT_PORT, message.raw,
    )  # fmt: skip
    found = [
        [one.field, one.encoding, one.kind, one.value, one.quote.decode(), one.is_source, one.is_local]
        for one in decode_identifiers(message, observation)
    ]
    assert found == expected["decoded"]


def test_number_leaves_australia_for_france(message: Request, expected: dict[str, Any]) -> None:
    assert message.uri is not None
    number = read_number(message.uri.user or b"", "AU")
    assert number is not None
    told = {name: getattr(number, name) for name in expected["number"]}
    assert told == expected["number"]
