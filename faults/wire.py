"""The way from sensor to hub: cut, lossy, and delivering requests twice, late, in halves or without their answers.

Loss and cuts are packet filter rules; packets twice and out of order go over a wire made of TUN devices. TCP hides
most of that; what hurts is a request that arrives and whose answer does not, or that arrives again. A proxy in between
does that.
"""

import contextlib
import http.client
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from random import Random
from typing import Final

from faults.account import Account
from faults.programs import Fleet
from faults.trial import Scale, Skipped, Trial
from faults.tunnel import Disorder
from relaytrap.config import HubConfig
from relaytrap.hub.certificate import load_certificate

__all__ = ["delivered_oddly", "wire_cut", "wire_disorder", "wire_loss"]

LOSS_PERCENT: Final = 20
SENSOR_ADDRESS: Final = "10.71.0.1"
HUB_ADDRESS: Final = "10.71.0.2"
TABLE: Final = "relaytrap_fault"


def wire_cut(scale: Scale, folder: Path) -> Account:
    """Every packet between sensor and hub dropped, for seconds at a time and in the middle of segments."""
    with Trial("wire-cut", folder, scale) as trial:
        for _ in range(max(2, scale.rounds // 5)):
            trial.wait(0.5, 2)
            with _dropping(trial.fleet.hub_port):
                trial.wait(0.5, 6)
            trial.account.rounds += 1
        return trial.settle()


def wire_loss(scale: Scale, folder: Path) -> Account:
    """A fifth of all packets between sensor and hub lost, both ways."""
    with Trial("wire-loss", folder, scale) as trial:
        with _dropping(trial.fleet.hub_port, f"numgen random mod 100 < {LOSS_PERCENT}"):
            trial.wait(scale.rounds)
        return trial.settle()


def delivered_oddly(scale: Scale, folder: Path) -> Account:
    """Requests to the hub delivered twice at once, again much later, in halves, or without their answers."""
    chance = Random(scale.seed)
    fleet = Fleet(folder, uplink=lambda port: _start_proxy(port, chance))
    with Trial("delivered-oddly", folder, scale, fleet=fleet) as trial:
        trial.wait(scale.rounds)
        return trial.settle()


def wire_disorder(scale: Scale, folder: Path) -> Account:
    """Packets between sensor and hub lost, repeated and reordered, over HTTPS from one network to another."""
    chance = Random(scale.seed)
    wire = Disorder(f"{SENSOR_ADDRESS}/30", f"{HUB_ADDRESS}/30", chance)
    fleet = Fleet(folder, hub_via=wire.via, uplink=lambda port: f"https://{HUB_ADDRESS}:{port + 1}")
    fleet.hub.environment["RELAYTRAP_HUB_UPLINK_LISTEN"] = f"{HUB_ADDRESS}:{fleet.hub_port + 1}"
    pin = load_certificate(HubConfig(), fleet.hub_data).pin
    fleet.sensor.environment["RELAYTRAP_SENSOR_HUB_PIN"] = pin
    wire.start()
    with Trial("wire-disorder", folder, scale, fleet=fleet) as trial:
        trial.wait(scale.rounds)
        account = trial.settle()
    wire.stop()
    account.notes.append(f"packets lost {wire.lost:,}, repeated {wire.repeated:,}, reordered {wire.reordered:,}")
    account.require(min(wire.lost, wire.repeated, wire.reordered) > 0, "the wire was in order, which proves nothing")
    return account


@contextlib.contextmanager
def _dropping(port: int, which: str = "") -> Iterator[None]:
    """Drop packets to and from the hub's port, all or those that a rule chooses."""
    rules = "".join(f"tcp {way} {port} {which} drop\n" for way in ("dport", "sport"))
    _nft(f"table inet {TABLE} {{\nchain input {{\ntype filter hook input priority 0;\n{rules}}}\n}}\n")
    try:
        yield
    finally:
        _nft(f"delete table inet {TABLE}")


def _nft(rules: str) -> None:
    try:
        subprocess.run(["nft", "-f", "-"], input=rules, check=True, capture_output=True, text=True)
    except FileNotFoundError:
        raise Skipped("nft (nftables) is not installed") from None
    except subprocess.CalledProcessError as error:
        raise Skipped(f"nft: {error.stderr.strip()}") from None


def _start_proxy(port: int, chance: Random) -> str:
    """A proxy before the hub; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _odd_handler(port, chance))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def _odd_handler(port: int, chance: Random) -> type[BaseHTTPRequestHandler]:
    earlier: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            asked = self.path, headers, body
            way = chance.choice(("well", "well", "twice", "no answer", "half", "late", "not at all"))
            if way in ("half", "not at all"):
                if way == "half":
                    _half(port, *asked)
                self.close_connection = True
                return
            if way == "twice":
                threading.Thread(target=_deliver, args=(port, *asked), daemon=True).start()
            if way == "late" and earlier:
                _deliver(port, *chance.choice(earlier))
            if self.path == "/api/segments":
                earlier.append(asked)
                del earlier[:-50]
            answer = _deliver(port, *asked)
            if way == "no answer" or answer is None:
                self.close_connection = True
                return
            self._give(*answer)

        def _give(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            """Nothing: this server is part of a fault."""

    return Handler


def _deliver(port: int, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes] | None:
    """Ask the hub; None when it does not answer."""
    hub = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        hub.request("POST", path, body, headers)
        answer = hub.getresponse()
        kept = {name: value for name, value in answer.getheaders() if name.lower() in ("content-length", "retry-after")}
        return answer.status, kept, answer.read()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        hub.close()


def _half(port: int, path: str, headers: dict[str, str], body: bytes) -> None:
    """Send the head and half the body, and break off."""
    hub = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.suppress(OSError):
        hub.putrequest("POST", path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            hub.putheader(name, value)
        hub.endheaders()
        hub.send(body[: len(body) // 2])
    hub.close()
