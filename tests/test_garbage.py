"""Cycles are looked for seldom, and still found."""

import subprocess
import sys

CYCLES = """
import weakref
from relaytrap.garbage import spare_collections

class Node:
    pass

spare_collections()
left = weakref.WeakSet()
for _ in range(400_000):
    node = Node()
    node.itself = node
    left.add(node)
    most = max(most, len(left)) if _ else 1
print(most)
"""


def test_cycles_do_not_pile_up_without_end() -> None:
    most = int(subprocess.run([sys.executable, "-c", CYCLES], capture_output=True, text=True, check=True).stdout)
    assert 1_000 < most < 250_000
