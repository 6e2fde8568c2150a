"""One collection, one server and one browser for all tests of the page."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
from page.collection import fit_runs

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WAIT = 60  # s for the server to come up


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'bouba[dev]'")
    flags = [
        "--no-sandbox",
        "--enable-unsafe-swiftshader",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
    ]
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def collection(browser, tmp_path_factory):
    """The folder of the collection and its runs; not made where there is no browser to look at them."""
    return fit_runs(tmp_path_factory.mktemp("collection"))


@pytest.fixture(scope="session")
def server(collection):
    """Where `bouba serve` answers, with both runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "bouba",
        "serve",
        str(collection / "shapes"),
        str(collection / "kinds"),
        "--port",
        str(port),
    ]
    log = (collection / "server.txt").open("w")
    process = subprocess.Popen(
        command, stdout=log, stderr=log, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    )
    base = f"http://127.0.0.1:{port}"
    try:
        _await(f"{base}/api/v1/health", process, collection / "server.txt")
        yield base
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def _await(address, process, log):
    end = time.monotonic() + WAIT
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(address, timeout=5) as answer:
                json.load(answer)
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"bouba serve did not come up: {log.read_text()}")


@pytest.fixture
def open_page(browser, server):
    """open_page(path, **context) -> a page in a window of its own, in which no script may fail."""
    contexts, faults = [], []

    def opened(path="/", **options):
        options = {"viewport": {"width": 1280, "height": 900}, "locale": "en-US", "reduced_motion": "reduce"} | options
        contexts.append(browser.new_context(base_url=server, **options))
        page = contexts[-1].new_page()
        page.set_default_timeout(8000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None)
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults, faults
