"""The kernel's filter for a packet socket: SIP's ports and what may hide them, so that the rest never wakes us.

Classic BPF (Linux: Documentation/networking/filter.rst). Let through: UDP, TCP and SCTP from or to one of the ports;
every later fragment, whose port stands in the first one; IPv6 extension headers, IP tunnels, VLAN, PPPoE and MPLS
within, which the dissector takes apart. Checksums and payloads are not looked at.
"""

import ctypes
import socket
import struct
from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["Instruction", "attach", "build_filter", "packed"]

LD_W, LD_H, LD_B, LD_H_IND = 0x20, 0x28, 0x30, 0x48
LDX_IMM, LDX_HEADER_LENGTH = 0x01, 0xB1
JA, JEQ, JSET, RET = 0x05, 0x15, 0x45, 0x06
ETHERTYPE: Final = 0xFFFFF000
"""SKF_AD_OFF + SKF_AD_PROTOCOL: the type of a packet that comes without its link-layer header."""
WHOLE_PACKET: Final = 0x40000

IPV4, IPV6 = 0x0800, 0x86DD
WRAPPED: Final = (0x8100, 0x88A8, 0x8864, 0x8847, 0x8848)
TRANSPORTS: Final = (17, 6, 132)
TUNNELS: Final = (4, 41, 47)
EXTENSIONS: Final = (0, 43, 44, 51, 60, 135)
NEXT: Final = ""


class Instruction(NamedTuple):
    """One step: code, its constant, and how many steps to skip when a comparison holds or fails."""

    code: int
    k: int
    if_true: int = 0
    if_false: int = 0


class _Step(NamedTuple):
    """One step with names for places instead of distances."""

    label: str
    code: int
    k: int = 0
    if_true: str = NEXT
    if_false: str = NEXT


def build_filter(ports: Sequence[int], *, framed: bool) -> list[Instruction]:
    """The program for these ports; empty, which lets everything through, for none.

    framed: packets come as Ethernet frames, otherwise from their network header on.
    """
    if not ports:
        return []
    kind = _Step("", LD_H, 12) if framed else _Step("", LD_W, ETHERTYPE)
    return _assembled([kind, *_steps(ports, 14 if framed else 0)])


def packed(program: Sequence[Instruction]) -> bytes:
    """As `struct sock_filter` has it, in the machine's byte order."""
    return b"".join(struct.pack("HBBI", step.code, step.if_true, step.if_false, step.k) for step in program)


def attach(sock: socket.socket, option: int, program: bytes) -> None:
    """Give the kernel a packed program for a socket. option: of SOL_SOCKET, what the program is to decide."""
    instructions = ctypes.create_string_buffer(program)
    head = struct.pack("HL", len(program) // 8, ctypes.addressof(instructions))
    sock.setsockopt(socket.SOL_SOCKET, option, head)


def _steps(ports: Sequence[int], ip: int) -> list[_Step]:
    """With the packet's type in the accumulator. ip: where the network header begins."""
    return [
        *_goto_on([IPV4], "v4"),
        *_goto_on([IPV6], "v6"),
        *_accept_on(WRAPPED),
        _Step("", RET, 0),
        _Step("v4", LD_B, ip + 9),
        *_accept_on(TUNNELS),
        *_goto_on(TRANSPORTS, "v4 transport"),
        _Step("", RET, 0),
        _Step("v4 transport", LD_H, ip + 6),
        _Step("", JSET, 0x1FFF, if_false="v4 first"),  # a later fragment
        _Step("", RET, WHOLE_PACKET),
        _Step("v4 first", LDX_HEADER_LENGTH, ip),
        _Step("", JA, 0, if_true="ports"),
        _Step("v6", LD_B, ip + 6),
        *_accept_on((*TUNNELS, *EXTENSIONS)),
        *_goto_on(TRANSPORTS, "v6 transport"),
        _Step("", RET, 0),
        _Step("v6 transport", LDX_IMM, 40),
        _Step("ports", LD_H_IND, ip),
        *_accept_on(ports),
        _Step("", LD_H_IND, ip + 2),
        *_accept_on(ports),
        _Step("", RET, 0),
    ]


def _accept_on(values: Sequence[int]) -> list[_Step]:
    """Let the packet through when the accumulator has one of the values. Two steps each, so that no jump is far."""
    return [
        step
        for value in values
        for step in (_Step("", JEQ, value, if_false=f"not {value}"), _Step("", RET, WHOLE_PACKET), _mark(value))
    ]


def _goto_on(values: Sequence[int], label: str) -> list[_Step]:
    return [
        step
        for value in values
        for step in (_Step("", JEQ, value, if_false=f"not {value}"), _Step("", JA, 0, if_true=label), _mark(value))
    ]


def _mark(value: int) -> _Step:
    """No step of its own: a name for the next one."""
    return _Step(f"not {value}", 0)


def _assembled(steps: list[_Step]) -> list[Instruction]:
    """Names turned into distances; a name means the next place that has it."""
    program: list[_Step] = []
    places: dict[str, list[int]] = {}
    for step in steps:
        if step.label:
            places.setdefault(step.label, []).append(len(program))
        if step.code:
            program.append(step)
    made: list[Instruction] = []
    for at, step in enumerate(program):
        true, false = (_distance(places, name, at) for name in (step.if_true, step.if_false))
        made.append(Instruction(JA, true) if step.code == JA else Instruction(step.code, step.k, true, false))
    return made


def _distance(places: dict[str, list[int]], name: str, at: int) -> int:
    return next(place for place in places[name] if place > at) - at - 1 if name else 0
