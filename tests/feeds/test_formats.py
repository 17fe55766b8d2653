"""Every format: what it looks like, the same bytes each time, and no text of others that breaks it."""

import csv
import io
import json
import re

import pytest

from relaytrap.feeds import FORMATS
from tests.feeds.made import MIXED, PAYLOADS, feed, hostile, indicator

CLEAN = [name for name in FORMATS if name not in ("jsonl", "stix", "misp", "csv")]


def written(name, which=MIXED):
    return FORMATS[name].write(which).decode()


def bare(name, which=MIXED, mark="#"):
    """Lines that are no comments."""
    return [line for line in written(name, which).splitlines() if not line.startswith(mark)]


def test_plain_text_has_an_address_a_line_and_says_why():
    lines = bare("txt")
    assert [line.split()[0] for line in lines] == ["198.51.100.7", "203.0.113.9", "2001:db8::7"]
    assert "# victim: an open relay that is abused" in lines[1]


def test_nftables_has_a_set_for_each_family_and_role_emptied_before_it_is_filled():
    text = written("nft")
    assert re.findall(r"  set (\w+) { type (\w+); }", text) == [
        ("attackers4", "ipv4_addr"),
        ("attackers6", "ipv6_addr"),
        ("relays4", "ipv4_addr"),
        ("relays6", "ipv6_addr"),
    ]
    assert "flush set inet relaytrap relays6" in text
    assert '  203.0.113.9 comment "victim: an open relay that is abused, 20 requests at 2 honeypots, ' in text


def test_ipset_swaps_a_whole_list_with_the_one_in_use():
    lines = bare("ipset", feed(indicator()))
    assert lines[0] == "create relaytrap_attackers4 hash:ip family inet maxelem 1048576 comment"
    assert lines[3].startswith('add relaytrap_attackers4_next 198.51.100.7 comment "attacker, 20 ')
    assert lines[4:6] == ["swap relaytrap_attackers4_next relaytrap_attackers4", "destroy relaytrap_attackers4_next"]


def test_kamailio_has_attackers_and_relays_in_groups_of_their_own():
    assert bare("kamailio") == [
        "60 198.51.100.7 32 0 attacker",
        "61 203.0.113.9 32 0 relay",
        "60 2001:db8::7 128 0 attacker",
    ]


def test_asterisk_permits_everybody_and_then_denies_these():
    assert bare("asterisk", mark=";") == [
        "[relaytrap_attackers]",
        "permit=0.0.0.0/0",
        "permit=::/0",
        "deny=198.51.100.7/32",
        "deny=2001:db8::7/128",
        "[relaytrap_relays]",
        "permit=0.0.0.0/0",
        "permit=::/0",
        "deny=203.0.113.9/32",
    ]


def test_csv_and_json_lines_have_the_same_fields():
    rows = [json.loads(line) for line in written("jsonl").splitlines()]
    table = list(csv.DictReader(io.StringIO(written("csv"))))
    assert [list(row) for row in rows] == [list(row) for row in table]
    assert [row["victim"] for row in rows] == [False, True, False]
    assert table[1]["roles"] == "relay"


def test_stix_has_patterns_for_attackers_and_only_a_sighting_of_a_victim():
    stix2 = pytest.importorskip("stix2")
    bundle = stix2.parse(written("stix"), version="2.1", allow_custom=False)
    patterns = [each.pattern for each in bundle.objects if each.type == "indicator"]
    assert patterns == ["[ipv4-addr:value = '198.51.100.7']", "[ipv6-addr:value = '2001:db8::7']"]
    (seen,) = [each for each in bundle.objects if each.type == "observed-data"]
    assert (seen.labels, seen.number_observed) == (["open-relay-victim"], 20)


def test_a_later_stix_bundle_updates_the_objects_of_an_earlier_one():
    pytest.importorskip("stix2")
    first, second = (
        json.loads(written("stix", feed(indicator(last_seen=moment))))["objects"][1]
        for moment in ("2026-09-22T13:00:00Z", "2026-09-23T13:00:00Z")
    )
    assert first["id"] == second["id"]
    assert first["modified"] < second["modified"]


def test_misp_detects_attackers_and_only_tells_of_victims():
    pymisp = pytest.importorskip("pymisp")
    event = pymisp.MISPEvent()
    event.from_dict(**json.loads(written("misp")))
    assert [(each.type, each.value, each.to_ids) for each in event.attributes] == [
        ("ip-src", "198.51.100.7", True),
        ("ip-src", "203.0.113.9", False),
        ("ip-src", "2001:db8::7", True),
    ]


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_feed_is_the_same_bytes(name):
    assert FORMATS[name].write(MIXED) == FORMATS[name].write(MIXED)


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_feed_is_written_too(name):
    text = written(name, feed(choice=("The bundled sample is left out",)))
    assert "198.51" not in text
    if name in CLEAN:
        assert "The bundled sample is left out" in text


@pytest.mark.parametrize("name", FORMATS)
def test_text_of_others_adds_no_line_and_no_control(name):
    plain = written(name, feed(*(indicator(each.address) for each in hostile())))
    text = written(name, feed(*hostile()))
    assert len(text.splitlines()) == len(plain.splitlines())
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)


@pytest.mark.parametrize("name", ["nft", "ipset"])
def test_a_comment_never_ends_before_its_quote(name):
    for line in written(name, feed(*hostile())).splitlines():
        if " comment " in line and not line.startswith(("create", "#")):
            assert re.fullmatch(r'\s*(add \S+ )?[0-9a-f.:]+ comment "[\w .,:()+-]*",?', line), line


def test_no_cell_is_a_formula():
    table = csv.reader(io.StringIO(written("csv", feed(*hostile()))))
    assert [cell for row in table for cell in row if cell.startswith(("=", "+", "-", "@"))] == []


def test_json_lines_keep_text_as_it_was():
    rows = [json.loads(line) for line in written("jsonl", feed(*hostile())).splitlines()]
    assert [row["as_name"] for row in rows] == list(PAYLOADS)
