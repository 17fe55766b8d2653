"""Open relays played by Kamailio: one process for all relays of a kind, each address a relay of its own.

Kamailio sends from the socket that a request came in on, so every address has its own Vias, branches and Record-Routes.
"""

import glob
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from plan import Relay

OVER_TCP_KINDS = ("to-tcp", "carrier")
KINDS = ("stateful", "stateless", "topoh", "topoh-key", "keeps-user-agent", "to-tcp", "carrier")

CORE = """#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=1
auto_aliases=no
dns=no
rev_dns=no
dns_try_ipv6=no
server_header="Server: {brand}"
user_agent_header="User-Agent: {brand}"
{listen}
mpath="{modules}"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
modparam("rr", "enable_full_lr", 0)
{more}
request_route {{
    force_rport();
    if (!mf_process_maxfwd_header("70")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
{route}
}}

route[ONWARD] {{
{onward}
    return;
}}
"""

# What makes them open: nobody asks who sends, or whether the Request-URI is theirs to serve.
TO_ITSELF = """    if (uri==myself) { sl_send_reply("404", "Not Found"); exit; }
"""
TRANSACTIONS = """    if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
    if (!is_method("ACK")) {
        if (t_precheck_trans()) { t_check_trans(); exit; }
        t_check_trans();
    }
    if (has_totag()) {
        if (loose_route()) { route(ONWARD); t_relay(); exit; }
        if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
    }
"""
BRANDING = """    remove_hf("User-Agent");
    append_hf("User-Agent: {brand}\\r\\n");
"""
RELAY = """    if (is_method("INVITE")) record_route();
    route(ONWARD);
    if (!t_relay()) sl_reply_error();"""
OVER_TCP = """    $fs = "tcp:" + $Ri + ":5060";
    $du = "sip:" + $rd + ":5060;transport=tcp";
"""
CUSTOMERS_ONLY = """    if (src_ip!={customer}) {{ sl_send_reply("403", "Not relaying"); exit; }}
"""


def route_of(kind: str, brand: str, customer: str) -> str:
    """The route block of one kind of relay."""
    branding = BRANDING.format(brand=brand)
    if kind == "stateless":
        return TO_ITSELF + branding + "    forward();"
    if kind == "carrier":
        return TRANSACTIONS + CUSTOMERS_ONLY.format(customer=customer) + RELAY
    steps = TRANSACTIONS + TO_ITSELF
    if kind != "keeps-user-agent":
        steps += branding
    return steps + RELAY


def onward(kind: str, next_hop: str) -> str:
    """Where a kind of relay sends what it relays, when that is not simply where the request says."""
    if kind in OVER_TCP_KINDS:
        return OVER_TCP
    return f'    $du = "sip:{next_hop}:5060";' if next_hop else ""


def configuration(kind: str, relays: list[Relay], modules: str, customer: str = "") -> str:
    """The configuration of one process that plays all these relays; they share kind, brand, key and next hop."""
    first = relays[0]
    transports = ("udp", "tcp") if kind in OVER_TCP_KINDS else ("udp",)
    listen = [f"listen={transport}:{relay.address}:5060" for relay in relays for transport in transports]
    if transports == ("udp",):
        listen.append("disable_tcp=yes")
    more = ""
    if kind.startswith("topoh"):
        more = 'loadmodule "topoh.so"\n'
        if first.key:
            more += f'modparam("topoh", "mask_key", "{first.key}")\nmodparam("topoh", "mask_ip", "127.0.0.8")\n'
    return CORE.format(
        brand=first.brand,
        listen="\n".join(listen),
        modules=modules,
        more=more,
        route=route_of(kind, first.brand, customer),
        onward=onward(kind, first.next_hop),
    )


def commands(relays: Iterable[Relay], run_dir: Path, customer: str = "") -> list[tuple[str, list[str]]]:
    """(name, command) of the processes that play these relays; configurations are written to the run folder."""
    modules = glob.glob("/usr/lib/*/kamailio/modules/") + glob.glob("/usr/lib/kamailio/modules/")
    if not modules:
        raise RuntimeError("no Kamailio modules under /usr/lib; install kamailio and kamailio-extra-modules")
    chosen = sorted((relay for relay in relays if relay.kind in KINDS), key=_group)
    found = []
    for number, (group, members) in enumerate(groupby(chosen, key=_group)):
        name = f"kamailio-{number}-{group[0]}"
        config = run_dir / f"{name}.cfg"
        config.write_text(configuration(group[0], list(members), modules[0], customer))
        runtime = run_dir / name
        runtime.mkdir(exist_ok=True)
        command = ["kamailio", "-f", str(config), "-DD", "-E", "-m", "32", "-M", "4", "-Y", str(runtime)]
        found.append((name, [*command, "-w", str(run_dir)]))
    return found


def _group(relay: Relay) -> tuple[str, str, str, str]:
    return relay.kind, relay.brand, relay.key, relay.next_hop
