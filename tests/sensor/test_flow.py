"""Who may be answered at all."""

import pytest

from relaytrap.sensor.flow import Flow


def flow(source: str = "198.51.100.7", port: int = 5060, local: str = "203.0.113.9", transport: str = "udp") -> Flow:
    return Flow(transport, source, port, local, 5060)


def test_host_that_asked_may_be_answered() -> None:
    assert flow().may_be_answered({5060})
    assert flow("2001:db8::7", local="2001:db8::9").may_be_answered({5060})


@pytest.mark.parametrize("source", ["224.1.2.3", "0.1.2.3", "255.255.255.255", "ff0e::1", "::"])
def test_address_of_no_host_may_not(source: str) -> None:
    assert not flow(source).may_be_answered(())


def test_request_that_came_by_multicast_may_not() -> None:
    assert not flow(local="224.0.1.75").may_be_answered(())


def test_own_port_at_own_address_may_not() -> None:
    assert not flow("203.0.113.9").may_be_answered({5060})
    assert flow("203.0.113.9", 5062).may_be_answered({5060})


def test_only_a_datagram_is_unconnected() -> None:
    assert not flow().is_connected
    assert flow(transport="tcp").is_connected
    assert flow(transport="wss").is_connected
