"""PDUs that Wireshark or TShark exported (link type 252): a message by itself, with the endpoints of its flow.

It is how SIP out of TLS or IPsec comes from whoever had the keys. Layout: Wireshark's wsutil/exported_pdu_tlvs.h: tags
of (type, length, value), all big-endian and whole words long, up to the one that ends them; then the PDU.
"""

from typing import Final, NamedTuple

from relaytrap.observation import Transport

__all__ = ["LINK_TYPE", "ExportedPdu", "read_exported"]

LINK_TYPE: Final = 252

END, SOURCE_4, DESTINATION_4, SOURCE_6, DESTINATION_6, PORT_TYPE, SOURCE_PORT, DESTINATION_PORT = 0, *range(20, 27)
FRAME: Final = 30
TRANSPORTS: Final[dict[int, Transport]] = {1: "sctp", 2: "tcp", 3: "udp"}
"""By the kind of its ports."""


class ExportedPdu(NamedTuple):
    """What was exported, and between whom it passed. frame: of the capture that it was exported from; 0: not told."""

    transport: Transport
    source: bytes
    source_port: int
    destination: bytes
    destination_port: int
    frame: int
    payload: bytes


def read_exported(packet: bytes) -> ExportedPdu | None:
    """The PDU in a packet of link type 252; None when it does not name both its ends, or is cut before the PDU."""
    tags: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(packet):
        kind, behind = packet[at] << 8 | packet[at + 1], at + 4 + (packet[at + 2] << 8 | packet[at + 3])
        if kind == END:
            return _between(tags, packet[behind:])
        tags.setdefault(kind, packet[at + 4 : behind])
        at = behind
    return None


def _between(tags: dict[int, bytes], payload: bytes) -> ExportedPdu | None:
    source = tags.get(SOURCE_4) or tags.get(SOURCE_6, b"")
    destination = tags.get(DESTINATION_4) or tags.get(DESTINATION_6, b"")
    if len(source) != len(destination) or len(source) not in (4, 16):
        return None
    kind, source_port, destination_port, frame = (
        int.from_bytes(tags.get(tag, b"")[:4], "big") for tag in (PORT_TYPE, SOURCE_PORT, DESTINATION_PORT, FRAME)
    )
    ports = source_port & 0xFFFF, destination_port & 0xFFFF
    return ExportedPdu(TRANSPORTS.get(kind, "udp"), source, ports[0], destination, ports[1], frame, payload)
