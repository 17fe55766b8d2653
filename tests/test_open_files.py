"""The limit of open files is raised as far as may be, and told."""

import resource
import subprocess
import sys

import pytest

from relaytrap.open_files import allow_open_files

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


def test_limit_that_may_not_be_raised_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, whose own bound getrlimit does not tell, and in some sandboxes."""

    def refuse(_resource: int, _limits: tuple[int, int]) -> None:
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _resource: (256, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", refuse)
    assert allow_open_files(12_288) == 256
