"""A family of real servers on loopback, each open or closed in its own way: Kamailio from Debian, and two that it
cannot play.

One Kamailio process plays most of them, a listening address each, told apart by the address a request came to; topology
hiding and Debian's own configuration have a process of their own.
"""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..groups import end_groups
from ..loopback import free_port, loopback

MODULES = "/usr/lib/x86_64-linux-gnu/kamailio/modules/"
OWN = """
    if (is_method("OPTIONS") && uri==myself) { sl_send_reply("200", "OK"); exit; }
    if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
"""
RELAY = 'if (is_method("INVITE")) record_route(); if (!t_relay()) sl_reply_error(); exit;'
REFUSE = 'sl_send_reply("403", "Not relaying"); exit;'

# Everybody's own IPv6 loopback; servers there are told apart by port.
SIX = "::1"
# Name → (address, what its Kamailio does with a request).
ROUTES = {
    "open stateful": (loopback(20, 1), OWN + RELAY),
    "open stateless": (
        loopback(20, 2),
        'if (is_method("OPTIONS") && uri==myself) { sl_send_reply("200", "OK"); exit; } forward(); exit;',
    ),
    "closed": (loopback(20, 3), OWN + REFUSE),
    "challenge": (
        loopback(20, 4),
        OWN + 'append_to_reply("Proxy-Authenticate: Digest realm=\\"family\\", nonce=\\"abc\\"\\r\\n"); '
        'sl_send_reply("407", "Proxy Authentication Required"); exit;',
    ),
    "options only": (loopback(20, 5), OWN + 'if (is_method("OPTIONS|CANCEL")) { ' + RELAY + " } " + REFUSE),
    "tcp only": (loopback(20, 6), OWN + "if (proto==TCP) { " + RELAY + " } " + REFUSE),
    "tls only": (loopback(20, 7), OWN + "if (proto==TLS) { " + RELAY + " } " + REFUSE),
    "ws only": (loopback(20, 8), OWN + "if (proto==WS) { " + RELAY + " } " + REFUSE),
    "from hole": (loopback(20, 9), OWN + "if (from_uri!=myself && uri!=myself) { " + REFUSE + " } " + RELAY),
    "route hole": (loopback(20, 10), OWN + "if (loose_route()) { " + RELAY + " } " + REFUSE),
    "to hole": (loopback(20, 16), OWN + "if (to_uri==myself && uri!=myself) { " + RELAY + " } " + REFUSE),
    "asserted hole": (
        loopback(20, 17),
        OWN + 'if ($hdr(P-Asserted-Identity) =~ "@family.example>") { ' + RELAY + " } " + REFUSE,
    ),
    "alias hole": (loopback(20, 18), OWN + "handle_ruri_alias(); if ($du==$null) { " + REFUSE + " } " + RELAY),
    "silent": (loopback(20, 11), "exit;"),
    "answers itself": (loopback(20, 12), 'if (is_method("ACK")) exit; sl_send_reply("200", "OK"); exit;'),
    "redirects": (
        loopback(20, 13),
        OWN + 'append_to_reply("Contact: <$ru>\\r\\n"); sl_send_reply("302", "Moved Temporarily"); exit;',
    ),
    "trying only": (loopback(20, 14), OWN + 'sl_send_reply("100", "Trying"); exit;'),
    "server error": (loopback(20, 15), OWN + 'sl_send_reply("503", "Service Unavailable"); exit;'),
    "open on IPv6": (SIX, OWN + RELAY),
}
TOPOLOGY_HIDING = loopback(20, 20)
DEBIAN_DEFAULT = loopback(20, 21)
DEBIAN_AUTH = loopback(20, 22)
DEBIAN_CLOSED = loopback(20, 23)
ECHO = loopback(20, 30)
DELAYED = loopback(20, 31)
BY_WEBSOCKET = loopback(20, 32)
ASKER = loopback(30, 9)

CORE = """#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=1
tcp_children=1
auto_aliases=no
dns=no
rev_dns=no
tcp_accept_no_cl=yes
{globals}
mpath="{modules}"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
{load}
request_route {{
    force_rport();
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
{routes}
}}
{more}
"""


def main_configuration(folder: Path, six_port: int) -> str:
    """The process that plays every server of ROUTES; the one on IPv6 at a port of its own."""
    places = [f"[{SIX}]:{six_port}" if address == SIX else f"{address}:5060" for address, _ in ROUTES.values()]
    listen = [f"listen={kind}:{place}" for place in places for kind in ("udp", "tcp")]
    listen.append(f"listen=tls:{ROUTES['tls only'][0]}:5061")
    listen.append(f"listen=tcp:{ROUTES['ws only'][0]}:8080")
    asked = {address: "af==INET6" if address == SIX else f'$Ri == "{address}"' for address, _ in ROUTES.values()}
    routes = "\n".join(f"    if ({asked[address]}) {{ {text} }}" for address, text in ROUTES.values())
    load = "\n".join(f'loadmodule "{name}.so"' for name in ("tls", "xhttp", "websocket", "nathelper"))
    load += f'\nmodparam("tls", "certificate", "{folder}/cert.pem")\nmodparam("tls", "private_key", "{folder}/key.pem")'
    load += '\nmodparam("tls", "tls_method", "TLSv1.2+")'
    more = """event_route[xhttp:request] {
    if ($hdr(Upgrade) =~ "websocket" && ws_handle_handshake()) exit;
    xhttp_reply("404", "Not Found", "text/plain", "none");
}"""
    return CORE.format(
        globals="enable_tls=yes\n" + "\n".join(listen), modules=MODULES, load=load, routes=routes, more=more
    )


