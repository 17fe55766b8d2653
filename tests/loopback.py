"""Loopback addresses of a test worker's own, so that two workers may run servers on SIP's own port at the same time."""

import os

WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def loopback(net: int, host: int) -> str:
    """An address of 127.0.0.0/8 that no other worker of this run is given."""
    return f"127.{10 + WORKER}.{net}.{host}"
