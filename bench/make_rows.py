#!/usr/bin/env python3
"""Fill a store with stored messages that look like a week of honeypot traffic, made by the engine itself.

    python bench/make_rows.py --data /tmp/pages --rows 10000000

Sessions are drawn first (one source, tool, sensor and goal each; a few send most), messages from sessions: sources
belong to one country and network, tools to a mix of methods. One session in eight comes through a relay that names one
of some hundred origins, one through a relay that names nobody. Times run over --days before now. Deterministic but for
the end of the time span; deliberately not through the parser, because only the store is under test. Last, relays,
origins and campaigns are found, unless --no-findings.
"""

import argparse
import sys
import time
from pathlib import Path

from relaytrap.config import StoreConfig
from relaytrap.hub.analyse import Analysis
from relaytrap.store import Store
from relaytrap.store.schema import NAMES

SOURCES = 48_000
ORIGINS = 400
SESSIONS_AN_HOUR = 900
COUNTRIES = (
    "US DE FR NL RU CN GB BG UA PL RO LT VN IN BR HK SG IT ES CA TR SE CZ JP KR ID TH MX AR ZA IR IL EG PK BD MY PH TW "
    "CL CO PE VE EC UY PY BO DO GT SV HN NI CR PA CU JM TT MA DZ TN LY KE NG GH CI SN CM UG TZ ET SD AO MZ ZM ZW BW NA "
    "RW MG MU SC AE SA QA KW BH OM YE JO LB SY IQ AF UZ KZ KG TJ TM GE AM AZ BY MD EE LV FI NO DK IS IE PT GR CY MT AL "
    "RS BA HR SI SK HU AT CH LU BE MK ME AU NZ"
)
TOOLS = [
    "",
    "friendly-scanner",
    "sipvicious",
    "pplsip",
    "sippts",
    "sipp",
    "sipcli",
    "nmap",
    "metasploit",
    "eyebeam-fake",
]
AGENTS = [
    *("friendly-scanner", "sipvicious", "PolycomSoundPointIP SPIP_550 UA 3.3.2.0413", "VaxSIPUserAgent/3.1", "FPBX"),
    *("Cisco-SIPGateway/IOS-12.x", "Avaya", "pplsip", "Asterisk PBX 13.38.3", "eyeBeam release 3006o stamp 17551", ""),
    *(f"Custom-UA/{number}.{number % 7}" for number in range(280)),
]
VERDICTS = ["direct", "direct", "direct", "direct", "direct", "relayed", "hidden", "forged"]


