"""Networks made of TUN devices, whose other end is this suite.

Outside: packets that are made up here come in, and whatever leaves is counted: sources can be anything, and what the
sensor sends to each is known from the wire, not from the sensor. Disorder: two namespaces joined by a wire that loses,
repeats and reorders packets, on any kernel, with or without netem.
"""

import ctypes
import fcntl
import ipaddress
import os
import select
import struct
import subprocess
import threading
import time
from collections import Counter
from random import Random
from typing import Final

from faults.trial import Skipped

__all__ = ["Disorder", "Outside", "datagram"]

NAME: Final = "outside"
TUNSETIFF: Final = 0x400454CA
IFF_TUN_NO_PI: Final = 0x1001
LARGEST: Final = 1 << 16
CLONE_NEWNET: Final = 0x40000000
LOST, LATE, TWICE = 0.03, 0.10, 0.10
LATE_S: Final = 0.05
IP_UDP: Final = struct.Struct(">BBHHHBBH4s4sHHHH")


class Outside(threading.Thread):
    """The other end of the sensor's only way out. sent_to: octets that left for each address, IP header included."""

    def __init__(self, address: str) -> None:
        """address: of this machine's end. Raises Skipped where no TUN device can be made."""
        super().__init__(name="outside", daemon=True)
        self.sent_to: Counter[bytes] = Counter()
        self._fd = _device(f"{address}/32")
        _ip(f"route add default dev {NAME}")
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


class Disorder(threading.Thread):
    """A wire between this network namespace and another, in which programs run behind `via`."""

    def __init__(self, ours: str, theirs: str, chance: Random) -> None:
        """ours, theirs: the two ends' addresses, as address/length. Raises Skipped where this cannot be had."""
        super().__init__(name="disorder", daemon=True)
        self.lost = self.repeated = self.reordered = 0
        self._chance = chance
        self._late: list[tuple[float, int, bytes]] = []
        self._ended = threading.Event()
        ends = [_device(ours)]
        # A thread can leave for a namespace of its own, and what it opened there works here.
        away = threading.Thread(target=lambda: ends.extend(_device_elsewhere(theirs)))
        away.start()
        away.join()
        if len(ends) != 3:
            raise Skipped("a second network namespace with a TUN device cannot be made")
        self._ends, self._namespace = (ends[0], ends[1]), ends[2]
        self.via = ["nsenter", f"--net=/proc/{os.getpid()}/fd/{self._namespace}"]

    def run(self) -> None:
        """Carry packets until stopped."""
        here, there = self._ends
        while not self._ended.is_set():
            ready = select.select(self._ends, [], [], 0.01)[0]
            for end in ready:
                self._carry(os.read(end, LARGEST), there if end == here else here)
            now = time.monotonic()
            for due in [each for each in self._late if each[0] <= now]:
                self._late.remove(due)
                os.write(due[1], due[2])

    def stop(self) -> None:
        """End, and take both devices away."""
        self._ended.set()
        self.join()
        for fd in (*self._ends, self._namespace):
            os.close(fd)

    def _carry(self, packet: bytes, end: int) -> None:
        fate = self._chance.random()
        if fate < LOST:
            self.lost += 1
        elif fate < LOST + LATE:
            self.reordered += 1
            self._late.append((time.monotonic() + self._chance.uniform(0, LATE_S), end, packet))
        else:
            os.write(end, packet)
            if fate > 1 - TWICE:
                self.repeated += 1
                os.write(end, packet)


def _device(address: str) -> int:
    """A TUN device of this thread's namespace, with an address, up; its other end."""
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", NAME.encode(), IFF_TUN_NO_PI))
    except OSError as error:
        raise Skipped(f"/dev/net/tun: {error.strerror}") from None
    _ip(f"address add {address} dev {NAME}")
    _ip(f"link set {NAME} up")
    return fd


def _device_elsewhere(address: str) -> tuple[int, ...]:
    """The same in a namespace that is made for it, and that namespace; nothing where it cannot be made."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        return ()
    _ip("link set lo up")
    return _device(address), os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


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
