"""Takes the pictures of the documentation again: Chromium over a hub with the sample scene.

    .venv/bin/python tools/docs_pictures.py [--dark] [FOLDER]

FOLDER: docs/images when not given. --dark: as a reader with a dark screen sees them, named NAME-dark.png; the
documentation shows the light ones. Sizes are always the same; times are those of the day, as the sample ends now.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from playwright.sync_api import Page, sync_playwright

IMAGES: Final = Path(__file__).resolve().parent.parent / "docs" / "images"
WIDTH: Final = 1360
# Name → height, and the page's address; {sweep}: the campaign with the most requests.
PICTURES: Final = {"overview": (860, "/"), "sweep": (780, "/campaigns/{sweep}")}
PATIENCE_S: Final = 120.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=IMAGES)
    parser.add_argument("--dark", action="store_true")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("docs_pictures: there is no Chromium here; apt-get install chromium")
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, hub(Path(data)) as url, sync_playwright() as playwright:
        sweep = biggest_campaign(url)
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        scheme = "dark" if given.dark else "light"
        for name, (height, address) in PICTURES.items():
            page = browser.new_page(viewport={"width": WIDTH, "height": height}, color_scheme=scheme)
            page.goto(url + address.format(sweep=sweep))
            settle(page)
            path = given.folder / f"{name}{'-dark' if given.dark else ''}.png"
            page.screenshot(path=path, animations="disabled")
            print(f"{path}: {WIDTH} x {height}")
        browser.close()


@contextmanager
def hub(data: Path) -> Iterator[str]:
    """The address of a hub over this folder that has the sample, and found what there is in it."""
    command = [sys.executable, "-m", "relaytrap.cli.main", "--data", str(data)]
    subprocess.run([*command, "sample", "load"], check=True)
    process = subprocess.Popen([*command, "hub", "--listen", "127.0.0.1:0"])
    try:
        note = data / "hub.json"
        end = time.monotonic() + PATIENCE_S
        while not note.exists():
            if process.poll() is not None or time.monotonic() > end:
                sys.exit("docs_pictures: the hub does not answer")
            time.sleep(0.1)
        yield str(json.loads(note.read_text())["url"])
    finally:
        process.terminate()
        process.wait(30)


def biggest_campaign(url: str) -> str:
    with urlopen(f"{url}/api/campaigns?limit=1") as answer:
        return str(json.load(answer)["rows"][0]["id"])


def settle(page: Page) -> None:
    """Wait until nothing is loaded or drawn any more."""
    if page.query_selector("#map"):
        page.wait_for_selector("#map[data-drawn]")
    page.evaluate("document.fonts.ready")


if __name__ == "__main__":
    main()
