"""A sensor on the wildcard addresses of a machine to which whole networks are routed. Run in a namespace of its own.

    unshare --net python -m tests.sensor.routed_prefix FOLDER

Prints, for each address that was asked by UDP and by TCP: asked, where the answer came from, what the record says.
"""

import json
import socket
import subprocess
import sys
from pathlib import Path

from relaytrap.sensor.run import Running
from tests.sensor.live import port_of, received, with_sensor
from tests.sensor.talk import request

ADDRESSES = ("192.0.2.7", "192.0.2.200", "2001:db8:7::1", "2001:db8:7:0:ffff::9", "127.0.0.1")
LISTEN = ("udp:0.0.0.0:5060", "udp:[::]:5060", "tcp:0.0.0.0:5060", "tcp:[::]:5060")


def set_up() -> None:
    for command in (
        "ip link set lo up",
        "ip route add local 192.0.2.0/24 dev lo",
        "ip -6 route add local 2001:db8:7::/64 dev lo",
    ):
        subprocess.run(command.split(), check=True)


def ask(running: Running) -> list[tuple[str, str, str]]:
    told = []
    for address in ADDRESSES:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(10)
            sock.sendto(request(), (address, port_of(running, "udp")))
            told.append(("udp", address, sock.recvfrom(65535)[1][0]))
        with socket.create_connection((address, port_of(running, "tcp")), 10) as sock:
            sock.sendall(request())
            sock.recv(65535)
            told.append(("tcp", address, sock.getpeername()[0]))
    return told


if __name__ == "__main__":
    set_up()
    folder = Path(sys.argv[1])
    told = with_sensor(folder, ask, listen=LISTEN)
    recorded = [(each.transport, each.local) for each in received(folder)]
    print(json.dumps([[*each, *seen] for each, seen in zip(told, recorded, strict=True)]))
