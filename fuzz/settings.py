"""What operators write. A configuration file and a persona file of any octets are read, or refused with one sentence
(a ConfigError); nothing else is raised.
"""

import tempfile
from importlib.resources import files
from pathlib import Path

from relaytrap.config import load_config
from relaytrap.errors import ConfigError
from relaytrap.sensor.listen import parse_listen
from relaytrap.sensor.persona import parse_persona
from relaytrap.sensor.personas import persona_names

PIECES = (
    b"[sensor]\n",
    b"[hub]\n",
    b"listen = ",
    b'["udp:[::1]:5060"]',
    b"= 1e400\n",
    b"= []\n",
    b'"""',
    b"[[",
    b"\xff",
)
FOLDER = tempfile.TemporaryDirectory()
FILE = Path(FOLDER.name, "settings.toml")
EXAMPLE = b"""data_dir = "/d"
[sensor]
name = "s"
listen = ["udp:127.0.0.1:5060", "tls:[::1]:auto"]
flush_interval_s = 0.5
[[network.names]]
network = "192.0.2.0/24"
asn = 64500
"""


def seeds() -> list[bytes]:
    """A configuration, and every bundled persona; the first octet tells which it is."""
    folder = files("relaytrap.sensor.personas")
    return [b"c" + EXAMPLE, *(b"p" + folder.joinpath(f"{name}.toml").read_bytes() for name in persona_names())]


def check(data: bytes) -> None:
    """Hold one input against the invariant."""
    try:
        if data[:1] == b"p":
            parse_persona(data[1:].decode(errors="replace"), name="fuzz", seed="x")
        else:
            FILE.write_bytes(data[1:])
            config, _ = load_config(FILE, environ={})
            parse_listen(config.sensor.listen)
    except ConfigError as error:
        assert "\n" not in str(error)
