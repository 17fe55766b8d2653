"""Open relays that Kamailio cannot play, UDP only; one process for all of them, run inside the scene.

usage: b2bua.py RELAYS.json, a list of {"address", "kind", "brand", "names"}. Kinds:

b2bua           a call of its own towards the target: nothing of the caller is left, not even the Call-ID
b2bua-call-id   the same, but Call-ID and body stay
strip           a proxy that drops the Vias below its own
contact         a proxy that writes itself into Contact
liar            a proxy that names an innocent (`names`) as the one who sent it the request
"""

import asyncio
import json
import re
import secrets
import sys
from pathlib import Path
from typing import Any

from wire import HeaderList, join, split, value_of


class Relay(asyncio.DatagramProtocol):
    """One relay on one address."""

    def __init__(self, address: str, kind: str, brand: str, names: str) -> None:
        self.address, self.kind, self.brand, self.names = address, kind, brand, names
        self.back_to_back = kind.startswith("b2bua")
        self.pending: dict[str, dict[str, Any]] = {}
        self.branches: dict[tuple[str, str, str], str] = {}
        self.calls: dict[str, dict[str, str]] = {}

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, source: tuple[str, int]) -> None:
        start, headers, body = split(data)
        if start.startswith("SIP/2.0"):
            self.answer(start, headers, body)
        else:
            self.request(start, headers, body, source)

    def answer(self, start: str, headers: HeaderList, body: str) -> None:
        """Pass an answer back to whoever asked, under the names that they used."""
        branch = re.search(r"branch=([^;\s]+)", value_of(headers, "via"))
        asked = self.pending.get(branch[1]) if branch else None
        if asked is None or start.split()[1] == "100":
            return
        back: HeaderList = [("Via", via) for via in asked["vias"]]
        replaced = {"call-id": asked["call_id"], "from": asked["from"], "server": self.brand}
        for name, value in headers:
            if name.lower() == "contact" and self.kind != "strip":
                value = f"<sip:{self.address}:5060>"
            if name.lower() != "via":
                back.append((name, replaced.get(name.lower(), value)))
        self.transport.sendto(join(start, back, body), asked["source"])

    def request(self, start: str, headers: HeaderList, body: str, source: tuple[str, int]) -> None:
        """Pass a request on to the host of its Request-URI, changed the way of this kind."""
        uri = start.split(" ", 2)[1]
        target = re.match(r"sip:(?:[^@]*@)?([0-9.]+)(?::(\d+))?", uri)
        if target is None or target[1] == self.address:
            return
        vias = [value for name, value in headers if name.lower() == "via"]
        top = vias[0].replace(";rport", f";rport={source[1]};received={source[0]}", 1)
        call_id = value_of(headers, "call-id")
        own = self.calls.setdefault(call_id, {"call_id": f"{secrets.token_hex(12)}@{self.address}", "tag": ""})
        own["tag"] = own["tag"] or secrets.token_hex(5)
        key = (call_id, value_of(headers, "cseq").split()[0], vias[0])
        branch = self.branches.setdefault(key, f"z9hG4bK{secrets.token_hex(8)}")
        self.pending[branch] = {
            "vias": [top, *vias[1:]],
            "source": source,
            "call_id": call_id,
            "from": value_of(headers, "from"),
        }
        below = {"contact": [top, *vias[1:]], "liar": [self.lie(vias[0])]}.get(self.kind, [])
        sent: HeaderList = [("Via", f"SIP/2.0/UDP {self.address}:5060;branch={branch};rport")]
        sent += [("Via", via) for via in below]
        sent += [self.changed(name, value, own) for name, value in headers if name.lower() not in ("via", "route")]
        if self.kind == "b2bua" and body:
            body = re.sub(r"(?m)^([oc]=.*IN IP4 ).*?(\r?)$", rf"\g<1>{self.address}\2", body)
        port = int(target[2] or 5060)
        self.transport.sendto(join(start, sent, body), (target[1], port))

    def lie(self, via: str) -> str:
        """The sender's Via as it would look if the innocent had sent it."""
        branch = re.search(r"branch=[^;\s]+", via)
        kept = branch[0] if branch else "branch=0"
        return f"SIP/2.0/UDP {self.names}:5060;received={self.names};rport=5060;{kept}"

    def changed(self, name: str, value: str, own: dict[str, str]) -> tuple[str, str]:
        """One header as this kind of relay passes it on."""
        which = name.lower()
        if which == "call-id" and self.kind == "b2bua":
            return name, own["call_id"]
        if which == "from" and self.back_to_back:
            return name, re.sub(r";\s*tag=[^;]+", "", value) + f";tag={own['tag']}"
        if which == "max-forwards":
            return name, "70" if self.back_to_back else str(int(value) - 1)
        if which == "user-agent" and self.kind != "strip":
            return name, self.brand
        if which == "contact" and (self.back_to_back or self.kind in ("contact", "liar")):
            user = re.search(r"sip:([^@>;]+)@", value)
            return name, f"<sip:{user[1] + '@' if user else ''}{self.address}:5060>"
        return name, value


async def play(relays: list[dict[str, str]]) -> None:
    """Listen on every relay's address until the scene ends."""
    loop = asyncio.get_running_loop()
    for relay in relays:
        make = lambda relay=relay: Relay(relay["address"], relay["kind"], relay["brand"], relay["names"])  # noqa: E731
        await loop.create_datagram_endpoint(make, local_addr=(relay["address"], 5060))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(play(json.loads(Path(sys.argv[1]).read_text())))
