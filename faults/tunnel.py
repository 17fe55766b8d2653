"""A network outside: packets that this suite makes up come in through a TUN device, and whatever leaves comes to it.

So sources can be anything, and what the sensor sends to each is counted on the wire, not by the sensor.
"""

import fcntl
import ipaddress
import os
import select
import struct
import subprocess
import threading
from collections import Counter
from typing import Final

from faults.trial import Skipped

__all__ = ["Outside", "datagram"]

NAME: Final = "outside"
TUNSETIFF: Final = 0x400454CA
IFF_TUN_NO_PI: Final = 0x1001
LARGEST: Final = 1 << 16
IP_UDP: Final = struct.Struct(">BBHHHBBH4s4sHHHH")


class Outside(threading.Thread):
    """The other end of the sensor's only way out. sent_to: octets that left for each address, IP header included."""

    def __init__(self, address: str) -> None:
        """address: of this machine's end. Raises Skipped where no TUN device can be made."""
        super().__init__(name="outside", daemon=True)
        self.sent_to: Counter[bytes] = Counter()
        try:
            self._fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
            fcntl.ioctl(self._fd, TUNSETIFF, struct.pack("16sH22x", NAME.encode(), IFF_TUN_NO_PI))
        except OSError as error:
            raise Skipped(f"/dev/net/tun: {error.strerror}") from None
        for words in (f"address add {address}/32 dev {NAME}", f"link set {NAME} up", f"route add default dev {NAME}"):
            subprocess.run(["ip", *words.split()], check=True)
        self._ended = threading.Event()

    def send(self, packet: bytes) -> None:
        """Let an IP packet come in."""
        os.write(self._fd, packet)

    def run(self) -> None:
        """Take what leaves until stopped."""
        while not self._ended.is_set():
            if not select.select([self._fd], [], [], 0.2)[0]:
                continue
            packet = os.read(self._fd, LARGEST)
            if packet[0] >> 4 == 4:
                self.sent_to[packet[16:20]] += len(packet)

    def stop(self) -> None:
        """End, and take the device away."""
        self._ended.set()
        self.join()
        os.close(self._fd)


def datagram(source: bytes, source_port: int, target: str, target_port: int, data: bytes) -> bytes:
    """An IPv4 packet with a UDP datagram whose checksum is not used."""
    goal = ipaddress.ip_address(target).packed
    size = 28 + len(data)
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size, 0, 0, 64, 17, 0, source, goal)
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~(total + (total >> 16)) & 0xFFFF
    return (
        IP_UDP.pack(*(0x45, 0, size, 0, 0, 64, 17, checksum, source, goal, source_port, target_port, size - 20, 0))
        + data
    )
