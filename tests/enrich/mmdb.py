"""Writes small MMDB files, so that tests need no copy of anybody's table (MaxMind DB file format 2.0)."""

import ipaddress
import struct
from pathlib import Path

Value = str | int | tuple[()] | dict[str, "Value"]
Node = list["Node | int | None"]


class Short(int):
    """A number that the format wants as 16 bits."""


class Epoch(int):
    """A number that the format wants as 64 bits."""


BUILT = 1_700_000_000  # 2023-11-14


def write_mmdb(path: Path, rows: dict[str, Value], *, ip_version: int = 6, kind: str = "test") -> Path:
    """An MMDB with one record for each network; IPv4 networks lie under ::/96 as in everybody's files."""
    tree: Node = [None, None]
    data, offsets = b"", {}
    for network, value in rows.items():
        encoded = _encode(value)
        if encoded not in offsets:
            offsets[encoded] = len(data)
            data += encoded
        _insert(tree, _bits(network, ip_version), offsets[encoded])
    nodes: list[tuple[object, object]] = []
    _number(tree, nodes)
    table = b"".join(_record(left, len(nodes)) + _record(right, len(nodes)) for left, right in nodes)
    metadata = _encode(
        {
            "node_count": len(nodes),
            "record_size": Short(32),
            "ip_version": Short(ip_version),
            "database_type": kind,
            "binary_format_major_version": Short(2),
            "binary_format_minor_version": Short(0),
            "build_epoch": Epoch(BUILT),
            "description": {},
            "languages": (),
        }
    )
    path.write_bytes(table + b"\0" * 16 + data + b"\xab\xcd\xefMaxMind.com" + metadata)
    return path


def _bits(network: str, ip_version: int) -> list[int]:
    parsed = ipaddress.ip_network(network)
    length = parsed.prefixlen + (96 if ip_version == 6 and parsed.version == 4 else 0)
    width = 128 if ip_version == 6 else 32
    number = int(parsed.network_address)
    return [number >> (width - 1 - index) & 1 for index in range(length)]


def _insert(tree: Node, bits: list[int], offset: int) -> None:
    for bit in bits[:-1]:
        if not isinstance(tree[bit], list):
            tree[bit] = [None, None]
        tree = tree[bit]  # type: ignore[assignment]  # a list by now
    tree[bits[-1]] = offset


def _number(tree: Node, nodes: list[tuple[object, object]]) -> int:
    number = len(nodes)
    nodes.append((None, None))
    left, right = (("node", _number(side, nodes)) if isinstance(side, list) else ("data", side) for side in tree)
    nodes[number] = (left, right)
    return number


def _record(side: tuple[str, int | None], count: int) -> bytes:
    kind, value = side
    return struct.pack(">I", value if kind == "node" else count if value is None else count + 16 + value)


def _encode(value: Value) -> bytes:
    if isinstance(value, tuple):
        return _head(11, 0)
    if isinstance(value, str):
        return _head(2, len(value.encode())) + value.encode()
    if isinstance(value, int):
        body = value.to_bytes((value.bit_length() + 7) // 8, "big")
        return _head(5 if isinstance(value, Short) else 9 if isinstance(value, Epoch) else 6, len(body)) + body
    return _head(7, len(value)) + b"".join(_encode(key) + _encode(each) for key, each in value.items())


def _head(kind: int, size: int) -> bytes:
    small = size if size < 29 else 29
    head = bytes([kind << 5 | small]) if kind <= 7 else bytes([small, kind - 7])
    return head + (bytes([size - 29]) if small == 29 else b"")
