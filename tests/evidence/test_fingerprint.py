"""Tools, borrowed names, structure keys and hops."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaytrap.capture import read_capture
from relaytrap.evidence.fingerprint import find_tool, identify, structure
from relaytrap.evidence.signatures import HOSTILE_KINDS, load_signatures
from relaytrap.sip import Request, parse_message
from tests.evidence.samples import invite, request, wire

SAMPLES = {signature.name: signature.samples[0] for signature in load_signatures()}
SAMPLE_BYTES = [wire(sample) for signature in load_signatures() for sample in signature.samples]


def relayed(data: bytes, *, user_agent: bytes | None = None, record_route: bool = True) -> bytes:
    """What a proxy makes of a request: its Via and Record-Route on top, one hop less, its own name if it likes."""
    start, rest = data.split(b"\r\n", 1)
    rest = re.sub(rb"Max-Forwards: (\d+)", lambda match: b"Max-Forwards: %d" % (int(match[1]) - 1), rest)
    rest = re.sub(rb";rport(?=[;\r])", b";rport=5060;received=198.51.100.7", rest, count=1)
    if user_agent is not None:
        rest = re.sub(rb"User-Agent: [^\r]*", b"User-Agent: " + user_agent, rest)
    top = b"Via: SIP/2.0/UDP 203.0.113.11;branch=z9hG4bK71a9.b30fbd7fe75d6f935dabf5adac16ffaf.0\r\n"
    route = b"Record-Route: <sip:203.0.113.11;lr>\r\n" if record_route else b""
    return start + b"\r\n" + route + top + rest


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_tool_is_found_behind_a_relay(name: str) -> None:
    assert find_tool(request(relayed(wire(SAMPLES[name])))).name == name


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_structure_key_survives_a_relay(name: str) -> None:
    direct = structure(request(wire(SAMPLES[name])))
    assert direct.key == structure(request(relayed(wire(SAMPLES[name])))).key
    assert direct.key == structure(request(relayed(wire(SAMPLES[name]), user_agent=b"SBC/1.0"))).key


def test_structure_key_does_not_depend_on_values() -> None:
    one = invite(user="101", branch="z9hG4bK-111", call_id="3999673782", tag="5fecebaf")
    other = invite(user="102", branch="z9hG4bK-999", call_id="311927147", tag="12345678")
    assert structure(one).key == structure(other).key


def test_structure_key_depends_on_how_headers_are_written() -> None:
    data = invite().raw
    keys = {structure(request(each)).key for each in (
        data,
        data.replace(b"Call-ID:", b"i:"),
        data.replace(b"Call-ID:", b"CALL-ID:"),
        data.replace(b"From: <sip:100@", b'From: "a" <sip:100@'),
        data.replace(b"To: <", b"To: x <"),
        re.sub(rb"(CSeq: [^\r]*\r\n)(Contact: [^\r]*\r\n)", rb"\2\1", data),
    )}  # fmt: skip
    assert len(keys) == 6


def test_structure_key_sees_the_form_of_a_session_description() -> None:
    sample = wire(SAMPLES["three-integer"])
    assert structure(request(sample)).key != structure(request(sample.replace(b"a=fmtp", b"a=ptime"))).key
    assert structure(request(sample)).key == structure(request(sample.replace(b"o=61 ", b"o=62 "))).key


def test_structure_key_is_the_same_on_every_machine() -> None:
    assert structure(request(wire(SAMPLES["svmap"]))).key == "f9090e7df6c431b4"


def test_response_and_junk_have_neither_tool_nor_structure() -> None:
    response = parse_message(b"SIP/2.0 200 OK\r\nServer: friendly-scanner\r\n\r\n")
    for message in (response, parse_message(b""), parse_message(b"\x00\x01"), parse_message(b"GET / HTTP/1.1\r\n\r\n")):
        tool, built = identify(message)
        assert (tool.name, tool.signs, tool.faked, built.key) == ("", (), False, "")
    assert find_tool(response).claimed == "friendly-scanner"


def test_identify_gives_what_both_give() -> None:
    for data in SAMPLE_BYTES:
        message = request(data)
        tool, built = identify(message)
        assert built == structure(message)
        assert (tool.name, tool.confidence, tool.signs) == (find_tool(message).name, tool.confidence, tool.signs)


# --- borrowed names ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "user_agent",
    [
        "eyeBeam release 3006o stamp 17551",
        "eyeBeam release 3007n stamp 17816",
        "Cisco-SIPGateway/IOS-12.x",
        "Asterisk PBX 13.38.3",
        "FPBX-15.0.17",
        "FPBX",
        "FreePBX 1.8",
        "Zoiper r27147",
        "Jitsi2.8",
    ],
)
def test_borrowed_name_of_a_product_is_noticed_and_explained(user_agent: str) -> None:
    tool = find_tool(
        invite(branch="z9hG4bK-e029b4655ab0", call_id="678df63ef088bed0@198.51.100.7", user_agent=user_agent)
    )
    assert tool.faked
    assert tool.claimed == user_agent
    assert "not as in the genuine one" in tool.why


@pytest.mark.parametrize(
    "user_agent", ["Linksys-SPA942", "Avaya one-X", "Yealink SIP-T54W", "Grandstream GXP1625", "PolycomVVX"]
)
def test_scanner_that_calls_itself_a_telephone_is_faked(user_agent: str) -> None:
    tool = find_tool(request(wire(SAMPLES["svwar"]).replace(b"friendly-scanner", user_agent.encode())))
    assert (tool.name, tool.faked) == ("svwar", True)
    assert "the structure is that of svwar" in tool.why


@pytest.mark.parametrize("user_agent", [b"Ingate-SIParator/4.6.2", b"IceWarp SIP 11.4.1.0 RHEL6 x64"])
def test_name_that_a_relay_put_in_is_not_called_faked(user_agent: bytes) -> None:
    tool = find_tool(request(relayed(wire(SAMPLES["svwar"]), user_agent=user_agent)))
    assert (tool.name, tool.faked) == ("svwar", False)


@pytest.mark.parametrize("name", [name for name in sorted(SAMPLES) if name != "VaxSIPUserAgent"])
def test_honest_name_is_not_called_faked(name: str) -> None:
    assert not find_tool(request(wire(SAMPLES[name]))).faked


def test_unknown_name_is_not_called_faked() -> None:
    assert not find_tool(invite(user_agent="Some Phone 1.0")).faked


# --- stored traffic ---------------------------------------------------------------------------------------------------


@pytest.mark.material
@pytest.mark.parametrize(
    ("file", "tool", "claimed"),
    [
        ("ochi_pplsip_invite_udp", "three-integer", "pplsip"),
        ("ochi_voip_register_udp", "e5f4a scanner", "VOIP"),
        ("svmap_options_kali_demo", "svmap", "friendly-scanner"),
        ("nmap_sipoptions_tcp", "nmap", ""),
        ("forum_sipcli_invite_redacted", "sipcli", "sipcli/v1.8"),
    ],
)
def test_recorded_attack_is_named(material: Path, file: str, tool: str, claimed: str) -> None:
    found = find_tool(parse_message((material / "raw/honeypot" / f"{file}.sip").read_bytes()))
    assert (found.name, found.claimed, found.faked) == (tool, claimed, False)


@pytest.mark.material
def test_honeynet_log_of_2010_is_one_svmap_and_a_svwar_sweep(material: Path) -> None:
    text = (material / "logs/honeynet2010_voip_log_part1.txt").read_text()
    messages = [
        part.split("Message:\n", 1)[1] for part in text.split("-------------------------") if "Message:" in part
    ]
    tools = [find_tool(parse_message(wire(message))).name for message in messages]
    assert (tools[0], set(tools[1:]), len(tools)) == ("svmap", {"svwar"}, 1500)


def requests_in(path: Path) -> Iterator[tuple[int, Request]]:
    """Frame number and message of each request in a capture."""
    with path.open("rb") as stream:
        for observation in read_capture(stream, name=path.name, sensor="test"):
            message = parse_message(observation.raw)
            if isinstance(message, Request):
                yield observation.frame, message


@pytest.mark.material
def test_honest_traffic_is_not_called_an_attack_tool(material: Path) -> None:
    attacked = {"goffinet_Forensic_challenge_4.pcap", "goffinet_uac-uas-scenario-sipp.pcapng"}
    captures = [path for path in sorted((material / "pcap").iterdir()) if path.name not in attacked]
    found = [(path.name, frame, find_tool(message)) for path in captures for frame, message in requests_in(path)]
    assert len(found) > 200
    assert [each for each in found if each[2].kind in HOSTILE_KINDS] == []
    assert [each for each in found if each[2].faked] == []


@pytest.mark.material
def test_telephones_in_stored_calls_are_named(material: Path) -> None:
    names = {find_tool(message).name for _, message in requests_in(material / "pcap/gprshome_sip.pcap")}
    assert names == {"CounterPath", ""}
    names = {
        find_tool(message).name for _, message in requests_in(material / "pcap/goffinet_private-test-sip-2.pcapng")
    }
    assert names == {"Jitsi", "PJSIP"}


@pytest.mark.material
def test_structure_key_joins_a_campaign_over_every_kind_of_relay_but_b2buas(material: Path) -> None:
    truth = json.loads((material / "lab-open.json").read_text())
    keys: dict[str, set[str]] = {"A": set(), "B": set(), "C": set(), "E": set()}
    for name, told in truth["pcaps"].items():
        requests = {row["frame"]: row for row in told["requests"]}
        for frame, message in requests_in(material / name):
            row = requests.get(frame)
            if row is None or row["method"] == "ACK" or row["campaign"] not in keys:
                continue
            if [truth["relay_kinds"].get(relay) for relay in row["path"]] != ["b2bua"]:
                keys[row["campaign"]].add(f"{row['method']} {structure(message).key}")
    assert [len(keys[campaign]) for campaign in "ABCE"] == [1, 2, 1, 1]
    assert keys["C"] == keys["E"]


@pytest.mark.material
def test_tools_of_the_lab_are_named_behind_relays_that_replace_the_user_agent(material: Path) -> None:
    truth = json.loads((material / "lab-open.json").read_text())
    tools = {"B": "svwar", "C": "svmap", "D": "SIPp", "E": "svmap", "F": "svwar", "G": "svcrack"}
    named: Counter[tuple[str, str]] = Counter()
    for name, told in truth["pcaps"].items():
        requests = {row["frame"]: row for row in told["requests"]}
        for frame, message in requests_in(material / name):
            row = requests.get(frame)
            if row is not None and [truth["relay_kinds"].get(relay) for relay in row["path"]] != ["b2bua"]:
                named[row["campaign"], find_tool(message).name] += 1
    # A, H and L are scripts without a name, but for one call of L's that baresip made.
    assert {campaign: tool for campaign, tool in named if tool not in ("", "baresip")} == tools
    assert {campaign for campaign, tool in named if tool == ""} == {"A", "H", "L"}
    assert {campaign for campaign, tool in named if tool == "baresip"} == {"L"}
    assert sum(named.values()) > 1800


# --- anything ---------------------------------------------------------------------------------------------------------


@given(data=st.binary(max_size=400))
def test_any_bytes_are_answered(data: bytes) -> None:
    message = parse_message(data)
    tool, built = identify(message)
    assert tool.signs is not None
    assert tool.claimed is not None
    assert len(built.key) in (0, 16)


@given(sample=st.sampled_from(SAMPLE_BYTES), data=st.data())
def test_any_damage_to_a_sample_is_answered(sample: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(sample)))
    damage = data.draw(st.binary(max_size=20))
    tool, built = identify(parse_message(sample[:at] + damage + sample[at + data.draw(st.integers(0, 40)) :]))
    for sign in tool.signs:
        assert sign.offset == -1 or sign.quote
    assert len(built.key) in (0, 16)


@pytest.mark.parametrize("field", ["User-Agent", "Call-ID", "From", "Contact", "Allow", "To"])
@pytest.mark.parametrize("unit", ["0", "a", "<", '"', "3a31", ";", "z9hG4bK"])
def test_huge_value_is_answered_at_once(field: str, unit: str) -> None:
    data = re.sub(rf"{field}: [^\r]*", f"{field}: {unit * 60000}"[:60000], wire(SAMPLES["sippts"]).decode()).encode()
    tool, built = identify(parse_message(data))
    assert len(tool.claimed) <= 200
    assert len(built.key) == 16


def test_hostile_user_agent_is_claimed_as_text() -> None:
    tool = find_tool(invite(user_agent="<script>\x1b[31m"))
    assert tool.claimed == "<script>\x1b[31m"


def test_honest_kinds_are_not_hostile() -> None:
    assert {signature.kind for signature in load_signatures()} - HOSTILE_KINDS == {
        "phone",
        "server",
        "gateway",
        "library",
    }
