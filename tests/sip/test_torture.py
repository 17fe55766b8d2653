"""The torture messages: our own for each section of RFC 4475 and RFC 5118, and the RFCs' where they are at hand."""

import json
from pathlib import Path

import pytest

from relaytrap.sip import Message, Unparsed, parse_message, validate
from tests.sip.torture import CASES, Case


def fits(message: Message, verdict: str) -> bool:
    """The verdicts of the truth files: valid, invalid, valid_syntax."""
    parsed = not isinstance(message, Unparsed)
    owed = validate(message)
    if verdict == "invalid":
        return not parsed or owed is not None or bool(message.anomalies)
    return parsed and (verdict == "valid_syntax" or owed is None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.section} {case.name}")
class TestOwnMessages:
    def test_verdict_is_that_of_the_section(self, case: Case) -> None:
        assert fits(parse_message(case.data), case.verdict)

    def test_status_owed_is_that_of_the_section(self, case: Case) -> None:
        owed = validate(parse_message(case.data))
        assert (owed.status if owed else None) == case.status

    def test_defect_is_named(self, case: Case) -> None:
        assert set(case.anomalies) <= {anomaly.name for anomaly in parse_message(case.data).anomalies}

    def test_bytes_are_kept(self, case: Case) -> None:
        message = parse_message(case.data)
        assert message.raw == case.data
        rebuilt = b"".join(name + b":" + value + b"\r\n" for name, value in message.headers.raw_items())
        assert rebuilt in case.data + b"\r\n"


def test_every_section_has_a_message() -> None:
    sections = {case.section for case in CASES}
    wanted = {f"RFC 4475 3.1.1.{n}" for n in range(1, 14)} | {f"RFC 4475 3.1.2.{n}" for n in range(1, 20)}
    wanted |= {f"RFC 4475 3.3.{n}" for n in range(1, 16)} | {"RFC 4475 3.2.1", "RFC 4475 3.4.1"}
    wanted |= {f"RFC 5118 4.{n}" for n in range(1, 11)}
    assert sections == wanted


@pytest.mark.material
@pytest.mark.parametrize("rfc", ["rfc4475", "rfc5118"])
def test_stored_messages_get_the_verdict_of_their_rfc(material: Path, rfc: str) -> None:
    cases = json.loads((material / "truth" / f"{rfc}.json").read_text())["messages"]
    wrong = [
        case["file"]
        for case in cases
        if not fits(parse_message((material / case["file"]).read_bytes()), case["verdict"])
    ]
    assert wrong == []


@pytest.mark.material
def test_stored_messages_with_bare_line_feeds_get_the_same_verdict(material: Path) -> None:
    cases = json.loads((material / "truth" / "rfc5118.json").read_text())["messages"]
    wrong = [
        case["lf_variant"]
        for case in cases
        if not fits(parse_message((material / case["lf_variant"]).read_bytes()), case["verdict"])
    ]
    assert wrong == []
