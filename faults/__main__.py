"""The command line of the fault suite: `python -m faults [FAULT…]`. Ends with 1 when the law was broken."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Final

from faults import clocks, crash, disk, flood, stream, wire
from faults.account import Account
from faults.sockets import allow_many_files
from faults.trial import Scale, Skipped

Fault = Callable[[Scale, Path], Account]

FAULTS: Final[dict[str, Fault]] = {
    "kill-sensor": crash.kill_sensor,
    "kill-sensor-at-once": crash.kill_sensor_writing_at_once,
    "kill-worker": crash.kill_worker,
    "kill-hub": crash.kill_hub,
    "kill-both": crash.kill_both,
    "kill-nats": stream.kill_nats,
    "upgrade-hub": crash.upgrade_hub,
    "half-written-segment": crash.half_written_segment,
    "full-disk-sensor": disk.full_disk_sensor,
    "full-disk-hub": disk.full_disk_hub,
    "slow-disk": disk.slow_disk,
    "stalled-hub": disk.stalled_hub,
    "wire-cut": wire.wire_cut,
    "wire-loss": wire.wire_loss,
    "wire-disorder": wire.wire_disorder,
    "delivered-oddly": wire.delivered_oddly,
    "clock-sensor": clocks.clock_sensor,
    "clock-hub": clocks.clock_hub,
    "silent-connections": flood.silent_connections,
    "slow-loris": flood.slow_loris,
    "tls-flood": flood.tls_flood,
    "large-datagrams": flood.large_datagrams,
    "half-requests": flood.half_requests,
    "spoofed-sources": flood.spoofed_sources,
}
INSIDE: Final = "FAULTS_INSIDE"
ROOT: Final = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run what was asked for; 0: the law held, 1: it did not, 2: no namespaces here."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=(__doc__ or "").partition(":")[0])
    parser.add_argument("faults", nargs="*", choices=[[], *FAULTS], metavar="FAULT", help="which; default: all")
    parser.add_argument("--list", action="store_true", help="print the faults and what each does, and end")
    parser.add_argument(
        "--brief", action="store_true", help="small: 3 rounds, 500 messages/s, a fiftieth of each flood"
    )
    parser.add_argument("--rounds", type=int, help="rounds of what a fault repeats; default 50")
    parser.add_argument("--rate", type=float, help="messages a second; default 2000")
    parser.add_argument("--seed", type=int, default=1, help="of everything left to chance; default 1")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write one JSON object a line there")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep data and logs of the programs there")
    options = parser.parse_args()
    if options.list:
        for name, fault in FAULTS.items():
            print(f"{name:24}{(fault.__doc__ or '').strip()}")
        return 0
    if INSIDE not in os.environ:
        return _go_inside()
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    allow_many_files()
    rounds, rate, size = (3, 500.0, 0.02) if options.brief else (50, 2000.0, 1.0)
    scale = Scale(options.rounds or rounds, options.rate or rate, size, options.seed)
    broken = [name for name in options.faults or FAULTS if not _holds(name, scale, options)]
    return 1 if broken else 0


def _holds(name: str, scale: Scale, options: argparse.Namespace) -> bool:
    """Run one fault, print its account; whether the law held."""
    folder = Path(tempfile.mkdtemp(prefix=f"relaytrap-{name}-", dir=options.keep))
    try:
        account = FAULTS[name](scale, folder)
    except Skipped as reason:
        print(f"{name:24}skipped: {reason}", flush=True)
        return True
    finally:
        if not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
    said = json.dumps(asdict(account))
    print(account.line(), said, sep="\n", flush=True)
    if options.json:
        with options.json.open("a") as file:
            file.write(said + "\n")
    return not account.breaches


def _go_inside() -> int:
    """Run this again in namespaces of its own: for root directly, for others through a user namespace."""
    unshare = shutil.which("unshare")
    if unshare is None or shutil.which("ip") is None:
        print("faults: needs unshare (util-linux) and ip (iproute2)", file=sys.stderr)
        return 2
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = [unshare, *as_root, "--mount", "--net", sys.executable, "-m", "faults", *sys.argv[1:]]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    here = os.environ | {INSIDE: "1", "PYTHONPATH": path}
    return subprocess.run(command, env=here).returncode


if __name__ == "__main__":
    sys.exit(main())