def topology_hiding_configuration() -> str:
    """An open relay that masks Via, Record-Route, Contact and Call-ID."""
    load = 'loadmodule "topoh.so"\nmodparam("topoh", "mask_key", "family")\nmodparam("topoh", "mask_callid", 1)'
    listen = "\n".join(f"listen={kind}:{TOPOLOGY_HIDING}:5060" for kind in ("udp", "tcp"))
    return CORE.format(globals=listen, modules=MODULES, load=load, routes=OWN + RELAY, more="")


def make_certificate(folder: Path) -> None:
    """A self-signed certificate for the server that speaks TLS."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=family"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def family(kamailio: str, folder: Path) -> Iterator[int]:
    """The whole family, up and answering; gone afterwards. Gives the port of the server on IPv6."""
    six_port = free_port(SIX)
    make_certificate(folder)
    (folder / "main.cfg").write_text(main_configuration(folder, six_port))
    (folder / "topoh.cfg").write_text(topology_hiding_configuration())
    here = Path(__file__).parent
    commands = [
        start_kamailio(kamailio, folder, "main", ["-f", str(folder / "main.cfg")], memory="64"),
        start_kamailio(kamailio, folder, "topoh", ["-f", str(folder / "topoh.cfg")]),
        debian_default(kamailio, folder, "default", DEBIAN_DEFAULT),
        debian_default(kamailio, folder, "auth", DEBIAN_AUTH, "WITH_AUTH"),
        [sys.executable, str(here / "odd_servers.py"), ECHO, DELAYED, BY_WEBSOCKET],
    ]
    with running(commands, folder, ROUTES["closed"][0], TOPOLOGY_HIDING, DEBIAN_DEFAULT, DEBIAN_AUTH):
        yield six_port


def start_kamailio(kamailio: str, folder: Path, name: str, more: list[str], memory: str = "32") -> list[str]:
    """The command line of one Kamailio in the foreground."""
    run = folder / f"run-{name}"
    run.mkdir()
    return [kamailio, *more, "-DD", "-E", "-m", memory, "-M", "8", "-n", "1", "-N", "1", "-Y", str(run), "-w", str(run)]


def debian_default(kamailio: str, folder: Path, name: str, address: str, *defines: str) -> list[str]:
    """Debian's own configuration file, untouched; switches as an administrator sets them."""
    more = ["-f", "/etc/kamailio/kamailio.cfg", "-l", f"udp:{address}:5060", "-l", f"tcp:{address}:5060"]
    for define in defines:
        more += ["-A", define]
    if defines:
        database = folder / f"db-{name}"
        database.mkdir()
        for table in ("version", "subscriber"):
            text = Path(f"/usr/share/kamailio/dbtext/kamailio/{table}").read_text()
            (database / table).write_text(text)
        more += ["-A", f'DBURL="text://{database}"', "--loadmodule=db_text.so"]
    return start_kamailio(kamailio, folder, name, more)


@contextmanager
def running(commands: list[list[str]], folder: Path, *answering: str) -> Iterator[None]:
    """Processes that run while the block does; each in a group of its own, ended as one.

    answering: addresses that must answer OPTIONS before the block begins.
    """
    started: list[subprocess.Popen[bytes]] = []
    try:
        for number, command in enumerate(commands):
            log = (folder / f"{number}.log").open("wb")
            started.append(
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            )
        for address in answering:
            wait_for(address, started, folder)
        yield
    finally:
        end_groups(*started)


def wait_for(address: str, started: list[subprocess.Popen[bytes]], folder: Path, seconds: float = 30.0) -> None:
    """Until something answers OPTIONS there; fails at once, with what it said, when a process ended."""
    ask = (
        f"OPTIONS sip:{address} SIP/2.0\r\nVia: SIP/2.0/UDP {ASKER}:{{port}};rport;branch=z9hG4bKup\r\n"
        f"From: <sip:a@b>;tag=1\r\nTo: <sip:{address}>\r\nCall-ID: up\r\nCSeq: 1 OPTIONS\r\n"
        "Max-Forwards: 5\r\nContent-Length: 0\r\n\r\n"
    )
    end = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
        way.bind((ASKER, 0))
        way.settimeout(0.3)
        while time.monotonic() < end and all(process.poll() is None for process in started):
            way.sendto(ask.format(port=way.getsockname()[1]).encode(), (address, 5060))
            try:
                way.recv(65535)
            except TimeoutError:
                continue
            return
    said = {str(log.name): log.read_text(errors="replace")[-2000:] for log in sorted(folder.glob("*.log"))}
    raise AssertionError(f"nothing answers at {address}: {said}")
