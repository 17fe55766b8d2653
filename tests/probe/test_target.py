"""Which server a text names, and which may be tested."""

import asyncio

import pytest

from relaytrap.errors import InputError
from relaytrap.probe.target import Endpoint, Target, refusal, resolve_target


def resolve(text: str, domain: str = "") -> Target:
    return asyncio.run(resolve_target(text, transports=("udp",), domain=domain))


@pytest.mark.parametrize("domain", ["a>\r\nRoute: <sip:192.0.2.1>", "a b", "a;lr", "a@b", "-a", "a" * 300, "\x00"])
def test_domain_that_is_no_name_cannot_reach_a_request(domain: str) -> None:
    with pytest.raises(InputError, match="no host name"):
        resolve("127.0.0.1", domain)


@pytest.mark.parametrize("host", ["a<b", 'a"b', "a;b", "a,b"])
def test_host_with_a_delimiter_is_refused(host: str) -> None:
    with pytest.raises(InputError, match="no host name"):
        resolve(host)


def test_name_beyond_ascii_stands_in_requests_as_dns_has_it() -> None:
    assert resolve("127.0.0.1", "müller.example").domain == "xn--mller-kva.example"


@pytest.mark.parametrize(("text", "port"), [("[0:0:0:0:0:0:0:1]:5070", 5070), ("[::1]", 5060), ("0::1", 5060)])
def test_ipv6_address_is_canonical(text: str, port: int) -> None:
    target = resolve(text)
    assert (target.domain, target.address, target.endpoints[0].port) == ("::1", "::1", port)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "10.0.0.1",
            "127.0.0.1",
            "::1",
            "fe80::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "240.0.0.1",
        ),
        *("fec0::1", "64:ff9b:1::7f00:1", "::7f00:1", "::ffff:0:7f00:1", "5f00::1", "fc00::1"),
    ],
)
def test_private_address_is_refused_in_every_disguise(address: str) -> None:
    assert refusal(address, private_allowed=False)


@pytest.mark.parametrize("address", ["224.0.0.1", "ff02::1", "::ffff:224.0.0.1", "255.255.255.255", "0.0.0.0", "::"])
def test_address_of_no_single_host_is_refused_even_to_the_command_line(address: str) -> None:
    assert refusal(address, private_allowed=True)


def test_public_address_may_be_tested() -> None:
    assert not refusal("1.1.1.1", private_allowed=False)
    assert not refusal("2606:4700::1111", private_allowed=False)
    assert not refusal("64:ff9b::101:101", private_allowed=False)


def test_target_knows_each_address_once_and_its_name_without_the_port() -> None:
    places = (
        Endpoint("udp", "192.0.2.2", 5060),
        Endpoint("tcp", "192.0.2.2", 5060),
        Endpoint("tls", "192.0.2.1", 5061),
    )
    target = Target("pbx.example:5080", "pbx.example", places)
    assert target.addresses == ("192.0.2.1", "192.0.2.2")
    assert target.host == "pbx.example"
    assert Target("[2001:db8::1]:5060", "x", places).host == "2001:db8::1"