def expressions() -> dict[str, str]:
    """Column → SQL over the drawn values; a column that is not here takes its type's default."""
    return {
        "id": "h1",
        "received_at": "received_",
        "ingested_at": "toDateTime64(received_, 3, 'UTC')",
        "sensor": "concat('sensor-', leftPad(toString(sensor_), 2, '0'))",
        "direction": "'in'",
        "transport": "['udp', 'udp', 'udp', 'udp', 'tcp'][1 + session_ % 5]",
        "source": "toIPv6(address_)",
        "source_port": "5060 + session_ % 40",
        "local": "toIPv6(concat('198.51.100.', toString(sensor_)))",
        "local_port": "5060",
        "kind": "'request'",
        "method": "method_",
        "request_uri": "uri_",
        "request_user": "user_",
        "request_host": "concat('198.51.100.', toString(sensor_))",
        "from_user": "user_",
        "to_user": "user_",
        "call_id": "call_id_",
        "cseq": "1",
        "cseq_method": "method_",
        "from_tag": "hex(h2)",
        "branch": "concat('z9hG4bK-', hex(h1))",
        "user_agent": "agent_",
        "via_count": "1 + (verdict_ != 'direct')",
        "max_forwards": "70",
        "size": "length(raw_)",
        "country": "country_",
        "asn": "asn_",
        "as_name": "concat('Network ', toString(asn_))",
        "tool": "tool_",
        "fingerprint": "lower(hex(cityHash64(tool_, method_)))",
        "dialled": "if(method_ = 'INVITE', concat('+', core_), '')",
        "dialled_digits": "if(method_ = 'INVITE', user_, '')",
        "dialled_prefix": "if(method_ = 'INVITE', prefix_, '')",
        "dialled_country": "if(method_ = 'INVITE', 'GB', '')",
        "dialled_core": "if(method_ = 'INVITE', core_, '')",
        "target": "if(method_ = 'REGISTER', user_, '')",
        "decoded": "'[]'",
        "path_verdict": "verdict_",
        "relay": "if(verdict_ IN ('relayed', 'hidden'), toIPv6(address_), toIPv6('::'))",
        "origin": "if(verdict_ = 'relayed', toIPv6(origin_), toIPv6('::'))",
        "origin_port": "if(verdict_ = 'relayed', 5060, 0)",
        "origin_confidence": "if(verdict_ = 'relayed', 60, 0)",
        "path_kind": "if(verdict_ = 'relayed', 'stateless', '')",
        "hops": "'[]'",
        "evidence": "'[]'",
        "opener": "method_ NOT IN ('ACK', 'CANCEL')",
        "goal": "multiIf(method_ = 'OPTIONS', 'host', method_ = 'REGISTER', 'extension', 'toll')",
        "target_key": "toUInt64(if(method_ = 'INVITE', core_, extension_))",
        "shape": "cityHash64(tool_)",
        "stack": "cityHash64(tool_, if(verdict_ = 'hidden', address_, ''))",
        "track": "cityHash64(verdict_, if(verdict_ = 'relayed', origin_, address_), tool_)",
        "rules_version": "1",
        "raw": "raw_",
    }


# Drawn values, innermost first: number and time, session, what a session does, the message itself.
DRAWN = r"""
SELECT *, concat(method_, ' ', uri_, ' SIP/2.0\r\n',
  'Via: SIP/2.0/UDP ', address_, ':5060;branch=z9hG4bK-', hex(h1), ';rport\r\nMax-Forwards: 70\r\n',
  'To: <sip:', user_, '@198.51.100.', toString(sensor_), '>\r\n',
  'From: "', user_, '" <sip:', user_, '@198.51.100.', toString(sensor_), '>;tag=', hex(h2), '\r\n',
  'User-Agent: ', agent_, '\r\nCall-ID: ', call_id_, '\r\nContact: <sip:', user_, '@', address_, ':5060>\r\n',
  'CSeq: 1 ', method_, '\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n') AS raw_
FROM (SELECT *,
  multiIf(goal_ = 0, 'OPTIONS', goal_ = 1, 'REGISTER', ['INVITE', 'INVITE', 'ACK', 'CANCEL'][1 + h2 % 4]) AS method_,
  concat('44203', leftPad(toString(toUInt32(40000 * pow(h2 / exp2(64), 2))), 7, '0')) AS core_,
  ['00', '011', '900', '9011', '+'][1 + h1 % 5] AS prefix_,
  if(method_ = 'REGISTER', toString(100 + h2 % 9000), '100') AS extension_,
  if(method_ IN ('OPTIONS', 'REGISTER'), extension_, concat(prefix_, core_)) AS user_,
  concat('sip:', user_, '@198.51.100.', toString(sensor_)) AS uri_,
  concat(lower(hex(h1)), '@', address_) AS call_id_
FROM (SELECT *,
  toUInt8(1 + cityHash64(session_, 'sensor') % 50) AS sensor_,
  toUInt8(cityHash64(session_, 'goal') % 3) AS goal_,
  toUInt32(floor({sources} * pow(cityHash64(session_) / exp2(64), 2.2))) AS rank_,
  concat(toString(11 + cityHash64(rank_) % 200), '.', toString(cityHash64(rank_, 1) % 256), '.',
         toString(cityHash64(rank_, 2) % 256), '.', toString(1 + cityHash64(rank_, 3) % 254)) AS address_,
  toUInt32(floor({origins} * pow(cityHash64(session_, 8) / exp2(64), 2))) AS origin_number_,
  concat('203.0.', toString(origin_number_ % 200), '.', toString(1 + intDiv(origin_number_, 200))) AS origin_,
  toUInt32(200 + floor(2500 * pow(cityHash64(rank_, 4) / exp2(64), 3))) AS asn_,
  {countries}[1 + toUInt32(floor(length({countries}) * pow(cityHash64(asn_) / exp2(64), 2)))] AS country_,
  {tools}[1 + toUInt32(floor(length({tools}) * pow(cityHash64(session_, 5) / exp2(64), 1.5)))] AS tool_,
  {agents}[1 + toUInt32(floor(length({agents}) * pow(cityHash64(session_, 6) / exp2(64), 3)))] AS agent_,
  {verdicts}[1 + cityHash64(session_, 7) % length({verdicts})] AS verdict_
FROM (SELECT
  cityHash64(number) AS h1, cityHash64(number, 'x') AS h2,
  toDateTime64({start_s}, 9, 'UTC') + toIntervalNanosecond(toInt64(number * {step_ns})) AS received_,
  toUInt32(intDiv(toUnixTimestamp(toDateTime(received_, 'UTC')), 3600) * {sessions}
           + floor({sessions} * pow(h2 / exp2(64), 3))) AS session_
FROM numbers({first}, {rows}))))
"""


