"""SIP, without I/O: bytes in, values out, and back. Standard library only; no socket, no clock, no chance."""

from relaytrap.sip.address import Address, parse_address
from relaytrap.sip.anomaly import ANOMALIES, Anomaly, SipSyntaxError
from relaytrap.sip.digest import Credentials, parse_credentials
from relaytrap.sip.headers import Header, Headers
from relaytrap.sip.message import CSeq, Message, Request, Response, Unparsed
from relaytrap.sip.parse import parse_message
from relaytrap.sip.sdp import Sdp
from relaytrap.sip.uri import Uri, parse_uri
from relaytrap.sip.validate import Abilities, Rejection, validate
from relaytrap.sip.via import Via, parse_via

__all__ = [
    "ANOMALIES",
    "Abilities",
    "Address",
    "Anomaly",
    "CSeq",
    "Credentials",
    "Header",
    "Headers",
    "Message",
    "Rejection",
    "Request",
    "Response",
    "Sdp",
    "SipSyntaxError",
    "Unparsed",
    "Uri",
    "Via",
    "parse_address",
    "parse_credentials",
    "parse_message",
    "parse_uri",
    "parse_via",
    "validate",
]
