"""Classes of values."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relaytrap.evidence.vocabulary import OVERLONG, load_vocabulary

VOCABULARY = load_vocabulary()


@pytest.mark.parametrize(
    ("feature", "value", "name"),
    [
        ("branch", b"z9hG4bK71a9.b30fbd7fe75d6f935dabf5adac16ffaf.0", "kamailio"),
        ("branch", b"z9hG4bK71a9.b30fbd71.0", "opensips"),
        ("branch", b"z9hG4bKcydzigwkX", "ser-stateless"),
        ("branch", b"z9hG4bKsr-rW3lhSdj-4bDNFcg-H2Rh9r", "kamailio-topoh"),
        ("branch", b"z9hG4bKPje6516a96-dc66-499b-b6dd-5cb432ecbf29", "pjsip"),
        ("branch", b"z9hG4bK-d87543-40456218c429b826-1--d87543-", "counterpath"),
        ("branch", b"z9hG4bKd87543b546ef427e40652ed87543", "counterpath"),
        ("branch", b"z9hG4bK-d87543-987333414-1--d87543-", "counterpath-imitated"),
        ("branch", b"z9hG4bK-d8754z-147d6c3609118509-1---d8754z-", "resiprocate"),
        ("branch", b"z9hG4bK-524287-1---486e1fe431d591e8", "resiprocate"),
        ("branch", b"z9hG4bK-4180953726", "ten-distinct-digits"),
        ("branch", b"z9hG4bK-2240523530", "dash-decimal"),
        ("branch", b"z9hG4bK-13128-2-7", "sipp"),
        ("branch", b"z9hG4bK-8bbc1963772ea7d4e0e9b53028509008", "dash-hex32"),
        ("branch", b"z9hG4bK-343230-85321937e843a9e54339aca7504b01b0", "jain"),
        ("branch", b"z9hG4bK-18d86be906784403--mss", "minisipserver"),
        ("branch", b"z9hG4bKSG.MCMz78C2Qrydhuun4T8bjA", "sipexer"),
        ("branch", b"z9hG4bK.1a2335a6", "dot-hex8"),
        ("branch", b"z9hG4bK.8RiLA5Cnw", "belle-sip"),
        ("branch", b"z9hG4bKac730294792", "audiocodes"),
        ("branch", b"z9hG4bKnp151248737-46ea715e192.168.1.2", "nero"),
        ("branch", b"z9hG4bK951917159", "cookie-decimal"),
        ("branch", b"z9hG4bK12345678", "cookie-digits8"),
        ("branch", b"z9hG4bK62d8c613", "cookie-hex8"),
        ("branch", b"z9hG4bK9746c82f01f371b4", "cookie-hex16"),
        ("branch", b"z9hG4bK291d90e31a47b225bd0ddff4353e9cc0", "cookie-hex32"),
        ("branch", b"z9hG4bK1F5E2B", "cookie-upper-hex"),
        ("branch", b"z9hG4bKHUc1tjFS5809r", "sofia"),
        ("branch", b"z9hG4bK!", "cookie-other"),
        ("branch", b"a" * 71, "alnum71"),
        ("branch", b"ABCDEF.0123456789", "zmap"),
        ("branch", b"foo", "foo"),
        ("branch", b"202711115203011377001133155xxxxxx", "glued-numbers"),
        ("branch", b"0", "zero"),
        ("branch", b"98418117", "no-cookie"),
        ("call_id", b"1492163839-465544234-336545636", "three-integers"),
        ("call_id", b"50000", "nmap"),
        ("call_id", b"296829197237414745251540", "long-decimal"),
        ("call_id", b"3999673782", "decimal"),
        ("call_id", b"MzEwMmYyYWRiYTUxYTBhODY3ZjFkZDA2YmU2ZTk2NGI.", "base64-md5"),
        ("call_id", b"KI5bsvmePnYEzcmPjvUpKA..", "base64-md5"),
        ("call_id", b"5c4a2273-b925d3422ef71c22-e7add524@192.0.2.1", "vax"),
        ("call_id", b"202711115-203011377-001133155xxxxxx", "glued-numbers"),
        ("call_id", b"198.51.100.150-192.0.2.10-0011441904911-98418117", "addresses-and-number"),
        ("call_id", b"1093784577-5060-1@BJC.BGI.A.BAB", "grandstream"),
        ("call_id", b"13CE6F26-F60911E7-995AB81E-4CDEC078@192.0.2.1", "cisco"),
        ("call_id", b"7155B639-FFFFFFFFE25011E2-FFFFFFFF80088694-20A3250E@192.0.2.1", "cisco"),
        ("from_tag", b"49473B64-19D5", "cisco"),
        ("from_tag", b"B4DC4-9E1", "cisco"),
        ("branch", b"z9hG4bK9E8", "cookie-upper-hex"),
        ("from_tag", b"61633130303862353133633401333133353036313335", "svmap"),
        ("from_tag", b"31303001353230373232363031", "svwar"),
        ("from_tag", b"3130303a31303001333733323738363231", "svcrack"),
        ("from_tag", b"3206210844", "svcrack-first"),
        ("from_tag", b"as6acf0418", "asterisk"),
        ("from_tag", b"13128SIPpTag001", "sipp"),
        ("from_tag", b"5fecebaf", "hex8"),
        ("from_tag", b"70c00e8c", "metasploit"),
        ("from", b'"PBX"<sip:100@1.1.1.1>;tag=1', "sipvicious"),
        ("from", b"<sip:100@192.0.2.1>;tag=1", "brackets"),
        ("from", b'"100" <sip:100@192.0.2.1>', "quoted-spaced"),
        ("contact", b"sip:100@127.0.1.1:5060", "bare"),
        ("contact", b"<sip:100@192.0.2.1;transport=udp>;expires=120", "sippts"),
        ("user_agent", b"friendly-scanner", "sipvicious"),
        ("user_agent", b"eyeBeam release 3006o stamp 17551", "eyebeam"),
    ],
)
def test_value_has_its_class(feature: str, value: bytes, name: str) -> None:
    assert VOCABULARY.shapes[feature].name(value) == name


def test_no_value_has_no_class() -> None:
    assert [shapes.name(None) + shapes.name(b"") for shapes in VOCABULARY.shapes.values()] == [""] * 7


def test_overlong_value_is_not_matched() -> None:
    assert {shapes.name(b"9" * 513) for shapes in VOCABULARY.shapes.values()} == {OVERLONG}


@pytest.mark.parametrize(
    ("feature", "row"),
    [
        pytest.param(feature, row, id=f"{feature}-{row['name']}")
        for feature, shapes in VOCABULARY.shapes.items()
        for row in shapes.rows
        if "length" in row and "(?=" not in row["pattern"] and "(?!" not in row["pattern"]
    ],
)
@settings(max_examples=25)
@given(data=st.data())
def test_length_limits_leave_out_no_value_that_the_pattern_matches(
    feature: str, row: Mapping[str, Any], data: st.DataObject
) -> None:
    value = data.draw(st.from_regex(row["pattern"].encode("ascii"), fullmatch=True))
    shortest, longest = row["length"]
    assert shortest <= len(value)
    # What may go on without end is cut off at a length that no tool reaches.
    assert len(value) <= longest or re.search(r"[+*]|[0-9]{2,3}\}", row["pattern"])


@pytest.mark.parametrize("feature", sorted(VOCABULARY.shapes))
@given(value=st.binary(max_size=600) | st.from_regex(rb"z9hG4bK[-.]?[0-9a-f]{0,40}", fullmatch=True))
def test_any_value_has_exactly_one_known_class(feature: str, value: bytes) -> None:
    shapes = VOCABULARY.shapes[feature]
    assert shapes.name(value) in shapes.names | {"other"}


@pytest.mark.parametrize("feature", sorted(VOCABULARY.shapes))
@pytest.mark.parametrize("unit", [b"0", b"a", b"3a", b"31", b"<", b'"', b"-", b".", b"z9hG4bK", b"1.", b";rinstance="])
def test_hostile_value_is_classed_at_once(feature: str, unit: bytes) -> None:
    for length in (100, 511, 512, 65536):
        VOCABULARY.shapes[feature].name((unit * length)[:length])


def test_optional_fields_spell_out_every_order() -> None:
    nmap = (b"from", b"to", b"call-id", b"cseq", b"max-forwards", b"content-length", b"contact", b"accept")
    with_allow = (b"to", b"from", b"call-id", b"cseq", b"contact", b"max-forwards", b"allow", b"user-agent",
                  b"content-type", b"content-length")  # fmt: skip
    assert VOCABULARY.orders[nmap] == "nmap"
    assert VOCABULARY.orders[with_allow] == "sipcli"
    assert VOCABULARY.orders[tuple(name for name in with_allow if name != b"allow")] == "sipcli"
