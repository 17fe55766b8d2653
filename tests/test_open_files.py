"""The limit of open files is raised as far as may be, and told."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
from relaytrap.open_files import allow_open_files
soft, hard, wanted = map(int, sys.argv[1:])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
print(allow_open_files(wanted), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "allowed", "limit"),
    [(100, 300, 200, 200, 200), (100, 300, 400, 300, 300), (250, 300, 200, 200, 250)],
)
def test_limit_is_raised_as_far_as_the_hard_one_goes(
    soft: int, hard: int, wanted: int, allowed: int, limit: int
) -> None:
    command = [sys.executable, "-c", SCRIPT, str(soft), str(hard), str(wanted)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(allowed), str(limit)]
