"""The grammar of SIP as compiled patterns, each under the ABNF rule of RFC 3261 section 25.1 that it stands for.

Leaf modules match these against unfolded field values. Quantifiers are possessive wherever a rule repeats, so that no
pattern can be made to try a value twice: work stays linear in the length of whatever an attacker sends.
"""

import re
from typing import Final

__all__ = [
    "AUTH_PARAM",
    "CALL_ID",
    "CSEQ",
    "DATE",
    "DELTA_SECONDS",
    "DISPLAY_NAME",
    "ESCAPE",
    "HEADER_CHARS",
    "HOST",
    "LIST_MARK",
    "MEDIA_TYPE",
    "PARAM",
    "PARAM_CHARS",
    "PASSWORD",
    "PLAIN_ADDRESS",
    "PLAIN_URI",
    "PLAIN_VIA",
    "QUOTED_PAIR",
    "QUOTED_STRING",
    "SCHEME",
    "SDP_LINES",
    "SENT_PROTOCOL",
    "SIP_VERSION",
    "STATUS_LINE",
    "TEL_NUMBER",
    "TEXT",
    "TOKEN",
    "TOKEN_LIST",
    "USER",
    "WARNING",
]

# token  =  1*(alphanum / "-" / "." / "!" / "%" / "*" / "_" / "+" / "`" / "'" / "~")
TOKEN_CLASS: Final = rb"[A-Za-z0-9.!%*_+`'~-]"
TOKEN: Final = re.compile(TOKEN_CLASS + rb"++")
# SWS  =  [LWS]  (values are unfolded before they get here: LWS is blanks and tabs)
SWS: Final = rb"[ \t]*+"
# quoted-string  =  SWS DQUOTE *(qdtext / quoted-pair) DQUOTE
# qdtext  =  LWS / %x21 / %x23-5B / %x5D-7E / UTF8-NONASCII;  quoted-pair  =  "\" (%x00-09 / %x0B-0C / %x0E-7F)
QUOTED: Final = rb'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]++|\\[^\r\n\x80-\xff])*+"'
QUOTED_STRING: Final = re.compile(QUOTED)
QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)

# escaped  =  "%" HEXDIG HEXDIG
ESCAPED: Final = rb"%[0-9A-Fa-f]{2}"
ESCAPE: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
# unreserved  =  alphanum / mark;  mark  =  "-" / "_" / "." / "!" / "~" / "*" / "'" / "(" / ")"
UNRESERVED: Final = rb"A-Za-z0-9_.!~*'()\-"
# user  =  1*( unreserved / escaped / user-unreserved )
# user-unreserved  =  "&" / "=" / "+" / "$" / "," / ";" / "?" / "/"
USER: Final = re.compile(rb"(?:[" + UNRESERVED + rb"&=+$,;?/]++|" + ESCAPED + rb")++")
# password  =  *( unreserved / escaped / "&" / "=" / "+" / "$" / "," )
PASSWORD: Final = re.compile(rb"(?:[" + UNRESERVED + rb"&=+$,]++|" + ESCAPED + rb")*+")
# other-param  =  pname [ "=" pvalue ];  pname, pvalue  =  1*paramchar
# paramchar  =  "[" / "]" / "/" / ":" / "&" / "+" / "$" / unreserved / escaped
PARAM_CHARS: Final = re.compile(rb"(?:[" + UNRESERVED + rb"\[\]/:&+$]++|" + ESCAPED + rb")++")
# header  =  hname "=" hvalue;  each of "[" / "]" / "/" / "?" / ":" / "+" / "$" / unreserved / escaped
HEADER_CHARS: Final = re.compile(rb"(?:[" + UNRESERVED + rb"\[\]/?:+$]++|" + ESCAPED + rb")*+")
# scheme  =  ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )
SCHEME: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*+):")

# IPv4address  =  1*3DIGIT "." 1*3DIGIT "." 1*3DIGIT "." 1*3DIGIT
IPV4: Final = rb"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}(?![A-Za-z0-9.-])"
# hostname  =  *( domainlabel "." ) toplabel [ "." ];  domainlabel  =  alphanum / alphanum *( alphanum / "-" ) alphanum
# toplabel  =  ALPHA / ALPHA *( alphanum / "-" ) alphanum
HOSTNAME: Final = (
    rb"(?:[A-Za-z0-9][A-Za-z0-9-]*+(?<!-)\.(?=[A-Za-z0-9]))*+[A-Za-z](?:[A-Za-z0-9-]*+(?<!-))?+\.?+(?![A-Za-z0-9-])"
)
# host without the IPv6reference, whose address `ipaddress` judges
HOST: Final = re.compile(rb"(?:" + IPV4 + rb"|" + HOSTNAME + rb")")

# generic-param  =  token [ EQUAL gen-value ];  gen-value  =  token / host / quoted-string
# A received= may hold an IPv6 address without brackets (RFC 5118 section 4.5): the class takes colons and brackets.
GEN_VALUE: Final = rb"[A-Za-z0-9.!%*_+`'~:\[\]-]++"
PARAM: Final = re.compile(
    SWS + rb";" + SWS + rb"(" + TOKEN_CLASS + rb"++)" + SWS
    + rb"(?:=" + SWS + rb"(" + GEN_VALUE + rb"|" + QUOTED + rb")" + SWS + rb")?+"
)  # fmt: skip
# display-name  =  *(token LWS) / quoted-string
DISPLAY_NAME: Final = re.compile(rb"(?:" + TOKEN_CLASS + rb"++[ \t]*+)*+")
# What decides where a comma-separated list is cut: commas, and what hides them.
LIST_MARK: Final = re.compile(rb'[,"<]')

