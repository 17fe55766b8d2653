"""Signature files: each holds together, and finds its own samples."""

from pathlib import Path

import pytest

from relaytrap.evidence.fingerprint import find_tool
from relaytrap.evidence.signatures import HOSTILE_KINDS, Signature, _check_words, load_signatures
from relaytrap.evidence.vocabulary import load_vocabulary
from relaytrap.sip import parse_message
from tests.evidence.samples import request, wire

SIGNATURES = load_signatures()
SAMPLES = [
    pytest.param(signature, sample, id=f"{signature.name}-{number}")
    for signature in SIGNATURES
    for number, sample in enumerate(signature.samples, 1)
]

EXPECTED = {
    "svmap", "svwar", "svcrack", "sundayddr", "sippts", "three-integer", "sipcli", "VaxSIPUserAgent", "Mr.SIP", "SIPp",
    "sipsak", "nmap", "ZMap", "sipexer", "Metasploit", "e5f4a scanner", "CounterPath", "Zoiper", "Cisco IOS gateway",
    "Asterisk", "PJSIP", "baresip", "Linphone", "Jitsi", "FreeSWITCH", "AudioCodes",
}  # fmt: skip


def test_every_tool_of_the_field_has_a_signature() -> None:
    assert {signature.name for signature in SIGNATURES} == EXPECTED


@pytest.mark.parametrize(("signature", "sample"), SAMPLES)
def test_sample_is_found(signature: Signature, sample: str) -> None:
    tool = find_tool(request(wire(sample)))
    assert (tool.name, tool.family, tool.kind) == (signature.name, signature.family, signature.kind)
    assert tool.confidence >= 70


@pytest.mark.parametrize(("signature", "sample"), SAMPLES)
def test_sample_is_found_without_its_user_agent(signature: Signature, sample: str) -> None:
    lines = [line for line in sample.split("\n") if not line.lower().startswith("user-agent:")]
    if signature.name in ("VaxSIPUserAgent", "Zoiper", "Jitsi", "Asterisk", "Linphone", "FreeSWITCH", "CounterPath"):
        pytest.skip("its structure alone is not unlike others'")
    tool = find_tool(request(wire("\n".join(lines))))
    assert tool.name == signature.name


@pytest.mark.parametrize(("signature", "sample"), SAMPLES)
def test_every_sign_quotes_bytes_of_the_sample(signature: Signature, sample: str) -> None:
    data = wire(sample)
    for sign in find_tool(request(data)).signs:
        assert sign.rule.startswith(f"tool.{signature.name.lower().replace(' ', '-')}.")
        assert sign.text.endswith(".")
        if sign.rule.endswith(".order"):
            assert (sign.quote, sign.offset) == (b"", -1)
        else:
            assert sign.quote
            assert data[sign.offset : sign.offset + len(sign.quote)] == sign.quote


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.name)
def test_user_agent_alone_names_nobody(signature: Signature) -> None:
    assert sum(sign.weight for sign in signature.signs if sign.feature == "user_agent") <= 60
    for sample in signature.samples:
        claimed = next((line for line in sample.split("\n") if line.startswith("User-Agent:")), None)
        if claimed is not None:
            bare = f"OPTIONS sip:a@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK!\n{claimed}\n"
            assert find_tool(parse_message(wire(bare))).name == ""


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: signature.name)
def test_signature_says_what_it_is_and_where_it_is_known_from(signature: Signature) -> None:
    assert signature.what
    assert signature.source
    assert signature.samples
    assert len({(sign.feature, sign.classes) for sign in signature.signs}) == len(signature.signs)
    assert bool(signature.genuine) <= bool(signature.user_agents)
    assert not (signature.genuine and signature.kind in HOSTILE_KINDS)


def test_samples_use_documentation_addresses_only() -> None:
    import ipaddress
    import re

    for signature in SIGNATURES:
        for sample in signature.samples:
            for text in re.findall(r"(?<![\d.])\d+\.\d+\.\d+\.\d+(?![\d.])", sample):
                address = ipaddress.ip_address(text) if all(int(part) < 256 for part in text.split(".")) else None
                allowed = text in ("1.1.1.1", "0.0.0.0")
                assert address is None or allowed or not address.is_global, (signature.name, text)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"feature": "branch", "is": ["no such class"]}, "branch has no class"),
        ({"feature": "order", "is": ["no such order"]}, "order has no class"),
        ({"feature": "sdp", "never": ["no such line"]}, "sdp has no class"),
        ({"feature": "smell", "is": ["bad"]}, "unknown feature 'smell'"),
    ],
)
def test_word_that_the_vocabulary_lacks_is_refused(row: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        _check_words("file.toml", row, load_vocabulary())


def test_reference_page_lists_every_tool() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/reference/evidence-facts.md").read_text(encoding="utf-8")
    for signature in SIGNATURES:
        assert f"| {signature.name} | {signature.kind} | {signature.what} |" in page
