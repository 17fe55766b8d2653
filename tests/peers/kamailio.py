"""Debian's Kamailio, started with a configuration of a test's own."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.groups import end_groups

PREAMBLE = """#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=1
auto_aliases=no
dns=no
rev_dns=no
dns_try_ipv6=no
"""


@contextmanager
def running_kamailio(program: str, folder: Path, configuration: str) -> Iterator[None]:
    """Kamailio in the foreground of a process group of its own, as long as the block runs; small, and silent."""
    file = folder / "kamailio.cfg"
    file.write_text(PREAMBLE + configuration, encoding="utf-8")
    command = [program, "-f", str(file), "-Y", str(folder), "-DD", "-E", "-m", "8", "-M", "4"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        end_groups(process)
