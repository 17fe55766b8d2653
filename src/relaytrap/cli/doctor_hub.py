"""What the doctor looks at between hub, store and sensors: who answers, who has fallen silent, what was noted."""

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from relaytrap.cli.finding import Finding
from relaytrap.cli.output import for_terminal, moment
from relaytrap.clock import now_ns, parse_rfc3339, rfc3339
from relaytrap.config import HUB_NOTE, Config

__all__ = ["check_hub", "check_sensors", "check_shipping", "check_store"]

ANSWER_S: Final = 5.0
NOW_NS: Final = 3_600_000_000_000
RECENT_NS: Final = 7 * 24 * NOW_NS
SILENT_NS: Final = NOW_NS // 6
"""A sensor speaks every few seconds, also when nothing comes in."""


def check_hub(config: Config) -> Iterator[Finding]:
    """A hub that runs here and answers, or one that died and left its note behind."""
    note = config.data_dir / HUB_NOTE
    try:
        hub = json.loads(note.read_text(encoding="utf-8"))
        pid, url, token = int(hub["pid"]), str(hub["url"]), str(hub.get("token", ""))
    except FileNotFoundError:
        if owner := _owner(config.data_dir):
            text = f"process {owner} has this data and answers nobody: a hub that starts, or a command that reads it"
            yield Finding("hub", "note", text)
        else:
            yield Finding("hub", "note", "no hub runs on this data; relaytrap up starts one")
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Finding("hub", "wrong", f"{note} cannot be read ({error}); stop the hub and delete that file")
        return
    if not Path(f"/proc/{pid}").exists():
        yield Finding("hub", "note", f"{note} names process {pid}, which is gone; the next start replaces it")
    elif why := _silence(url, token):
        yield Finding(
            "hub", "wrong", f"process {pid} does not answer at {url} ({why}); its log says why, or restart it"
        )
    else:
        yield Finding("hub", "good", f"runs as process {pid} at {url}, and answers")


def _owner(data_dir: Path) -> int | None:
    """The process that has a data directory; None when nobody has it."""
    from relaytrap.store.lock import owner_of

    return owner_of(data_dir)


def _silence(url: str, token: str) -> str:
    """Why a hub does not answer; "" when it does."""
    parts = urlsplit(url)
    way = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_S)
    try:
        way.request("GET", "/api/hep", headers={"Authorization": f"Bearer {token}"})
        status = way.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return _why(error)
    finally:
        way.close()
    return f"status {status}" if status >= 500 else ""


def check_shipping(config: Config) -> Iterator[Finding]:
    """The hub that this machine's sensor ships to: reached, recognised, and it knows our token."""
    if not config.sensor.hub_url:
        return
    from relaytrap.sensor.link import Link, parse_hub_url

    hub = parse_hub_url(config.sensor.hub_url, config.sensor.hub_pin)
    link = Link(hub, config.sensor.token, timeout_s=ANSWER_S)
    try:
        # The token is looked at before the body, and a heartbeat that says nothing is noted nowhere.
        status = link.post("/api/heartbeat", b"", {}).status
    except (OSError, http.client.HTTPException) as error:
        text = f"{hub.url} cannot be reached ({_why(error)}); what is recorded waits in the spool"
        yield Finding("shipping", "wrong", text)
        return
    finally:
        link.close()
    if status in (401, 403):
        text = f"{hub.url} does not know this sensor's token; relaytrap sensor rotate NAME there gives a new one"
        yield Finding("shipping", "wrong", text)
    elif status in (400, 429, 503):
        yield Finding("shipping", "good", f"{hub.url} answers, and knows this sensor's token")
    else:
        text = f"{hub.url} does not answer as a Relaytrap hub does (status {status}); is that its address?"
        yield Finding("shipping", "wrong", text)


def check_store(config: Config) -> Iterator[Finding]:
    """A store on a server: an address of one, and somebody there who takes connections."""
    from relaytrap.store.engine import server_of

    server = server_of(config.store)
    if server is None:
        return
    where = f"store.url: {server[0]}:{server[1]}"
    try:
        socket.create_connection(server, ANSWER_S).close()
    except OSError as error:
        yield Finding(
            "store", "wrong", f"{where} cannot be reached ({_why(error)}); start the server, or mend store.url"
        )
    else:
        yield Finding("store", "good", f"{where} takes connections")


def _why(error: Exception) -> str:
    return for_terminal(getattr(error, "strerror", None) or str(error) or type(error).__name__, 300)


def check_sensors(config: Config) -> Iterator[Finding]:
    """What the hub of this data noted about its sensors (losses, clocks, doubles, what was set back), and who of them
    has fallen silent."""
    if not (config.data_dir / "hub.sqlite3").exists():
        return
    from relaytrap.hub.ledger import read_incidents

    silent = list(_silent(config))
    yield from silent
    now = now_ns()
    noted = [(each, now - parse_rfc3339(each["at"])) for each in read_incidents(config.data_dir)]
    for each, age_ns in noted:
        if age_ns < RECENT_NS:
            when = "" if age_ns < NOW_NS else f" (last on {each['at'][:16].replace('T', ' at ')})"
            yield Finding("sensors", "wrong" if age_ns < NOW_NS else "note", for_terminal(each["text"], 600) + when)
    if not silent and all(age_ns >= RECENT_NS for _, age_ns in noted):
        yield Finding("sensors", "good", "nothing was noted about any")


def _silent(config: Config) -> Iterator[Finding]:
    """Sensors that a hub which runs should hear of, and does not."""
    from relaytrap.cli.session import running_hub
    from relaytrap.hub.keys import read_sensors

    if running_hub(config.data_dir) is None:
        return
    now = now_ns()
    for sensor in read_sensors(config.data_dir):
        name, gone = for_terminal(sensor.name), f"relaytrap sensor revoke {for_terminal(sensor.name)} if it is no more"
        if sensor.revoked_at_ns:
            continue
        if sensor.last_seen_ns is None:
            if now - sensor.created_at_ns > SILENT_NS:
                text = f"{name} was never heard of: run the line that relaytrap sensor add printed there; {gone}"
                yield Finding("sensors", "note", text)
        elif now - sensor.last_seen_ns > SILENT_NS:
            since = moment(rfc3339(sensor.last_seen_ns), 16)
            text = f"{name} has been silent since {since} UTC: run relaytrap doctor on its machine; {gone}"
            yield Finding("sensors", "wrong", text)
