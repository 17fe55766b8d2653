"""Traffic of one edge, both sides: requests as senders write them, and what the edge makes of them."""

import copy
from collections.abc import Sequence
from pathlib import Path

from relaytrap.config import Config, GuardConfig, NetworkConfig
from relaytrap.guard import Finding, Guard, Policy
from relaytrap.observation import Observation, Transport
from tests.evidence.relays import SECOND_NS, START_NS, Message, kamailio, request

EDGE, INSIDE, USER = "192.0.2.1", "192.0.2.2", "192.0.2.77"
STRANGER, ANOTHER = "203.0.113.7", "203.0.113.99"
TRUNK, CARRIER = "198.51.100.1", "198.51.100.9"
DOMAIN, FOREIGN = "example.com", "victim.example"
OWN = NetworkConfig(own_networks=("192.0.2.0/24",), own_domains=(DOMAIN,), known_proxies=(CARRIER,), home_region="GB")
GUARDED = GuardConfig(trunks=(TRUNK,), own_numbers=("+4420",), expected_hops=1)
NO_POLICY = NetworkConfig()


def ask(
    source: str = STRANGER,
    target: str = "100",
    host: str = FOREIGN,
    *,
    method: str = "INVITE",
    serial: int = 0,
    to_tag: str = "",
    headers: Sequence[tuple[str, str]] = (),
) -> Message:
    """A request for a user at a host, as its sender writes it."""
    made = request(source, target, sensor=host, method=method, serial=serial, port=5060, to_tag=to_tag)
    made.uri = f"sip:{host}" if method == "REGISTER" else f"sip:{target}@{host}"
    made.headers += list(headers)
    return made


class Edge:
    """A guard and the traffic that it is shown. found: everything that came up as new, in order."""

    def __init__(self, network: NetworkConfig = OWN, guard: GuardConfig = GUARDED) -> None:
        config = Config(data_dir=Path("nowhere"), network=network, guard=guard)
        self.guard = Guard(Policy.of(config))
        self.found: list[Finding] = []
        self.seen: list[Observation] = []
        self.now_ns = START_NS

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += int(seconds * SECOND_NS)

    def see(self, source: str, destination: str, raw: bytes, *, transport: Transport = "udp") -> None:
        """A message goes by on the wire."""
        self.now_ns += SECOND_NS // 100
        seen = Observation(self.now_ns, "", "in", transport, source, 5060, destination, 5060, raw, "edge.pcap", 1)
        self.seen.append(seen)
        self.found += self.guard.take(seen)

    def arrive(self, message: Message, source: str = STRANGER, edge: str = EDGE, **how: Transport) -> Message:
        """A request reaches the edge."""
        self.see(source, edge, message.wire(), **how)
        return message

    def leave(self, message: Message, destination: str, *, edge: str = EDGE, source: str = STRANGER) -> Message:
        """The edge hands the request on, as a proxy does."""
        onward = copy.deepcopy(message)
        kamailio(onward, edge, source, 5060)
        self.see(edge, destination, onward.wire())
        return onward

    def answer(self, message: Message, source: str, destination: str, status: str, **more: str) -> None:
        """A response to a request travels from one host to another."""
        headers = [(name, value) for name, value in message.headers if name in ("From", "To", "Call-ID", "CSeq")]
        headers = [
            (name, value if name != "To" or "tag=" in value else f"{value};tag=answered") for name, value in headers
        ]
        lines = [f"SIP/2.0 {status}", *(f"Via: {via}" for via in message.vias)]
        lines += [f"{name}: {value}" for name, value in headers]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
        self.see(source, destination, ("\r\n".join(lines) + "\r\nContent-Length: 0\r\n\r\n").encode())

    def relay(
        self, message: Message, destination: str = ANOTHER, status: str = "200 OK", source: str = STRANGER
    ) -> None:
        """A request arrives, goes on to somebody, and the answer comes all the way back."""
        self.arrive(message, source)
        onward = self.leave(message, destination, source=source)
        self.answer(onward, destination, EDGE, status)
        self.answer(message, EDGE, source, status)

    def refuse(self, message: Message, status: str = "403 Forbidden", source: str = STRANGER, **more: str) -> None:
        """A request arrives and the edge answers it itself."""
        self.arrive(message, source)
        self.answer(message, EDGE, source, status, **more)

    def log_in(
        self, source: str = STRANGER, *, method: str = "REGISTER", host: str = DOMAIN, serial: int = 900
    ) -> Message:
        """A request is challenged and comes again with credentials; given as it came again."""
        status, name = (
            ("401 Unauthorized", "WWW-Authenticate")
            if method == "REGISTER"
            else ("407 Proxy Auth", "Proxy-Authenticate")
        )
        nonce = f"n{source}{serial}"
        challenge = {name.replace("-", "_"): f'Digest realm="{DOMAIN}", nonce="{nonce}"'}
        self.refuse(ask(source, "alice", host, method=method, serial=serial), status, source, **challenge)
        credentials = f'Digest username="alice", realm="{DOMAIN}", nonce="{nonce}", uri="sip:{host}", response="0"'
        name = "Authorization" if method == "REGISTER" else "Proxy-Authorization"
        again = ask(source, "alice", host, method=method, serial=serial, headers=[(name, credentials)])
        again.put("CSeq", f"2 {method}")
        return again

    def register(self, source: str = STRANGER) -> None:
        """Somebody registers with a password."""
        again = self.log_in(source)
        self.arrive(again, source)
        self.answer(again, EDGE, source, "200 OK", Contact=f"<sip:alice@{source}>;expires=3600")

    def end(self) -> list[str]:
        """The traffic is over; the rules of all findings."""
        self.found += self.guard.finish()
        return self.rules

    @property
    def rules(self) -> list[str]:
        return [each.case.rule for each in self.guard.findings]

    @property
    def undecided(self) -> list[str]:
        return [each.reason for each in self.guard.undecided]
