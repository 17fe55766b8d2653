"""Which addresses are our own: where sensors received, and as whom the world knows those behind a NAT."""

from relaytrap.store.queries.sensors import list_sensor_addresses
from tests.storing import address, row

IN, REQUEST = 1, 1
PRIVATE = address("10.0.0.5")


def asked(number, host, source="192.0.2.1", **given):
    given = {"sensor": b"trap", "local": PRIVATE, "direction": IN, "kind": REQUEST} | given
    return row(number, source=address(source), request_host=host, **given)


def known(store):
    return [(each["sensor"], each["address"], each["known"]) for each in list_sensor_addresses(store)]


def test_sensor_has_every_address_at_which_it_received(kept):
    public, other = address("198.51.100.7"), address("198.51.100.8")
    store = kept(
        asked(0, b"203.0.113.9", local=public),
        asked(1, b"203.0.113.9", local=public),
        asked(2, b"203.0.113.9", local=other),
        asked(3, b"203.0.113.9", local=other, sensor=b"zoo"),
    )
    assert known(store) == [
        ("trap", "198.51.100.7", "socket"),
        ("trap", "198.51.100.8", "socket"),
        ("zoo", "198.51.100.8", "socket"),
    ]


def test_sensor_behind_a_nat_has_the_address_that_its_requests_name(kept):
    sources = ["192.0.2.1", "192.0.2.2", "192.0.2.3"]
    store = kept(*(asked(number, b"203.0.113.9", source) for number, source in enumerate(sources)))
    assert known(store) == [("trap", "10.0.0.5", "socket"), ("trap", "203.0.113.9", "requests")]


def test_two_sources_cannot_make_an_address_ours(kept):
    store = kept(*(asked(number, b"203.0.113.9", f"192.0.2.{number % 2}") for number in range(20)))
    assert known(store) == [("trap", "10.0.0.5", "socket")]


def test_what_few_requests_name_is_not_ours(kept):
    usual = [asked(number, b"pbx.example.org", "192.0.2.1") for number in range(40)]
    rare = [asked(100 + number, b"203.0.113.9", f"192.0.2.{number}") for number in range(4)]
    assert known(kept(*usual, *rare)) == [("trap", "10.0.0.5", "socket")]


def test_private_names_and_other_hosts_are_never_ours(kept):
    hosts = (b"10.0.0.9", b"127.0.0.1", b"0.0.0.0", b"pbx.example.org", b"")
    store = kept(
        *(asked(10 * n + k, host, f"192.0.2.{k}") for n, host in enumerate(hosts) for k in range(5)),
    )
    assert known(store) == [("trap", "10.0.0.5", "socket")]
