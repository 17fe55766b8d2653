"""Records the sample scene: real programs in network namespaces, Relaytrap's own sensors as the honeypots.

usage, as root, from a checkout: .venv/bin/python tools/sample_scene/record.py [OUT]

OUT (default: src/relaytrap/sample/scene) gets a compressed pcapng for each honeypot, and truth.json. It takes four
minutes.
"""

import json
import lzma
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kamailio
import phases
import plan
import truth
from network import Network
from phases import Phase, Tool

from relaytrap.capture.segment import read_segment
from relaytrap.clock import now_ns, rfc3339
from relaytrap.observation import Observation

HERE = Path(__file__).resolve().parent
PASSWORDS = ("1234", "12345", "123456", "password", "100", "1000", "admin", "changeme", "letmein", "asterisk", "secret")
SETTLE_S = 2.0
PROGRAMS = {
    "kamailio": ("kamailio", "-v"),
    "svmap": ("svmap", "--version"),
    "sipp": ("sipp", "-v"),
    "sipsak": ("sipsak", "--version"),
    "nmap": ("nmap", "--version"),
}


class Recording:
    """One run, in one scratch folder."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.network = Network(run_dir)
        self.phases = phases.all_phases()
        self.began_ns = 0
        self.windows: list[truth.Window] = []
        (run_dir / "passwords.txt").write_text("\n".join(PASSWORDS) + "\n")

    def build(self) -> None:
        """Namespaces, relays, honeypots; returns when all of them listen."""
        alone = {tool.room: [tool.source] for phase in self.phases for tool in phase.tools if tool.source}
        relays = [relay.address for relay in (*plan.relays(), *plan.exits())]
        own = [plan.SWEEPER, plan.CALLER, plan.FORGER, plan.RELAY_HUNTER, plan.OLD_DIALLER, plan.CUSTOMER]
        world = [scanner.address for scanner in plan.scanners() if [scanner.address] not in alone.values()]
        rooms = {sensor.room: list(sensor.addresses) for sensor in plan.SENSORS}
        rooms |= {"relays": relays, "carrier": [plan.CARRIER], "world": own + world, **alone}
        self.network.up(rooms)
        self.start_relays()
        for sensor in plan.SENSORS:
            self.start_sensor(sensor)
        self.network.wait_listening("relays", len(relays))
        self.network.wait_listening("carrier", 1)
        for sensor in plan.SENSORS:
            self.network.wait_listening(sensor.room, len(sensor.addresses))

    def start_relays(self) -> None:
        everyone = (*plan.relays(), *plan.exits())
        for name, command in kamailio.commands(everyone, self.run_dir):
            self.network.start("relays", command, name)
        carrier = plan.Relay(plan.CARRIER, "carrier", "Example Carrier")
        (self.run_dir / "carrier").mkdir(exist_ok=True)
        for name, command in kamailio.commands([carrier], self.run_dir / "carrier", plan.CUSTOMER):
            self.network.start("carrier", command, "carrier-" + name)
        others = [relay for relay in everyone if relay.kind not in kamailio.KINDS]
        listed = [{"address": r.address, "kind": r.kind, "brand": r.brand, "names": r.names} for r in others]
        (self.run_dir / "b2bua.json").write_text(json.dumps(listed))
        self.network.start("relays", [sys.executable, str(HERE / "b2bua.py"), "b2bua.json"], "b2bua")

    def start_sensor(self, sensor: plan.Sensor) -> None:
        """A real sensor without a hub: it keeps what it records in one long segment."""
        listen = [f"{transport}:{_bracketed(a)}:5060" for a in sensor.addresses for transport in ("udp", "tcp")]
        settings = {
            "name": sensor.name,
            "listen": listen,
            "persona": sensor.persona,
            "seed": f"sample scene {sensor.name}",
            "flush_interval_s": 0.2,
            "segment_max_bytes": 1 << 30,
            "segment_max_age_s": 86_400.0,
        }
        lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        config = self.run_dir / f"{sensor.name}.toml"
        config.write_text("\n".join(["[sensor]", *lines, ""]))
        program = os.environ.get("RTS_SENSOR") or str(Path(sys.executable).with_name("relaytrap"))
        command = [program, "--config", str(config), "--data", str(self.run_dir / sensor.name), "sensor"]
        self.network.start(sensor.room, command, sensor.name)

    def record(self) -> None:
        """Play every phase, one after the other, and note when each began and ended."""
        self.began_ns = now_ns()
        for phase in self.phases:
            began = now_ns()
            self.play(phase)
            time.sleep(SETTLE_S)
            self.windows.append(truth.Window(phase, began, now_ns()))
            print(f"{phase.name}: {(self.windows[-1].ended_ns - began) / 1e9:.1f} s", flush=True)

    def play(self, phase: Phase) -> None:
        if phase.jobs:
            jobs = self.run_dir / f"jobs-{phase.name}.json"
            jobs.write_text(json.dumps(phase.jobs))
            command = [sys.executable, str(HERE / "sender.py"), str(jobs)]
            if self.network.run("world", command, f"sender-{phase.name}", timeout=300):
                raise RuntimeError(f"the sender of {phase.name} failed; see sender-{phase.name}.log in {self.run_dir}")
        with ThreadPoolExecutor(6) as pool:
            for _ in pool.map(self.run_tool, phase.tools):
                pass

    def run_tool(self, tool: Tool) -> None:
        self.network.run(tool.room, tool.command, f"tool-{tool.command[0]}", tool.timeout)

    def finish(self) -> None:
        """End the sensors first, so that their last segment is whole, then the rest."""
        time.sleep(1)
        self.network.down()

    def observations(self, sensor: plan.Sensor) -> Iterator[Observation]:
        with self.segment(sensor).open("rb") as stream:
            yield from read_segment(stream, name=sensor.name)

    def segment(self, sensor: plan.Sensor) -> Path:
        """The one segment that a sensor wrote."""
        found = sorted((self.run_dir / sensor.name / "spool").rglob("*.pcapng*"))
        if len(found) != 1:
            raise RuntimeError(f"{sensor.name} wrote {len(found)} segments, not one: {self.run_dir / sensor.name}")
        return found[0]

    def write(self, out: Path) -> None:
        """The captures, byte for byte as the sensors wrote them, and the truth."""
        out.mkdir(parents=True, exist_ok=True)
        judge = truth.Judge(self.windows)
        captures = {}
        for sensor in plan.SENSORS:
            labels = judge.label(self.observations(sensor))
            if labels.unknown:
                raise RuntimeError(f"{sensor.name}: messages from outside the cast: {dict(labels.unknown)}")
            captures[f"{sensor.name}.pcapng"] = {
                "sensor": sensor.name,
                "addresses": sensor.addresses,
                "persona": sensor.persona,
                "messages": sum(1 for _ in self.observations(sensor)),
                "requests": labels.rows,
            }
            packed = lzma.compress(self.segment(sensor).read_bytes(), preset=9 | lzma.PRESET_EXTREME)
            (out / f"{sensor.name}.pcapng.xz").write_bytes(packed)
        document = {
            "format": 1,
            "made_by": "tools/sample_scene/record.py",
            "note": "Documentation addresses in network namespaces; nothing was sent anywhere else.",
            "recorded_at": rfc3339(self.began_ns),
            "programs": {name: _version(command) for name, command in PROGRAMS.items()},
            "began_ns": self.began_ns,
            "campaigns": truth.CAMPAIGNS,
            "actors": truth.actors(),
            "timeline": truth.timeline(self.windows, self.began_ns),
            "paths": [list(path) for path in judge.paths],
            "captures": captures,
        }
        (out / "truth.json").write_text(_lines(document))


def _lines(document: dict[str, object]) -> str:
    """JSON with one line for each entry of the second level: readable in review, small on disk."""
    parts = []
    for key, value in document.items():
        if isinstance(value, dict):
            inner = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in value.items())
            parts.append(f" {json.dumps(key)}: {{\n{inner}\n }}")
        elif isinstance(value, list):
            inner = ",\n".join(f"  {json.dumps(each, separators=(',', ':'))}" for each in value)
            parts.append(f" {json.dumps(key)}: [\n{inner}\n ]")
        else:
            parts.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _version(command: tuple[str, ...]) -> str:
    """The first line with a digit that a program says of itself."""
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    lines = (said.stdout + said.stderr).splitlines()
    return next((line.strip() for line in lines if any(c.isdigit() for c in line)), "unknown")


def main() -> None:
    if os.geteuid():
        sys.exit("record.py makes network namespaces and needs root")
    missing = [program for program in ("ip", "svwar", "svcrack", *PROGRAMS) if not shutil.which(program)]
    if missing:
        sys.exit(f"record.py needs {', '.join(missing)}; .ci/run shows the Debian packages")
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "src/relaytrap/sample/scene")
    # Stopped half-way, it still removes its namespaces.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    run_dir = Path(tempfile.mkdtemp(prefix="rts-"))
    print(f"logs and configurations: {run_dir}")
    recording = Recording(run_dir)
    try:
        recording.build()
        recording.record()
    finally:
        recording.finish()
    recording.write(out)
    shutil.rmtree(run_dir)


if __name__ == "__main__":
    main()
