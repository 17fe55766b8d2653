"""Where to listen, and a sentence for each way that can fail."""

import os
import socket

import pytest

from relaytrap.errors import ConfigError, ListenError
from relaytrap.sensor.listen import bind, canonical, parse_listen


def test_entries_are_read() -> None:
    first, second = parse_listen(["udp:0.0.0.0:5060", "tcp:[::1]:5061"])
    assert (first.transport, first.address, first.port, first.is_wildcard) == ("udp", "0.0.0.0", 5060, True)
    assert (str(second), second.family, second.is_wildcard) == ("tcp:[::1]:5061", socket.AF_INET6, False)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("5060", "cannot be read"),
        ("udp:5060", "cannot be read"),
        ("udp:::1:5060", "cannot be read"),
        ("sctp:127.0.0.1:5060", "valid are udp, tcp, tls, ws, wss"),
        ("udp:localhost:5060", "names no address"),
        ("udp:127.0.0.1:70000", "highest is 65535"),
    ],
)
def test_mistakes_are_said(entry: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_listen([entry])
    with pytest.raises(ConfigError, match="nothing to listen on"):
        parse_listen([])


def test_addresses_have_one_form() -> None:
    assert canonical("2001:DB8:0::1") == "2001:db8::1"
    assert canonical("fe80::1%eth0") == "fe80::1"
    assert canonical("::ffff:192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_taken_port_names_who_has_it(transport: str) -> None:
    (listen,) = parse_listen([f"{transport}:127.0.0.1:0"])
    with bind(listen) as sock:
        port = sock.getsockname()[1]
        (again,) = parse_listen([f"{transport}:127.0.0.1:{port}"])
        with pytest.raises(ListenError, match=rf"{port}: the port is taken by .+\(process {os.getpid()}\)"):
            bind(again)


def test_address_of_another_machine_is_said() -> None:
    (listen,) = parse_listen(["udp:192.0.2.1:0"])
    with pytest.raises(ListenError, match="no interface"):
        bind(listen)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up rights to try this")
def test_port_below_1024_without_permission_is_said() -> None:
    child = os.fork()
    if not child:
        os.setgid(65534)
        os.setuid(65534)
        try:
            bind(parse_listen(["udp:127.0.0.1:7"])[0])
        except ListenError as error:
            os._exit(0 if "below 1024" in str(error) else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) in (0, 2)  # 2: this machine lets anybody have it
