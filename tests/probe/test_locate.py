"""Every server that a domain's DNS records name, asked of a real name server on loopback."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dns.message
import dns.name
import dns.rcode
import dns.zone
import pytest

from relaytrap.errors import InputError
from relaytrap.probe.target import Target, resolve_target

ADDRESS = "127.0.45.1"
ORIGIN = dns.name.from_text("pbx.example")
SILENT = dns.name.from_text("silent.pbx.example")
EXAMPLE = """
$ORIGIN pbx.example.
$TTL 60
@        SOA   ns hostmaster 1 2 3 4 5
@        NS    ns
ns       A     127.0.0.1
"""


@contextmanager
def name_server(records: str, seen: list[str] | None = None) -> Iterator[tuple[str, int]]:
    """A name server for pbx.example; whatever it does not know does not exist. seen: takes each name it is asked for.

    It says nothing about names below silent.pbx.example.
    """
    zone = dns.zone.from_text(EXAMPLE + records, relativize=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.bind((ADDRESS, 0))
        thread = threading.Thread(target=serve, args=(way, zone, [] if seen is None else seen), daemon=True)
        thread.start()
        yield way.getsockname()
        way.sendto(b"", way.getsockname())
        thread.join(5)


def serve(way: socket.socket, zone: dns.zone.Zone, seen: list[str]) -> None:
    while True:
        data, source = way.recvfrom(4096)
        if not data:
            return
        query = dns.message.from_wire(data)
        answer = dns.message.make_response(query)
        asked = query.question[0]
        seen.append(str(asked.name))
        if asked.name.is_subdomain(SILENT):
            continue
        node = zone.get_node(asked.name) if asked.name.is_subdomain(ORIGIN) else None
        if node and (found := zone.get_rrset(asked.name, asked.rdtype)):
            answer.answer.append(found)
        elif not node:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        way.sendto(answer.to_wire(), source)


def resolve(records: str, text: str = "pbx.example", **more: Any) -> Target:
    with name_server(records) as place:
        return asyncio.run(resolve_target(text, name_server=place, **more))


def places(target: Target, transport: str) -> list[tuple[str, int]]:
    return [(each.address, each.port) for each in target.endpoints if each.transport == transport]


def test_naptr_leads_to_srv_leads_to_addresses_of_both_versions() -> None:
    target = resolve(
        """
@          NAPTR 20 0 "s" "SIP+D2U" "" _a._udp
@          NAPTR 10 0 "s" "SIPS+D2T" "" _b._tcp
_a._udp    SRV   0 0 5070 one
_b._tcp    SRV   0 0 5071 one
one        A     192.0.2.1
one        AAAA  2001:db8::1
"""
    )
    assert places(target, "udp") == [("192.0.2.1", 5070), ("2001:db8::1", 5070)]
    assert places(target, "tls") == [("192.0.2.1", 5071), ("2001:db8::1", 5071)]
    assert places(target, "tcp") == [("192.0.2.1", 5060), ("2001:db8::1", 5060)]


def test_srv_without_naptr_names_every_server_the_most_wanted_first() -> None:
    target = resolve(
        """
