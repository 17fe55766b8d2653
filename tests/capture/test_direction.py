"""Which side of a captured flow is ours."""

import ipaddress

from relaytrap.capture import ReadOptions
from relaytrap.capture.direction import Directions
from tests.capture.packets import (
    CLIENT,
    SERVER,
    datagram,
    ethernet,
    ipv4,
    packed,
    pcap,
    read,
    request,
    response,
    udp,
)


def answer(payload: bytes) -> bytes:
    return ethernet(ipv4(udp(payload, 5060, 40000), 17, SERVER, CLIENT))


def directions(frames, *own: str):
    networks = tuple(ipaddress.ip_network(network) for network in own)
    return [
        (message.direction, message.source, message.source_port, message.local, message.local_port)
        for message in read(pcap(frames), ReadOptions(own_networks=networks))
    ]


IN = ("in", CLIENT, 40000, SERVER, 5060)
OUT = ("out", CLIENT, 40000, SERVER, 5060)


def test_the_destination_of_a_first_request_is_local():
    assert directions([datagram(request()), answer(response()), datagram(request())]) == [IN, OUT, IN]


def test_the_source_of_a_first_response_is_local():
    assert directions([answer(response()), datagram(request())]) == [OUT, IN]


def test_a_request_from_the_local_side_goes_out():
    assert directions([datagram(request()), answer(request(2, method=b"BYE"))]) == [IN, OUT]


def test_own_networks_decide_before_the_first_message():
    seen_from_client = directions([datagram(request()), answer(response())], "198.51.100.0/24")
    assert seen_from_client == [
        ("out", SERVER, 5060, CLIENT, 40000),
        ("in", SERVER, 5060, CLIENT, 40000),
    ]


def test_own_networks_on_both_sides_leave_it_to_the_first_message():
    assert directions([datagram(request())], "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32") == [IN]


def test_flows_are_forgotten_oldest_first_and_stay_bounded():
    table = Directions(max_flows=10)
    local, peer = packed(SERVER), packed(CLIENT)
    assert table.inward(peer, 1, local, 5060, request())
    for port in range(2, 9):
        table.inward(peer, port, local, 5060, request())
    assert not table.inward(local, 5060, peer, 1, request())  # still known: goes out
    for port in range(100, 200):
        table.inward(peer, port, local, 5060, request())
    assert table.inward(local, 5060, peer, 1, request())  # forgotten: begins anew
