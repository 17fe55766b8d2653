"""`relaytrap up`: where it may listen."""

import socket

import pytest

from relaytrap.cli.up import free_places
from relaytrap.errors import ConfigError


@pytest.mark.parametrize("place", ["udp:127.0.0.1", "foo", "udp:[::1]:x", "tcp:nonsense", "udp::5060"])
def test_place_that_is_none_is_one_sentence(place: str) -> None:
    with pytest.raises(ConfigError, match="no place to listen"):
        free_places((place,))


def test_port_that_is_taken_is_replaced_for_every_transport_of_the_address() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.44.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        places = free_places((f"udp:127.0.44.1:{port}", f"tcp:127.0.44.1:{port}"))
    ports = {int(place.rpartition(":")[2]) for place in places}
    assert len(ports) == 1
    assert min(ports) > port