_sip._udp  SRV 20 0 5060 two
_sip._udp  SRV 10 0 5080 one
one        A   192.0.2.1
two        A   192.0.2.2
"""
    )
    assert places(target, "udp") == [("192.0.2.1", 5080), ("192.0.2.2", 5060)]


def test_name_without_service_records_is_its_addresses() -> None:
    target = resolve("@ A 192.0.2.9\n@ AAAA 2001:db8::9\n")
    assert places(target, "udp") == [("192.0.2.9", 5060), ("2001:db8::9", 5060)]


def test_port_leaves_service_records_aside() -> None:
    target = resolve("@ A 192.0.2.9\n_sip._udp SRV 0 0 5070 one\none A 192.0.2.1\n", "pbx.example:5090")
    assert places(target, "udp") == places(target, "tcp") == [("192.0.2.9", 5090)]
    assert places(target, "tls") == [("192.0.2.9", 5061)]


def test_port_is_that_of_the_transport_that_was_chosen() -> None:
    target = resolve("@ A 192.0.2.9\n", "pbx.example:5090", transports=("tls",))
    assert places(target, "tls") == [("192.0.2.9", 5090)]


def test_addresses_beyond_the_limit_are_named_as_not_tested() -> None:
    target = resolve("".join(f"@ A 192.0.2.{number}\n" for number in range(6, 0, -1)))
    assert len(target.addresses) == 4
    assert [each.partition(":")[0] for each in target.left_out] == ["192.0.2.5", "192.0.2.6"]


def test_service_whose_host_does_not_resolve_is_named_as_not_tested() -> None:
    target = resolve("_sip._udp SRV 0 0 5070 gone\n_sip._tcp SRV 0 0 5070 one\none A 192.0.2.1\n")
    assert places(target, "tcp") == [("192.0.2.1", 5070)]
    assert target.left_out == ("gone.pbx.example of pbx.example's service records does not resolve",)


def test_private_address_of_a_public_name_is_left_out_and_the_others_are_tested() -> None:
    target = resolve("@ A 10.0.0.1\n@ A 1.1.1.1\n", private_allowed=False)
    assert target.addresses == ("1.1.1.1",)
    assert target.left_out == ("10.0.0.1 is a private or reserved address",)


def test_name_that_is_all_private_is_refused() -> None:
    with pytest.raises(InputError, match="will not be tested"):
        resolve("@ A 10.0.0.1\n", private_allowed=False)


@pytest.mark.parametrize("text", ["nowhere.pbx.example", "nowhere.pbx.example:5060"])
def test_name_that_does_not_resolve_is_one_sentence(text: str) -> None:
    with pytest.raises(InputError, match=r"^nowhere\.pbx\.example does not resolve \(no such name\)"):
        resolve("", text)


def test_zone_that_names_thousands_of_servers_makes_few_queries_and_the_rest_is_said_not_to_be_tested() -> None:
    records = "".join(f'@ NAPTR 10 {number} "s" "SIP+D2U" "" _s{number}._udp\n' for number in range(50))
    for name in range(50):
        records += "".join(f"_s{name}._udp SRV 0 0 5060 h{name}x{number}\n" for number in range(100))
    records += "".join(f"h0x{number} A 192.0.2.{number + 1}\n" for number in range(100))
    seen: list[str] = []
    with name_server(records, seen) as place:
        target = asyncio.run(resolve_target("pbx.example", name_server=place))
    assert len(seen) < 50
    assert len(target.addresses) == 4
    assert "pbx.example's NAPTR records name more than 4 services of one transport" in target.left_out
    assert "384 of pbx.example's service records are beyond what a test looks up" in target.left_out


def test_one_host_at_many_ports_is_tested_at_a_few() -> None:
    records = "".join(f"_sip._udp SRV 0 0 {5060 + number} one\n" for number in range(100))
    target = resolve(records + "one A 192.0.2.1\n")
    assert len(places(target, "udp")) == 16
    assert target.left_out == ("84 of pbx.example's service records are beyond what a test looks up",)


def test_name_servers_that_take_too_long_are_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relaytrap.probe.locate.SERVICES_TIMEOUT_S", 0.3)
    with pytest.raises(InputError, match=r"^pbx\.example: its name servers take too long"):
        resolve("_sip._udp SRV 0 0 5060 a.silent\n")


def test_service_that_is_said_not_to_exist_is_tried_at_the_usual_port_all_the_same() -> None:
    target = resolve("_sip._udp SRV 0 0 0 .\n_sip._tcp SRV 0 0 5070 one\none A 192.0.2.1\n")
    assert places(target, "udp") == [("192.0.2.1", 5060)]
