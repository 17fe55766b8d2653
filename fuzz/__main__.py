"""The command line of the fuzzers; see the package's docstring."""

import argparse
import importlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import Final

from fuzz import corpora
from fuzz.mutation import change

TARGETS: Final = (
    "sip", "values", "capture", "packets", "hep", "client_hello", "segment", "uplink", "settings", "connection",
    "answers", "engine",
)  # fmt: skip
ONE_INPUT_S: Final = 20
MEMORY_MB: Final = 2048


def load(target: str) -> ModuleType:
    """A target's module."""
    return importlib.import_module(f"fuzz.{target}")


def main() -> int:
    """Fuzz one target; 1 when its invariant broke."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz one reader of octets, or the engine.")
    parser.add_argument("target", nargs="?", choices=TARGETS, metavar="TARGET")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="look at these inputs only")
    parser.add_argument("--names", action="store_true", help="print the targets' names, and end")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--atheris", action="store_true", help="guided by coverage; keeps what reached new code")
    options, rest = parser.parse_known_args()
    if options.names:
        print(*TARGETS)
        return 0
    if options.target is None:
        for name in TARGETS:
            print(f"{name:14}{(load(name).__doc__ or '').strip().partition(chr(10) * 2)[0]}\n")
        return 0
    if options.files:
        for path in options.files:
            load(options.target).check(path.read_bytes())
        return 0
    if options.atheris:
        return guided(options.target, options.seconds, options.seed)
    if rest[:1] == ["-in"]:
        return drive(options.target, rest[1:])
    return blind(options.target, options.seconds, options.seed)


def blind(target: str, seconds: float, seed: int) -> int:
    """Random changes for that long."""
    module = load(target)
    chance, inputs = random.Random(seed), [*module.seeds(), *corpora.kept(target)]
    runs, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = change(inputs, module.PIECES, chance)
        try:
            module.check(data)
        except Exception:
            print(f"breaks the invariant: {corpora.note_finding(target, data)}", file=sys.stderr)
            raise
        runs += 1
    print(f"{target}: {runs:,} inputs, seed {seed}: the invariant holds")
    return 0


def guided(target: str, seconds: int, seed: int) -> int:
    """Let Atheris search for that long in a process of its own, then keep the smallest corpus that covers as much."""
    with tempfile.TemporaryDirectory() as folder:
        work, small = Path(folder, "work"), Path(folder, "small")
        work.mkdir()
        small.mkdir()
        corpora.unpack([*load(target).seeds(), *corpora.kept(target)], work)
        corpora.FOUND.mkdir(exist_ok=True)
        limits = [f"-timeout={ONE_INPUT_S}", f"-rss_limit_mb={MEMORY_MB}", "-print_final_stats=1"]
        prefix = f"-artifact_prefix={corpora.FOUND}/{target}-"
        search = [f"-max_total_time={seconds}", f"-seed={seed}", "-verbosity=1", prefix, *limits, str(work)]
        status = _atheris(target, search)
        if status == 0:
            status = _atheris(target, ["-merge=1", "-verbosity=0", *limits, str(small), str(work)])
            print(f"{target}: {corpora.keep(target, small)} inputs kept")
    return 1 if status else 0


def _atheris(target: str, arguments: list[str]) -> int:
    return subprocess.run([sys.executable, "-m", "fuzz", target, "-in", *arguments]).returncode


def drive(target: str, arguments: list[str]) -> int:
    """Be the process in which Atheris searches: it ends the process itself."""
    import atheris  # type: ignore[import-untyped]  # optional, and without types

    with atheris.instrument_imports(include=["relaytrap"]):
        module = load(target)
    ourselves = f"{sys.executable} -m fuzz {target} -in"  # merging starts it again, by way of a shell
    atheris.Setup([ourselves, *arguments], module.check)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
