"""Ports shared by worker processes: one socket for each, and all that one address sends goes to the same one.

The kernel's own choice (SO_REUSEPORT) mixes source address and port. A scanner that changes its port would then have a
budget in every worker, and a proof given to one would be unknown to the next. So a filter of ours chooses by the
source address alone (IPv6: by its /64, which is what one host is given), and all that the ledger knows of an
address is known in one place. Bytes received and sent are counted by the same worker whatever the kernel chooses.
"""

import socket
from typing import Final

from relaytrap.sensor.listen import Listen, bind
from relaytrap.sensor.packet_filter import Instruction, attach, packed

__all__ = ["bind_shared"]

SO_ATTACH_REUSEPORT_CBPF: Final = 51
NETWORK_HEADER: Final = 0xFFF00000
"""SKF_NET_OFF: offsets from where the IP header begins."""
LD_W, XOR_X, MUL_K, RSH_K, MOD_K, TAX, RET_A = 0x20, 0xAC, 0x24, 0x74, 0x94, 0x07, 0x16
V4_SOURCE, V6_SOURCE = 12, 8
GOLDEN: Final = 0x9E3779B1
"""Spreads addresses that differ in a few bits only (Knuth, volume 3, section 6.4)."""


def bind_shared(listen: Listen, workers: int) -> list[socket.socket]:
    """Sockets bound to one place, one for each worker. Raises ListenError as `listen.bind`."""
    if workers == 1:
        return [bind(listen)]
    socks = [bind(listen, shared=True)]
    try:
        taken = Listen(listen.transport, listen.address, socks[0].getsockname()[1])
        socks += [bind(taken, shared=True) for _ in range(1, workers)]
        choose_by_source(socks[0], workers)
    except BaseException:
        for sock in socks:
            sock.close()
        raise
    return socks


def choose_by_source(sock: socket.socket, workers: int) -> None:
    """Have the kernel choose among this port's sockets by the source address; they count as they were bound."""
    if sock.family == socket.AF_INET6:
        read = [(LD_W, NETWORK_HEADER + V6_SOURCE), (TAX, 0), (LD_W, NETWORK_HEADER + V6_SOURCE + 4), (XOR_X, 0)]
    else:
        read = [(LD_W, NETWORK_HEADER + V4_SOURCE)]
    steps = [*read, (MUL_K, GOLDEN), (RSH_K, 16), (MOD_K, workers), (RET_A, 0)]
    attach(sock, SO_ATTACH_REUSEPORT_CBPF, packed([Instruction(code, k) for code, k in steps]))
