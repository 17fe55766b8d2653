"""Proof that whoever asks for a test from the page runs the server. Before it, only the look-up of the proof goes out.

Four ways, the first that holds is enough: the request comes from the server's own address; a DNS TXT record below its
name; a file that its web server gives out; an OPTIONS answer of its own that carries the token. The token belongs to
the target and this installation, so that a proof for one server proves nothing for another.

What is tested is addresses, so each proof is about every address that the name led to. A TXT record alone proves the
name, and anybody may point a name of theirs at a stranger's server: it counts when the addresses' own reverse names
lie in that name (forward-confirmed reverse DNS), which only who runs the addresses can arrange. The file is asked for
by address, not by name: one address serves many people's names, and its own answer is its operator's.
"""

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from relaytrap.probe.channel import UdpSocket
from relaytrap.probe.target import Endpoint, Target, refusal
from relaytrap.sip import Response, parse_message
from relaytrap.sip.uri import host_port

__all__ = ["OWN_ADDRESS", "Claim", "ownership_token", "prove_ownership"]

OWN_ADDRESS: Final = "the request came from the server's own address"
TXT_LABEL: Final = "_relaytrap"
FILE_PATH: Final = "/.well-known/relaytrap.txt"
ANSWER_MAX_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class Claim:
    """Somebody says that a server is theirs.

    asked_from: the address their request for the test came from. tester: our own address, for the OPTIONS. token:
    what the proofs must show. name_server: address and port to ask instead of the system's. timeout_s: for each
    proof.
    """

    target: Target
    asked_from: str
    tester: str
    token: str
    name_server: tuple[str, int] | None = None
    timeout_s: float = 4.0


def ownership_token(secret: bytes, named: str) -> str:
    """The token of a target for this installation; the same every time, so that a record may stay where it is."""
    digest = hmac.new(secret, named.lower().encode(), hashlib.sha256).hexdigest()
    return f"relaytrap-{digest[:32]}"


async def prove_ownership(claim: Claim, *, private_allowed: bool = False) -> str:
    """How ownership was proved, as a phrase; "" when no proof holds.

    private_allowed: only for tests on loopback; the page never sets it.
    """
    if any(refusal(address, private_allowed=private_allowed) for address in claim.target.addresses):
        return ""
    for phrase, proof in PROOFS.items():
        if await proof(claim):
            return phrase
    return ""


async def _is_own_address(claim: Claim) -> bool:
    asked_from = ipaddress.ip_address(claim.asked_from)
    return all(ipaddress.ip_address(address) == asked_from for address in claim.target.addresses)


async def _has_txt_record(claim: Claim) -> bool:
    """The token in a TXT record below the name, and for each address a reverse name that is it or lies below it."""
    from dns.asyncresolver import Resolver
    from dns.exception import DNSException
    from dns.name import from_text
    from dns.resolver import NoResolverConfiguration

    try:
        resolver = Resolver(configure=claim.name_server is None)
        if claim.name_server:
            resolver.nameservers, resolver.port = [claim.name_server[0]], claim.name_server[1]
        resolver.lifetime = claim.timeout_s
        name = from_text(claim.target.host)
        answer = await resolver.resolve(f"{TXT_LABEL}.{claim.target.host}", "TXT")
        texts = [b"".join(record.strings).decode("ascii", "replace").strip() for record in answer]
        if claim.token not in texts:
            return False
        reverse = await asyncio.gather(*map(resolver.resolve_address, claim.target.addresses))
    except (DNSException, NoResolverConfiguration, OSError, UnicodeError):
        return False
    return all(any(record.target.is_subdomain(name) for record in each) for each in reverse)


async def _gives_file(claim: Claim) -> bool:
    """The file from port 80 of every address that would be tested; redirects are not followed."""
    return all(await asyncio.gather(*(_gives_file_at(claim, address) for address in claim.target.addresses)))


async def _gives_file_at(claim: Claim, address: str) -> bool:
    head = f"GET {FILE_PATH} HTTP/1.0\r\nHost: {host_port(address)}\r\nUser-Agent: Relaytrap ownership check\r\n\r\n"
    try:
        async with asyncio.timeout(claim.timeout_s):
            reader, writer = await asyncio.open_connection(address, 80)
            try:
                writer.write(head.encode())
                answer = await reader.read(ANSWER_MAX_BYTES)
                while len(answer) < ANSWER_MAX_BYTES and (more := await reader.read(ANSWER_MAX_BYTES - len(answer))):
                    answer += more
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    status, _, body = answer.partition(b"\r\n\r\n")
    return status[:13].partition(b" ")[2].startswith(b"200") and body.strip() == claim.token.encode()


async def _answers_with_token(claim: Claim) -> bool:
    """OPTIONS to the server itself at every address, whose answer must carry the token (in Server, say)."""
    places = {each.address: each for each in reversed(claim.target.endpoints) if each.transport == "udp"}
    if tuple(sorted(places)) != claim.target.addresses:
        return False
    return all(await asyncio.gather(*(_answers_at(claim, place) for place in places.values())))


async def _answers_at(claim: Claim, place: Endpoint) -> bool:
    # Whoever asks has read the token off the page: only who saw the request can answer it, with its Call-ID.
    call_id = secrets.token_hex(8)
    answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def receive(data: bytes, source: tuple[str, int]) -> None:
        message = parse_message(data)
        if not isinstance(message, Response) or message.call_id != call_id.encode() or message.status_code < 200:
            return
        if source == (place.address, place.port) and not answered.done():
            answered.set_result(data)

    try:
        way = await UdpSocket.open(claim.tester, 0, receive)
    except OSError:
        return False
    try:
        here = host_port(claim.tester, way.port)
        uri = f"sip:{host_port(place.address, place.port)}"
        way.send(
            f"OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {here};rport;branch=z9hG4bK{call_id}\r\nMax-Forwards: 1\r\n"
            f"From: <sip:ownership@relaytrap.invalid>;tag={call_id[:8]}\r\nTo: <{uri}>\r\nCall-ID: {call_id}\r\n"
            "CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n".encode(),
            place.address,
            place.port,
        )
        async with asyncio.timeout(claim.timeout_s):
            return claim.token.encode() in await answered
    except TimeoutError:
        return False
    finally:
        way.close()


PROOFS: Final[dict[str, Callable[[Claim], Awaitable[bool]]]] = {
    OWN_ADDRESS: _is_own_address,
    f"a TXT record at {TXT_LABEL}, and reverse names that agree": _has_txt_record,
    f"the file {FILE_PATH}": _gives_file,
    "the server's own OPTIONS answer": _answers_with_token,
}
