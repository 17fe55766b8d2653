"""What to change on a server so that it forwards nothing for strangers. Advice that was tried is marked as tried.

What is not tried is from documentation: OpenSIPS' default script and dialog module (3.x), Asterisk's res_pjsip,
FreeSWITCH's vanilla profiles, Ingate's manual (chapter SIP Traffic, Filtering).

RFC 3261 section 16.5 tells a proxy to forward a request whose Request-URI names a foreign domain: policy closes it, not
conformance. The well-known one-liner `from_uri!=myself && uri!=myself` does not close a Kamailio: a From that names the
server's own address or domain passed 18 of 18 probes (measured).
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["KAMAILIO_EDITS", "Advice", "advice_for"]

# Three edits of Debian's default kamailio.cfg, as (what stands there, what to put in its place).
KAMAILIO_EDITS: Final = (
    ('loadmodule "rr.so"', 'loadmodule "rr.so"\nloadmodule "dialog.so"'),
    (
        "\tif (loose_route()) {\n\t\troute(DLGURI);",
        "\tif (loose_route() && is_known_dlg()) {\n\t\troute(DLGURI);",
    ),
    (
        '\tif (is_method("INVITE|SUBSCRIBE")) {\n\t\trecord_route();',
        '\tif (is_method("INVITE")) dlg_manage();\n\tif (is_method("INVITE|SUBSCRIBE")) {\n\t\trecord_route();',
    ),
)
KAMAILIO_SNIPPET: Final = """\
loadmodule "dialog.so"                       # beside rr.so

# in route[WITHINDLG], instead of if (loose_route()):
if (loose_route() && is_known_dlg()) {

# for first requests, whatever From says, if not authenticated and not a listed peer:
if (uri != myself) {
    sl_send_reply("403", "Not relaying");
    exit;
}

# nobody but us may preload a Route:
remove_hf("Route");

# before record_route():
if (is_method("INVITE")) dlg_manage();
"""
OPENSIPS_SNIPPET: Final = """\
loadmodule "dialog.so"

# under has_totag(), after loose_route() (default script: before its route(relay)):
if ($DLG_status==NULL || !validate_dialog()) {
    if (!is_method("ACK")) send_reply(481, "Call/Transaction Does Not Exist");
    exit;
}

# for first requests, whatever From says:
if (!is_myself("$rd")) {                     # and not authenticated, not a listed peer
    send_reply(403, "Relay Forbidden");
    exit;
}
if (is_method("INVITE")) create_dialog();
"""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to change on one product. tried: applied to a real server and probed again."""

    product: str
    steps: tuple[str, ...]
    snippet: str = ""
    tried: bool = False


ADVICE: Final[tuple[Advice, ...]] = (
    Advice(
        "Kamailio",
        (
            "Answer 403 to every foreign Request-URI, unless the sender is authenticated or a listed peer.",
            "Do not trust From, which anybody can write your domain into; it says something only behind auth_check().",
            "Follow Route within a dialog only when the dialog module knows that dialog; otherwise answer 404 or 481.",
            "The dialog module knows calls alone: SUBSCRIBE dialogs, where you carry them, need a rule of their own.",
            "Challenge REGISTER. Then test again.",
        ),
        KAMAILIO_SNIPPET,
        tried=True,
    ),
    Advice(
        "OpenSIPS",
        (
            'The default script believes From: whoever writes your domain into it passes is_myself("$fd").',
            'Ask for a password there (proxy_authorize); answer everybody else 403 when !is_myself("$rd").',
            "Keep the default script's 403 to a preloaded Route: loose_route() on a request without a To tag.",
            "Within a dialog, relay only what the dialog module knows: create_dialog() for each first INVITE.",
            "After loose_route(), answer 481 when $DLG_status is NULL or validate_dialog() fails.",
        ),
        OPENSIPS_SNIPPET,
    ),
    Advice(
        "Asterisk",
        (
            "pjsip lets strangers in only through an endpoint named anonymous: remove it, or leave it no way out.",
            "chan_sip (until Asterisk 20): allowguest=no.",
            "Let no context that strangers reach include outbound routes, or Dial() with a URI that the caller chose.",
            "Identify trunks by address (type=identify, match=...) and give every other endpoint an auth.",
        ),
    ),
    Advice(
        "FreeSWITCH",
        (
            "The profile external takes calls without a password into the context public.",
            "Let public hold your own numbers alone, and no bridge to a number or URI that the caller chose.",
            "On your own phones' profile: auth-calls true, accept-blind-auth and accept-blind-reg absent or false.",
            "List your carriers in acl.conf.xml (default deny) and name that list in apply-inbound-acl.",
        ),
    ),
    Advice(
        "Ingate SIParator / Firewall",
        (
            "SIP Traffic, Filtering: set the Default Policy For SIP Requests to Local only.",
            "Process all relays to anywhere: in the Sender IP Filter Rules, only for your own network and carrier.",
            "List your own domains under Local SIP Domains.",
            "Turn SIP authentication on for REGISTER, and for INVITE to other domains.",
        ),
    ),
    Advice(
        "Any other server or SBC",
        (
            "Accept from strangers only requests for your own domains and numbers; refuse all others with 403.",
            "Ignore From for this decision; ignore a preloaded Route; check that a dialog exists before following it.",
            "Accept calls to the telephone network only from authenticated users and listed peers.",
            "Until that is done, let only your carrier and your users reach the SIP ports.",
        ),
    ),
)


def advice_for(server: str) -> tuple[Advice, ...]:
    """Advice for the product that a Server or User-Agent header names, first; for any server, where it names none of
    these; then the rest."""
    said = server.lower()
    words = {"Kamailio": ("kamailio", "openser", "sip router"), "Ingate SIParator / Firewall": ("siparator", "ingate")}
    named = [each for each in ADVICE if any(word in said for word in words.get(each.product, (each.product.lower(),)))]
    first = named or [ADVICE[-1]]
    return (*first, *(each for each in ADVICE if each not in first))
