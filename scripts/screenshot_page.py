"""docs/images/page.png: the page of `bouba serve` on a run, as Debian's chromium shows it.

python scripts/screenshot_page.py runs/demo "a red fruit"
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

HOME = Path(__file__).parent.parent
WIDTH, HEIGHT = 1280, 800
COLOURS = 200  # of the PNG, which is a third of the size then
STARTS_IN = 120  # seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("run", type=Path, nargs="?", default=HOME / "runs" / "demo")
    options.add_argument("words", nargs="?", default="a red fruit")
    options.add_argument("--out", type=Path, default=HOME / "docs" / "images" / "page.png")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "server.txt"
        command = [sys.executable, "-m", "bouba", "serve", str(given.run), "--port", "0"]
        with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file) as server:
            try:
                picture(address(log, server) + "?" + urlencode({"q": given.words}), given.out)
            finally:
                server.send_signal(signal.SIGINT)


def address(log: Path, server: subprocess.Popen[bytes]) -> str:
    """Where the server answers, once it does."""
    end = time.monotonic() + STARTS_IN
    while time.monotonic() < end and server.poll() is None:
        if "http://" in (text := log.read_text()):
            return "http://" + text.partition("http://")[2].split()[0]
        time.sleep(0.1)
    raise SystemExit(f"the server did not start: {log.read_text()}")


def picture(url: str, out: Path) -> None:
    """A page, once its pictures are there."""
    from PIL import Image
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-US", color_scheme="light")
        page.goto(url)
        page.wait_for_selector("#results .card")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=out)
        browser.close()
    with Image.open(out) as shown:
        small = shown.convert("RGB").quantize(COLOURS)
    small.save(out, optimize=True)


if __name__ == "__main__":
    main()
