"""A small machine for classic BPF, to run filter programs over packets without a kernel."""

from collections.abc import Sequence

from relaytrap.sensor.packet_filter import (
    ETHERTYPE,
    JA,
    JEQ,
    JSET,
    LD_B,
    LD_H,
    LD_H_IND,
    LD_W,
    LDX_IMM,
    RET,
    Instruction,
)


def run(program: Sequence[Instruction], packet: bytes, ethertype: int) -> int:
    """How many octets of the packet the program lets through; a load beyond its end ends with 0, as in the kernel."""
    a = x = at = 0
    while True:
        code, k, if_true, if_false = program[at]
        at += 1
        if code == RET:
            return k
        if code == LD_W and k == ETHERTYPE:
            a = ethertype
        elif code in (LD_H, LD_B, LD_H_IND):
            size, start = (1 if code == LD_B else 2), k + (x if code == LD_H_IND else 0)
            if start + size > len(packet):
                return 0
            a = int.from_bytes(packet[start : start + size], "big")
        elif code == LDX_IMM:
            x = k
        elif code == 0xB1:
            if k >= len(packet):
                return 0
            x = 4 * (packet[k] & 15)
        elif code == JA:
            at += k
        elif code == JEQ:
            at += if_true if a == k else if_false
        elif code == JSET:
            at += if_true if a & k else if_false
        else:
            raise AssertionError(f"no such instruction: {code:#x}")
