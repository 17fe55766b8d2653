"""What to change on a server so that it forwards nothing for strangers. Advice that was tried is marked as tried.

RFC 3261 section 16.5 tells a proxy to forward a request whose Request-URI names a foreign domain: policy closes it, not
conformance. The well-known one-liner `from_uri!=myself && uri!=myself` does not close a Kamailio: a From that names the
server's own address or domain passed 18 of 18 probes (measured).
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["ADVICE", "KAMAILIO_EDITS", "Advice", "advice_for"]

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

# in request_route, before record_route():
if (is_method("INVITE")) dlg_manage();

# in route[WITHINDLG], instead of if (loose_route()):
if (loose_route() && is_known_dlg()) { ... }

# for first requests, whatever From says:
if (uri != myself) {                         # and not authenticated, not a listed peer
    sl_send_reply("403", "Not relaying");
    exit;
}
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
            "Do not trust From: anybody can write your domain into it.",
            "Follow Route within a dialog only when the dialog module knows that dialog; otherwise answer 481.",
            "Challenge REGISTER. Then test again.",
        ),
        KAMAILIO_SNIPPET,
        tried=True,
    ),
    Advice(
        "OpenSIPS",
        (
            'Answer 403 "Relay Forbidden" when !is_myself("$rd"), unless the sender is authenticated or a listed peer.',
            "Refuse a preloaded Route on requests without a To tag.",
            "Within a dialog, use validate_dialog() (dialog module) before loose_route() may relay.",
        ),
    ),
    Advice(
        "Asterisk",
        (
            "Give the endpoint that strangers match (anonymous) a context with no way out; chan_sip: allowguest=no.",
            "Let no context that strangers reach include outbound routes or Dial() with a URI of theirs.",
            "Identify trunks by address (pjsip identify) and challenge everybody else.",
        ),
    ),
    Advice(
        "FreeSWITCH",
        (
            "On every profile that strangers reach: auth-calls true, accept-blind-auth and accept-blind-reg false.",
            "Give the public context only your own numbers; no bridge to a URI that the caller chose.",
            "List trunks in an access list (apply-inbound-acl) instead of opening the profile.",
        ),
    ),
    Advice(
        "Ingate SIParator / Firewall",
        (
            "In SIP Traffic, reject requests to other domains by default; list your own domains as local.",
            "Restrict routing and relaying to authenticated users and to the addresses of your carrier.",
            "Turn off what you do not use: SIP over UDP from the Internet if you only have TLS users.",
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
    """Advice for the product that a Server or User-Agent header names, first; then the rest."""
    said = server.lower()
    words = {"Kamailio": ("kamailio", "openser", "sip router"), "Ingate SIParator / Firewall": ("siparator", "ingate")}
    named = [each for each in ADVICE if any(word in said for word in words.get(each.product, (each.product.lower(),)))]
    return (*named, *(each for each in ADVICE if each not in named))
