"""What identifiers give away."""

import ipaddress
import json
from base64 import b64encode
from hashlib import md5
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from relaytrap.evidence.address_forms import find_address_forms
from relaytrap.evidence.identifiers import DIGITS, HOSTS, Decoded, decode_identifiers
from relaytrap.evidence.signatures import load_signatures
from relaytrap.sip import Request, parse_message
from tests.evidence.samples import LOCAL, SOURCE, invite, request, seen, wire


def decode(message: Request, source: str = SOURCE, local: str = LOCAL) -> tuple[Decoded, ...]:
    return decode_identifiers(message, seen(message.raw, source, local))


def only(message: Request, source: str = SOURCE, local: str = LOCAL) -> Decoded:
    (found,) = decode(message, source, local)
    return found


# --- SIPVicious -------------------------------------------------------------------------------------------------------


def sipvicious_tag(text: bytes, number: bytes = b"1234567890") -> str:
    return (text + b"\x01" + number).hex()


def test_svmap_tag_tells_whom_it_aimed_at() -> None:
    found = only(invite(tag=sipvicious_tag(b"c000020a13c4")))
    assert (found.field, found.encoding, found.kind, found.value) == (
        "From tag", "SIPVicious", "target address", "192.0.2.10:5060",
    )  # fmt: skip
    assert (found.is_local, found.is_source) == (True, False)


def test_svmap_tag_with_another_target_is_not_ours() -> None:
    found = only(invite(tag=sipvicious_tag(b"cb00714d13c6")))
    assert (found.value, found.is_local) == ("203.0.113.77:5062", False)
    assert "not this sensor's address" in found.note


@pytest.mark.parametrize("extension", ["100", "1000", "2708831863", "admin", "ünï"])
def test_svwar_tag_tells_the_extension(extension: str) -> None:
    if not extension.isascii():
        pytest.skip("SIPVicious writes ASCII")
    found = only(invite(tag=sipvicious_tag(extension.encode())))
    assert (found.kind, found.value) == ("target", extension)


def test_svcrack_tag_tells_user_and_password() -> None:
    found = only(invite(tag=sipvicious_tag(b"100:secret!")))
    assert (found.kind, found.value) == ("credentials", "100:secret!")


def test_svcracks_constant_tag_holds_no_address() -> None:
    found = only(invite(tag="3206210844"))
    assert (found.kind, found.note) == ("constant", "svcrack sends this tag in every first request: no address")


@given(
    address=st.ip_addresses(v=4),
    port=st.integers(0, 65535),
    number=st.from_regex(r"[0-9]{1,10}", fullmatch=True),
)
def test_any_svmap_tag_is_decoded(address: ipaddress.IPv4Address, port: int, number: str) -> None:
    tag = sipvicious_tag(b"%08x%04x" % (int(address), port), number.encode())
    assert decode(invite(tag=tag))[0].value == f"{address}:{port}"


# --- addresses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call_id", "encoding"),
    [
        ("abc@198.51.100.7", "dotted"),
        ("abc19851100719", "undotted"),
        ("x198051100007x", "undotted, padded"),
        ("3325256711-1", "decimal"),
        ("123c63364074", "hex"),
        ("aC6336407-z", "hex"),
        ("zz076433c6zz", "hex reversed"),
        ("a-198-51-100-7", "hyphenated"),
        ("a_198_51_100_7", "underscored"),
        ("call@7.100.51.198", "dotted reversed"),
        ("1093784577-5060-1@BJI.FB.BAA.H", "letters"),
        ("313938 2e35312e3130302e37".replace(" ", ""), "hex of text"),
    ],
)
def test_source_is_found_in_every_form(call_id: str, encoding: str) -> None:
    found = decode(invite(call_id=call_id))
    assert [(one.encoding, one.value, one.is_source) for one in found if one.is_source] == [(encoding, SOURCE, True)]


@given(address=st.ip_addresses(), junk=st.text("gzGZ.~", min_size=1, max_size=5))
def test_every_sure_form_that_can_be_written_can_be_read(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, junk: str
) -> None:
    text = str(ipaddress.IPv6Address(address).ipv4_mapped or address) if address.version == 6 else str(address)
    for form in find_address_forms(text):
        if form.sure and form.encoding != "hex of hex":  # read where SIPVicious writes it, in the From tag
            call_id = f"{junk}~{form.text.decode()}~{junk}"
            found = decode(invite(call_id=call_id), source=text)
            assert any(one.is_source and one.field == "Call-ID" for one in found), form


