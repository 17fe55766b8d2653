"""What makes a finding an indicator, and what it says of itself."""

import pytest

from relaytrap.evidence.indicator import EVIDENCE, of_origin, of_relay, of_source

SOURCE = {
    "address": "198.51.100.7",
    "country": "FR",
    "asn": 64500,
    "as_name": "Exemple",
    "requests": 50,
    "hours": 6,
    "sensors": 1,
    "goals": ["password", "toll"],
    "tools": ["svcrack"],
    "first_seen": "2026-09-22T12:34:56.123456789Z",
    "last_seen": "2026-09-22T13:59:59.999999999Z",
    "proof": [],
    "shown": "any",
}


def test_a_source_says_why_it_stands_there():
    assert of_source(SOURCE | {"proof": ["connection"]}).why == (
        "attacker; 50 requests at 1 honeypot; password attack, toll-fraud probing; held a connection with us"
    )
    assert of_source(SOURCE).reasons[-1] == "UDP only, so the address may be made up"


def test_who_showed_more_is_surer():
    sure = [of_source(SOURCE | {"shown": shown}).confidence for shown in EVIDENCE]
    assert sure == sorted(set(sure), reverse=True)


def test_an_origin_says_who_vouches_and_who_says_otherwise():
    row = SOURCE | {
        "messages": 2851,
        "relays": 104,
        "networks": 1,
        "contradictions": 1,
        "confidence": 99,
        "campaign": "1341f8ed9e4b",
    }
    assert of_origin(row).reasons == (
        "2,851 requests",
        "104 relays in 1 network vouch for it",
        "1 relay against it",
    )


def test_a_relay_is_told_as_the_victim_that_it_is():
    row = SOURCE | {"messages": 20, "origins": 2, "kind": "stripping", "confidence": 99, "product": "Kamailio"}
    found = of_relay(row)
    assert found.is_victim
    assert found.why.startswith(
        "victim: an open relay that is abused; forwarded 20 requests of 2 origins; takes the hops"
    )


@pytest.mark.parametrize("of", [of_source, of_origin, of_relay])
def test_an_indicator_tells_the_hour_alone_and_nothing_that_senders_wrote(of):
    row = SOURCE | {"messages": 1, "relays": 1, "networks": 1, "contradictions": 0, "confidence": 99, "campaign": "c"}
    found = of(row | {"origins": 1, "kind": "proxy", "product": "", "user_agents": ["sip:100@192.0.2.10"]})
    assert (found.first_seen, found.last_seen) == ("2026-09-22T12:00:00Z", "2026-09-22T13:00:00Z")
    assert found.expires == "2026-10-22T13:00:00Z"
    assert "192.0.2.10" not in repr(found)
