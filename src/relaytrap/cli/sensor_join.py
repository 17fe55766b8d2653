"""`relaytrap sensor join`: on the sensor's machine, whose hub it belongs to; remembered for every later start."""

import http.client
import json
import os
from pathlib import Path
from typing import Any

import click

from relaytrap import clock
from relaytrap.cli.main import Settings
from relaytrap.cli.output import TEXT
from relaytrap.config import JOINED, Config
from relaytrap.errors import DiskError, UplinkError

__all__ = ["join"]

TIMEOUT_S = 20.0


@click.command()
@click.argument("url", type=TEXT, required=False)
@click.option(
    "--pin", type=TEXT, metavar="SHA256", help="Fingerprint of the hub's certificate; empty: one this machine trusts."
)
@click.option("--token", type=TEXT, help="Token that the hub gave for this sensor.")
@click.option("--listen", type=TEXT, multiple=True, metavar="WHERE", help="transport:address:port; repeatable.")
@click.option("--persona", type=TEXT, help="The device to play.")
@click.pass_obj
def join(
    settings: Settings,
    url: str | None,
    pin: str | None,
    token: str | None,
    listen: tuple[str, ...],
    persona: str | None,
) -> None:
    """Belong to a hub: speak to it once, and remember address, certificate and token for every start from now on.

    What is not given stays as it was remembered, so that `join --pin` is all that a replaced certificate needs.
    """
    config: Config = settings.load(
        sensor__hub_url=url,
        sensor__hub_pin=pin,
        sensor__token=token,
        sensor__listen=list(listen) or None,
        sensor__persona=persona,
    )
    name = _ask(config)
    kept = {
        "name": name,
        "hub_url": config.sensor.hub_url,
        "hub_pin": config.sensor.hub_pin,
        "token": config.sensor.token,
        "listen": list(config.sensor.listen),
        "persona": config.sensor.persona,
    }
    path = _remember(config.data_dir, kept)
    click.echo(f"joined {config.sensor.hub_url} as {name}; remembered in {path}")


def _ask(config: Config) -> str:
    """Speak to the hub; the name that it gives this sensor. Raises UplinkError with what is wrong."""
    from relaytrap.sensor.link import Link, parse_hub_url

    hub = parse_hub_url(config.sensor.hub_url, config.sensor.hub_pin)
    link = Link(hub, config.sensor.token, timeout_s=TIMEOUT_S)
    body = json.dumps({"clock": clock.rfc3339(clock.now_ns()), "joining": True}).encode()
    try:
        answered = link.post("/api/heartbeat", body, {"Content-Type": "application/json"})
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or error
        raise UplinkError(f"{hub.url}: no way to the hub ({why}); is that its address and fingerprint?") from None
    finally:
        link.close()
    if answered.status in (401, 403):
        raise UplinkError(f"{hub.url} does not know this token; relaytrap sensor rotate NAME there gives a new one")
    try:
        name = json.loads(answered.body)["sensor"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UplinkError(f"{hub.url} does not answer as a Relaytrap hub does (status {answered.status})") from None
    return str(name)


def _remember(data_dir: Path, kept: dict[str, Any]) -> Path:
    """Write the file that every start reads; for its owner alone, since the token is in it."""
    path = data_dir / JOINED
    part = path.with_suffix(".part")
    # JSON's strings and arrays are TOML's, too.
    text = "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in kept.items() if value)
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(f"# Written by relaytrap sensor join.\n[sensor]\n{text}")
        part.replace(path)
    except OSError as error:
        raise DiskError(f"{path}: cannot be written ({error.strerror}); give permission or free space") from None
    return path
