"""A redacted report holds no form of a sensor's address, whatever wrote it where."""

import base64
import hashlib
from binascii import hexlify
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relaytrap.config import NetworkConfig
from relaytrap.errors import InputError
from relaytrap.evidence.address_forms import find_address_forms
from relaytrap.web.report.blocks import Document
from relaytrap.web.report.make import Made, Wanted, make_report, name_of, render

NOW_NS = 1_767_225_600_000_000_000
ID = "0123456789abcdef"
ADDRESSES = (st.ip_addresses(v=4) | st.ip_addresses(v=6)).filter(lambda each: int(each) >> 24 and len(str(each)) > 6)


def message_row(local: str, text: str) -> dict[str, Any]:
    """A message that has the text wherever a message can have one."""
    raw = f"INVITE sip:{text}@{local} SIP/2.0\r\nCall-ID: {text}\r\nUser-Agent: {text}\r\n\r\n".encode()
    return {
        "id": ID,
        "received_at": "2026-01-01T00:00:00.000000001Z",
        "sensor": "secret-name",
        "capture": "secret-name.pcap",
        "direction": "in",
        "transport": "udp",
        "source": "192.0.2.77",
        "source_port": 5060,
        "local": local,
        "local_port": 5060,
        "kind": "request",
        "method": "INVITE",
        "status_code": None,
        "country": "FR",
        "asn": 64500,
        "as_name": text,
        "tool": text,
        "tool_claimed": text,
        "tool_faked": True,
        "dialled": "",
        "dialled_prefix": "",
        "path_verdict": "direct",
        "relay": None,
        "origin": text,
        "origin_confidence": 60,
        "campaign": None,
        "association": False,
        "opener": True,
        "evidence": [{"rule": "path.x", "weight": 5, "text": text, "quote": text, "offset": 3, "length": 2}],
        "decoded": [
            {
                "field": "Call-ID",
                "encoding": "hex",
                "kind": "address",
                "value": local,
                "note": text,
                "is_source": False,
                "is_local": True,
                "quote": text,
            }
        ],
        "hops": [],
        "raw": base64.b64encode(raw).decode(),
    }


def asked_of(row: dict[str, Any]) -> Any:
    """Answers a report of one message."""
    answers = {
        "message": [row],
        "sensor_addresses": [{"sensor": row["sensor"], "address": row["local"], "messages": 1, "known": "socket"}],
    }
    return lambda name, given: answers.get(name, [])


@settings(max_examples=60)
@given(ADDRESSES, st.data())
def test_no_form_of_a_sensors_address_is_in_a_redacted_report(address, data):
    forms = [form.text.decode() for form in find_address_forms(str(address)) if form.sure]
    form = data.draw(st.sampled_from(forms))
    text = data.draw(st.sampled_from([form, hexlify(form.encode()).decode(), base64.b64encode(form.encode()).decode()]))
    made = make_report(asked_of(message_row(str(address), text)), Wanted(what=ID), NetworkConfig(), NOW_NS)
    page, markdown = render(made, "html").decode(), render(made, "md").decode().replace("\\", "")
    assert "SHA-256" not in page
    for shown in (page, markdown):
        assert text not in shown
        assert form not in shown
        assert "secret-name" not in shown
        assert ID not in shown
    assert ID not in name_of(made, "html")


def test_report_that_is_not_redacted_has_everything():
    made = make_report(
        asked_of(message_row("203.0.113.7", "cb007107")), Wanted(what=ID, redact=False), NetworkConfig(), NOW_NS
    )
    page = render(made, "html").decode()
    digest = hashlib.sha256(base64.b64decode(made.facts["message"]["row"]["raw"])).hexdigest()
    for each in ("203.0.113.7", "cb007107", "secret-name", ID, digest):
        assert each in page
    assert made.facts["redaction"] is None


def test_own_networks_and_domains_of_the_settings_are_left_out():
    row = message_row("203.0.113.7", "198.51.100.99 pots.example.org")
    network = NetworkConfig(own_networks=("198.51.100.0/24",), own_domains=("pots.example.org",))
    page = render(make_report(asked_of(row), Wanted(what=ID, also=("192.0.2.77",)), network, NOW_NS), "html").decode()
    for each in ("198.51.100.99", "pots.example.org", "192.0.2.77"):
        assert each not in page


def test_guessed_address_of_a_sensor_behind_a_nat_is_left_out_and_told_of():
    row = message_row("10.0.0.5", "203.0.113.9")
    places = [
        {"sensor": "secret-name", "address": "10.0.0.5", "messages": 9, "known": "socket"},
        {"sensor": "secret-name", "address": "203.0.113.9", "messages": 5, "known": "requests"},
    ]
    made = make_report(
        lambda name, given: {"message": [row], "sensor_addresses": places}.get(name, []),
        Wanted(what=ID),
        NetworkConfig(),
        NOW_NS,
    )
    assert "203.0.113.9" not in render(made, "html").decode()
    assert [each["address"] for each in made.guessed] == ["203.0.113.9"]


def test_nothing_known_is_an_input_error():
    with pytest.raises(InputError, match="nothing is known"):
        make_report(lambda name, given: [], Wanted(what="ffffffffffff"), NetworkConfig(), NOW_NS)


def test_report_does_not_end_after_it_was_made():
    facts = {"what": "", "since": "2026-01-01T00:00:00Z", "until": "2026-01-09T00:00:00.000000000Z"}
    made = Made(facts | {"made_at": "2026-01-08T23:10:00.000000000Z"}, Document("", (), (), ""))
    assert name_of(made, "html") == "relaytrap-report-2026-01-01-to-2026-01-08.html"
    earlier = Made(facts | {"made_at": "2026-02-08T23:10:00.000000000Z"}, Document("", (), (), ""))
    assert name_of(earlier, "html") == "relaytrap-report-2026-01-01-to-2026-01-09.html"