@pytest.mark.parametrize(
    ("field", "part"),
    [
        ("Call-ID", "call_id"),
        ("branch", "branch"),
        ("From tag", "tag"),
        ("To tag", "to_tag"),
        ("From user", "from_user"),
        ("Contact user", "contact_user"),
    ],
)
def test_every_field_is_looked_at_and_the_place_is_told(field: str, part: str) -> None:
    message = invite(**{part: "x202711115y"})
    found = only(message, source="202.71.111.5")
    assert (found.field, found.quote) == (field, b"202711115")
    assert message.raw[found.offset :].startswith(b"202711115y")
    line_start = message.raw.rfind(b"\n", 0, found.offset) + 1
    header = message.raw[line_start : message.raw.index(b":", line_start)]
    assert header.lower() == {"branch": b"via"}.get(field, field.split()[0].lower().encode())


def test_same_value_in_two_fields_is_two_findings_with_two_places() -> None:
    found = decode(invite(from_user="x202711115", contact_user="x202711115"), source="202.71.111.5")
    assert [one.field for one in found] == ["From user", "Contact user"]
    assert found[0].offset < found[1].offset


def test_address_named_in_the_headers_counts_as_known() -> None:
    found = only(invite(call_id="20301137700@x", via_host="203.0.113.77"))
    assert (found.encoding, found.value, found.is_source, found.is_local) == ("undotted", "203.0.113.77", False, False)
    assert found.note == "also named in the headers"


def test_address_with_dots_counts_although_nobody_names_it() -> None:
    found = only(invite(call_id="1-2@203.0.113.99"))
    assert (found.value, found.note) == ("203.0.113.99", "named nowhere else")


@pytest.mark.parametrize("call_id", ["1.2.3", "1.2.3.4.5", "999.1.1.1", "v1.2.3.4567"])
def test_dots_and_digits_that_are_no_address_do_not_count(call_id: str) -> None:
    assert decode(invite(call_id=call_id)) == ()


