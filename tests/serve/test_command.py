"""`bouba serve` as a person starts and ends it."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from page.collection import ROWS, picture_of
from test_commands import bouba

pytestmark = pytest.mark.xdist_group("serve")
TOKEN = "a-token-of-letters"


@pytest.fixture
def started():
    """started(*arguments) -> the process and the address that it printed."""
    processes = []

    def start(*given):
        command = [sys.executable, "-m", "bouba", "serve", *map(str, given)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
        processes.append(process)
        line = process.stderr.readline()
        found = re.match(r"(http://\S+)  \(Ctrl-C ends it\)$", line)
        assert found, line + process.stderr.read()
        return process, found[1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_it_answers_and_ends_by_ctrl_c(started, runs):
    """Read-only: it leaves the folders as they were, though a map is made, and both runs have the same name."""
    before = files(runs)
    twin = runs / "kinds" / ".." / "shapes"
    process, address = started(runs / "shapes", twin, "--port", 0, "--read-only")
    host, port = re.match(r"http://(127.0.0.1):(\d+)/$", address).groups()
    assert httpx.get(address + "api/v1/health").json()["runs"] == {
        name: {"rows": ROWS, "version": 1} for name in ("shapes", "shapes-2")
    }
    assert httpx.get(address + "api/v1/search?q=a red circle").json()["hits"]
    until = time.monotonic() + 60
    while httpx.get(address + "api/v1/map").json()["state"] != "ready":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert httpx.get(address + "api/v1/run").json()["read_only"]
    assert files(runs) == before
    kept = httpx.Client()  # as a browser keeps its connection
    kept.get(address + "api/v1/health")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    kept.close()
    assert (process.returncode, out, err) == (0, "", "The server ended.\n")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


def test_another_address_wants_a_token(started, runs):
    process, address = started(runs / "shapes", "--port", 0, "--host", "0.0.0.0")
    base, token = re.match(r"(http://0.0.0.0:\d+/)\?token=([\w-]{32})$", address).groups()
    base = base.replace("0.0.0.0", "127.0.0.1")
    assert httpx.get(base + "api/v1/runs").status_code == 401
    assert httpx.get(base + "api/v1/runs", headers={"authorization": f"Bearer {token}"}).status_code == 200
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "The server ended.\n")


def test_a_token_of_a_file_is_not_printed(started, runs, tmp_path):
    (tmp_path / "token").write_text(TOKEN + "\n")
    _, address = started(runs / "shapes", "--port", 0, "--token-file", tmp_path / "token")
    assert re.match(r"http://127.0.0.1:\d+/$", address)
    assert httpx.get(address + "api/v1/runs").status_code == 401
    assert httpx.get(address + "api/v1/runs", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize("text", ["short", "with a space in between", "", "müßiggang-ist-kein-token"])
def test_what_is_no_token_is_refused(text, runs, tmp_path, capsys):
    (tmp_path / "token").write_text(text)
    assert bouba("serve", runs / "shapes", "--token-file", tmp_path / "token") == 2
    assert capsys.readouterr().err == (
        f"bouba: --token-file {tmp_path / 'token'} holds no token: 16 letters or digits, or more, and nothing else\n"
    )
    assert bouba("serve", runs / "shapes", "--token-file", tmp_path / "nowhere") == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_port_that_is_taken_and_a_run_that_is_none(runs, tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert bouba("serve", runs / "shapes", "--port", port) == 2
    assert capsys.readouterr().err == (
        f"bouba: 127.0.0.1 port {port} cannot be had: Address already in use; choose another --port\n"
    )
    assert bouba("serve", runs / "shapes", "--port", 0, "--host", "nowhere.invalid") == 2
    assert capsys.readouterr().err.endswith("choose another --host\n")
    assert bouba("serve", tmp_path, "--port", 0) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert str(tmp_path) in err


def test_law_asyncio_sends_small_answers_at_once():
    """A socket that does not say that it is TCP would wait 40 ms for an acknowledgement in each answer."""
    import asyncio
    import socket
    from concurrent.futures import ThreadPoolExecutor

    from bouba.serve.sockets import bound

    async def no_delay():
        seen = asyncio.get_running_loop().create_future()

        def connected(reader, writer):
            taken = writer.get_extra_info("socket")
            seen.set_result(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        held = bound("127.0.0.1", 0)
        async with await asyncio.start_server(connected, sock=held):
            _, writer = await asyncio.open_connection(*held.getsockname())
            answer = await asyncio.wait_for(seen, 10)
            writer.close()
        return answer

    with ThreadPoolExecutor(1) as elsewhere:  # tests of the page may hold a loop in this thread
        assert elsewhere.submit(lambda: asyncio.run(no_delay())).result() != 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_requests_that_the_documents_show_are_answered(started, runs, tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")
    block = next(code for code in re.findall(r"```bash\n(.*?)```", page, re.DOTALL) if "curl" in code)
    first, *lines = block.splitlines()
    assert first == "at=http://127.0.0.1:8000/api/v1"
    shutil.copytree(runs / "kinds", tmp_path / "kind")
    _, address = started(runs / "shapes", tmp_path / "kind", "--port", 0, "--read-only")
    picture_of(3).save(tmp_path / "photo.jpg", "JPEG")
    assert len(lines) > 10
    for line in lines:
        command = line.replace("curl ", "curl -sS --fail-with-body -w '%{http_code}' ", 1)
        run = subprocess.run(
            ["sh", "-c", f"at={address}api/v1; {command}"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert (run.returncode, run.stdout[-3:]) == (0, "200"), f"{line}: {run.stdout} {run.stderr}"
    assert (tmp_path / "small.webp").read_bytes()[8:12] == b"WEBP"