def drawn(first: int, rows: int, start_s: int, step_ns: float) -> str:
    """The sub-query of rows `first` to `first + rows`, in order of time."""
    lists = {"countries": COUNTRIES.split(), "tools": TOOLS, "agents": AGENTS, "verdicts": VERDICTS}
    quoted = {name: "[" + ", ".join(f"'{value}'" for value in values) + "]" for name, values in lists.items()}
    numbers = {"first": first, "rows": rows, "start_s": start_s, "step_ns": f"{step_ns:.3f}"}
    return DRAWN.format(sources=SOURCES, origins=ORIGINS, sessions=SESSIONS_AN_HOUR, **quoted, **numbers)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--data", type=Path, required=True)
    options.add_argument("--rows", type=int, default=10_000_000)
    options.add_argument("--days", type=float, default=7)
    options.add_argument("--part", type=int, default=500_000, help="rows of one insert")
    options.add_argument("--findings", action=argparse.BooleanOptionalAction, default=True)
    given = options.parse_args()
    span_s = given.days * 86400
    start_s = int(time.time() - span_s)
    made = expressions()
    columns = [name for name in NAMES if name in made]
    began = time.monotonic()
    with Store(StoreConfig(memory_bytes=6 << 30), given.data) as store:
        for first in range(0, given.rows, given.part):
            rows = min(given.part, given.rows - first)
            store.command(
                f"INSERT INTO messages ({', '.join(columns)}) SELECT {', '.join(made[name] for name in columns)} "
                f"FROM ({drawn(first, rows, start_s, span_s / given.rows * 1e9)})"
            )
            print(
                f"\r{first + rows:,} rows, {(first + rows) / (time.monotonic() - began):,.0f}/s",
                end="",
                file=sys.stderr,
            )
        print(file=sys.stderr)
        if given.findings:
            began, worked = time.monotonic(), time.process_time()
            Analysis(store).update()
            taken, worked = time.monotonic() - began, time.process_time() - worked
            print(f"findings in {taken:.0f} s, {worked:.0f} s of CPU time", file=sys.stderr)
        print(
            store.rows(
                "SELECT table, sum(rows) AS rows, formatReadableSize(sum(bytes_on_disk)) AS size FROM "
                "system.parts WHERE active AND database = 'relaytrap' GROUP BY table ORDER BY table"
            )
        )


if __name__ == "__main__":
    main()