# SIP-Version  =  "SIP" "/" 1*DIGIT "." 1*DIGIT
SIP_VERSION: Final = re.compile(rb"SIP/[0-9]+\.[0-9]+", re.IGNORECASE)
# Status-Line  =  SIP-Version SP Status-Code SP Reason-Phrase CRLF;  taken liberally: any number of digits, of blanks
# before them, and the SP behind them or not
STATUS_LINE: Final = re.compile(
    rb"(SIP/[0-9]++\.[0-9]++)([ \t]++)([0-9]++)(?:( )(.*+)|()())", re.IGNORECASE | re.DOTALL
)  # fmt: skip
# CSeq  =  "CSeq" HCOLON 1*DIGIT LWS Method
CSEQ: Final = re.compile(rb"([0-9]++)[ \t]++(" + TOKEN_CLASS + rb"++)")
# callid  =  word [ "@" word ];  word  =  1*(alphanum / "-.!%*_+`'~()<>:\" DQUOTE "/[]?{}")
WORD: Final = rb"[A-Za-z0-9.!%*_+`'~()<>:\\\"/\[\]?{}-]++"
CALL_ID: Final = re.compile(WORD + rb"(?:@" + WORD + rb")?+")
# delta-seconds  =  1*DIGIT
DELTA_SECONDS: Final = re.compile(rb"[0-9]++")
# SIP-date  =  rfc1123-date  =  wkday "," SP date1 SP time SP "GMT"
DATE: Final = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4}"
    rb" [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
)
# warning-value  =  warn-code SP warn-agent SP warn-text;  warn-code  =  3DIGIT
WARNING: Final = re.compile(rb"[0-9]{3} [^ \t\"]++ " + QUOTED)
# media-type  =  m-type SLASH m-subtype *(SEMI m-parameter)
MEDIA_TYPE: Final = re.compile(TOKEN_CLASS + rb"++" + SWS + rb"/" + SWS + TOKEN_CLASS + rb"++" + SWS + rb"(?=;|\Z)")
# 1#token, as in Require, Supported, Allow
TOKEN_LIST: Final = re.compile(
    TOKEN_CLASS + rb"++" + SWS + rb"(?:," + SWS + TOKEN_CLASS + rb"++" + SWS + rb")*+"
)  # fmt: skip

# auth-param  =  auth-param-name EQUAL ( token / quoted-string );  taken liberally: a bare value ends at the next comma
AUTH_PARAM: Final = re.compile(
    rb"[ \t,]*+(" + TOKEN_CLASS + rb"++)" + SWS + rb"=" + SWS + rb"(" + QUOTED + rb"|[^, \t\"]*+)" + SWS
)  # fmt: skip
# sent-protocol LWS of a Via, with blanks around the slashes;  sent-protocol  =  protocol-name SLASH protocol-version
# SLASH transport
SENT_PROTOCOL: Final = re.compile(
    rb"([^ \t/;]++)" + SWS + rb"/" + SWS + rb"([^ \t/;]++)" + SWS + rb"/" + SWS + rb"([^ \t/;]++)" + SWS
)  # fmt: skip
# RFC 3966: global-number-digits, local-number-digits
TEL_NUMBER: Final = re.compile(rb"\+?+[0-9A-Fa-f*#().-]++")
# RFC 8866: *( type "=" value CRLF );  the last line end may be missing, CR too
SDP_LINES: Final = re.compile(rb"(?:[A-Za-z]=[^\r\n\x00]*+(?:\r?+\n|\Z))*+")

# What nearly all values look like, in one match: no blanks, escapes, IPv6 or quoted parameters. Whatever these take,
# the rules above take as well, with the same parts; what they do not take is read rule by rule.
PLAIN_HOST: Final = rb"(" + IPV4 + rb"|" + HOSTNAME + rb")(?::([0-9]{1,5}))?+"
PLAIN_PARAM: Final = rb"(?:;" + TOKEN_CLASS + rb"++(?:=" + TOKEN_CLASS + rb"++)?+)"
# via-parm  =  sent-protocol LWS sent-by *( SEMI via-params );  branch, which mostly stands first, has a group of its
# own: what follows it repeats from message to message, and is not taken apart again. A fold leaves a blank before it.
PLAIN_VIA: Final = re.compile(
    rb"SIP/2\.0/(" + TOKEN_CLASS + rb"++) " + PLAIN_HOST
    + rb"(?:[ \t]?+;branch=(" + TOKEN_CLASS + rb"++))?+(" + PLAIN_PARAM + rb"{0,16}+)"
)  # fmt: skip
# SIP-URI  =  "sip:" [ userinfo ] hostport uri-parameters, without password and headers
PLAIN_URI: Final = re.compile(
    rb"(sips?):(?:([" + UNRESERVED + rb"&=+$,;?/]++)@)?+" + PLAIN_HOST
    + rb"((?:;[" + UNRESERVED + rb"\[\]/:&+$]++(?:=[" + UNRESERVED + rb"\[\]/:&+$]++)?+){0,16}+)"
)  # fmt: skip
# name-addr with a tag or nothing behind it;  what stands in < > is judged as a URI
PLAIN_ADDRESS: Final = re.compile(
    rb"(?:\"([^\"\\\x00-\x08\x0a-\x1f\x7f]*+)\"[ \t]?|(" + TOKEN_CLASS + rb"++)[ \t]?)?+<([^<>]++)>"
    rb"(?:[ \t]?+;tag=(" + TOKEN_CLASS + rb"++))?+"
)  # fmt: skip

# Octets that may stand anywhere in a header line of ASCII: HTAB and %x20-7E.
TEXT: Final = b"\t" + bytes(range(0x20, 0x7F))