@pytest.mark.parametrize(
    "call_id",
    [
        "202711115",  # could be 202.71.111.5, which nobody here knows
        "ca476f05ca476f05",
        "3393679109",
        "1492163839-465544234-336545636",
        "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    ],
)
def test_digits_that_only_could_be_an_address_are_no_finding(call_id: str) -> None:
    assert decode(invite(call_id=call_id)) == ()


def test_short_undotted_form_is_not_looked_for() -> None:
    assert decode(invite(call_id="99123499"), source="1.2.3.4") == ()


def test_own_address_is_marked_as_ours() -> None:
    found = only(invite(from_user="1450019202010"), local="192.0.20.10")
    assert (found.kind, found.value, found.is_local) == ("address", "192.0.20.10", True)


def test_ipv6_source_in_a_call_id_is_found() -> None:
    found = only(invite(call_id="abc@[2001:db8::7]"), source="2001:db8::7")
    assert (found.encoding, found.is_source) == ("text", True)


def test_masked_target_behind_the_dialled_prefix_is_possible_not_certain() -> None:
    found = only(invite(user="14500972598112101", from_user="14500163172166221"), local="1.2.3.4")
    assert (found.kind, found.value) == ("possible address", "163.172.166.221")
    assert "unconfirmed" in found.note


def test_digits_that_split_in_several_ways_are_not_guessed() -> None:
    assert decode(invite(user="14500972598112101", from_user="14500111111111"), local="1.2.3.4") == ()


# --- numbers and the rest ---------------------------------------------------------------------------------------------


def test_dialled_number_inside_the_call_id_is_found() -> None:
    found = only(invite(user="0011441904911", call_id="a-0011441904911-b"))
    assert (found.field, found.kind, found.value) == ("Call-ID", "number", "0011441904911")


def test_extension_inside_the_call_id_is_no_finding() -> None:
    assert decode(invite(user="100", call_id="9910099")) == ()


def test_base64_of_an_md5_holds_no_address_and_says_so() -> None:
    text = md5(b"x").hexdigest()
    found = only(invite(call_id=b64encode(text.encode()).decode().rstrip("=") + "."))
    assert (found.kind, found.value, found.note) == ("hash", text, "decodes to an MD5 as text: no address")


def test_base64_of_sixteen_bytes_holds_no_address_and_says_so() -> None:
    found = only(invite(call_id="KI5bsvmePnYEzcmPjvUpKA.."))
    assert (found.kind, found.note) == ("hash", "decodes to 16 bytes, an MD5: no address")


def test_base64_of_text_with_an_address_is_an_address() -> None:
    found = only(invite(call_id=b64encode(b"id-203.0.113.99-x").decode().rstrip("=")))
    assert (found.encoding, found.kind, found.value) == ("base64 of text", "address", "203.0.113.99")


def test_base64_of_text_without_an_address_says_so() -> None:
    found = only(invite(call_id=b64encode(b"hello honeypot").decode().rstrip("=")))
    assert (found.kind, found.value) == ("text", "hello honeypot")


def test_nmaps_call_id_is_a_constant() -> None:
    found = only(invite(call_id="50000"))
    assert (found.kind, found.note) == ("constant", "nmap sends 50000 to everybody: no address")


def test_identifiers_without_anything_give_nothing() -> None:
    assert decode(invite()) == ()


def test_responses_and_junk_give_nothing() -> None:
    for data in (b"SIP/2.0 200 OK\r\nCall-ID: 1@198.51.100.7\r\n\r\n", b"", b"\r\n\r\n", b"\x00"):
        assert decode_identifiers(parse_message(data), seen(data)) == ()


def test_findings_can_be_written_as_json() -> None:
    found = only(invite(tag=sipvicious_tag(b"c000020a13c4")))
    assert json.loads(json.dumps(found.value)) == "192.0.2.10:5060"


# --- stored traffic ---------------------------------------------------------------------------------------------------


@pytest.mark.material
def test_recorded_svmap_tag_decodes_as_documented(material: Path) -> None:
    truth = json.loads((material / "truth/raw_honeypot.json").read_text())["messages"]
    for told in truth:
        if "from_tag_hex" in told.get("decode", {}):
            message = request((material / told["file"]).read_bytes())
            target = next(one for one in decode(message) if one.kind == "target address")
            address, port = target.value.split(":")
            assert told["decode"]["target"].startswith(f"{int(ipaddress.ip_address(address)):08x} = {address}")
            assert f"port {port}" in told["decode"]["target"]
            return
    pytest.fail("no svmap message in the material")


@pytest.mark.material
def test_recorded_pplsip_user_gives_the_masked_sensor_away(material: Path) -> None:
    message = request((material / "raw/honeypot/ochi_pplsip_invite_udp.sip").read_bytes())
    assert only(message, "51.75.106.116", "1.2.3.4").value == "163.172.166.221"
    found = decode(message, "51.75.106.116", "163.172.166.221")
    assert [(one.field, one.is_local) for one in found] == [("From user", True), ("Contact user", True)]


# --- anything ---------------------------------------------------------------------------------------------------------


@given(data=st.binary(max_size=300))
def test_any_bytes_are_answered(data: bytes) -> None:
    assert isinstance(decode_identifiers(parse_message(data), seen(data)), tuple)


def test_a_zone_behind_a_contacts_address_is_answered() -> None:
    for zone in ("%eth0", "%25eth0"):
        assert decode(invite(call_id="AB", via_host=f"[fe80::1{zone}]")) == ()


def test_a_long_host_is_not_kept() -> None:
    host = b"1" * 5000
    assert HOSTS[host][0] == ""
    assert DIGITS[host] == ()
    assert host not in HOSTS
    assert host not in DIGITS


IDENTIFIER = st.text("0123456789abcdefzZ.-@_%", min_size=1, max_size=60)


@given(call_id=IDENTIFIER, branch=IDENTIFIER, tag=IDENTIFIER, from_user=st.text("0123456789", max_size=16))
def test_every_finding_quotes_bytes_that_are_there(call_id: str, branch: str, tag: str, from_user: str) -> None:
    message = invite(call_id=call_id, branch=branch, tag=tag, from_user=from_user or "1")
    for found in decode(message):
        assert message.raw[found.offset : found.offset + len(found.quote)] == found.quote
        assert found.value


@given(call_id=st.from_regex(r"[0-9a-f]{32}", fullmatch=True), tag=st.from_regex(r"[0-9a-f]{8}", fullmatch=True))
def test_random_hex_holds_nothing(call_id: str, tag: str) -> None:
    known = (f"{int(ipaddress.ip_address(each)):08x}" for each in (SOURCE, LOCAL))
    assume(not any(each in call_id + tag for each in known))
    assume("3164" not in call_id)
    assert [one for one in decode(invite(call_id=call_id, tag=tag)) if one.encoding.startswith("hex")] == []


@pytest.mark.parametrize("unit", ["1", "1.", "198.51.100.7", "3a", "Aa1", "-", "z9hG4bK", "%2e"])
def test_huge_identifiers_are_answered_at_once(unit: str) -> None:
    huge = (unit * 60000)[:60000]
    found = decode(invite(call_id=huge, branch=huge, tag=huge, from_user=huge.replace("%", "")))
    assert len(found) < 50


def test_samples_of_scanners_decode_to_their_targets() -> None:
    values = {
        signature.name: [one.value for sample in signature.samples for one in decode(request(wire(sample)))]
        for signature in load_signatures()
        if signature.family == "SIPVicious"
    }
    assert set(values["svmap"]) == {"192.0.2.10:5060"}
    assert values["svwar"] == ["101"]
    assert values["svcrack"] == ["svcrack", "100:s3cret"]


def test_reference_page_explains_every_kind() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/reference/evidence-facts.md").read_text(encoding="utf-8")
    kinds = (
        "target address",
        "target",
        "credentials",
        "address",
        "possible address",
        "number",
        "hash",
        "text",
        "constant",
    )
    assert all(f"`{kind}`" in page for kind in kinds)
