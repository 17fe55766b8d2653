"""Commands run in this process against a data directory with a few known messages, some of them hostile."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from relaytrap.cli.main import main
from tests.hub.traffic import request, write_pcap
from tests.once import hand_on, keep_made

MARKUP = b"<script>alert(1)</script>"
ESCAPES = b"\x1b[31mred\x1b]0;title\x07"
FORMULA = b'=HYPERLINK("http://example.invalid")'
DIRECTION = "invoice\u202egpj.exe".encode()
NUL = b"before\0after"
LONG = b"L" * 65_000
PAYLOADS = (MARKUP, ESCAPES, FORMULA, DIRECTION, NUL, LONG, b"\xff\xfe not text")


SETTINGS = """
[network]
home_region = "AU"
names = [{ network = "192.0.2.0/24", country = "FR", asn = 64500, name = "Exemple" }]
"""


@dataclass
class Shown:
    """What a command printed, and how it ended."""

    status: int
    out: str
    err: str


Run = Callable[..., Shown]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def ran(*arguments: object) -> Shown:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(each) for each in arguments])
        shown = capsys.readouterr()
        return Shown(int(stop.value.code or 0), shown.out, shown.err)

    return ran


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory: three scans, two calls, and a message for each payload (as User-Agent and as user)."""
    folder = tmp_path_factory.mktemp("cli")
    plain = [request(n, method=b"REGISTER", user=b"%d" % (100 + n)) for n in range(3)]
    calls = [request(n, method=b"INVITE", user=b"0011442030000000", agent=b"caller") for n in (10, 11)]
    hostile = [request(20 + n, agent=payload, user=b"hostile") for n, payload in enumerate(PAYLOADS)]
    (folder / "relaytrap.toml").write_text(SETTINGS)
    capture = write_pcap(folder / "scan.pcap", [*plain, *calls, *hostile])
    hand_on(folder / "data")
    with pytest.raises(SystemExit) as stop:
        main(["--config", str(folder / "relaytrap.toml"), "--data", str(folder / "data"), "import", str(capture)])
    assert not stop.value.code
    keep_made(folder / "data")
    return folder / "data"
