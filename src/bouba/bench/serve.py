"""bouba bench serve: what a run answers over HTTP to several clients at once: errors, waiting, memory.

A server is started on the run, as `bouba serve` does; clients in a process of their own keep one connection each and
put one request after the other: words, rows like a row, counts of filters, rows, thumbnails, by SHARES. Each question of
words is asked once or a few times, as people do: some are answered from memory, and the share of these is told. Clients
and server share the cores.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from bouba.bench.kept import Keeper, Out, print_tables
from bouba.evaluation.table import Table

SHARES = {"words": 0.6, "like": 0.1, "facets": 0.05, "rows": 0.05, "thumbnails": 0.2}
API = "/api/v1"
STARTS_IN = 120  # seconds
EARLY = 0.2  # share of the requests after which memory is looked at first


def command(
    run: Annotated[Path, typer.Argument(help="A run folder that searches by words.")] = Path("runs/demo"),
    requests: Annotated[int, typer.Option(help="In all.", min=100)] = 10_000,
    clients: Annotated[int, typer.Option(help="At once.", min=1)] = 8,
    out: Out = None,
) -> None:
    """Requests of several clients at once: how long they wait, what fails, what the server costs."""
    keeper = Keeper(out)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(run, requests, clients, Path(folder) / "server.txt")
    keeper.write(figures)
    print_tables(tables(figures))


def tables(figures: Mapping[str, Any]) -> dict[str, Table]:
    """ "requests": each kind, and all of them."""
    lines = []
    for kind, of in figures["kinds"].items():
        numbers = [f"{of[name]:.1f}" for name in ("p50_ms", "p95_ms", "p99_ms")]
        lines.append([kind, f"{of['requests']:,}", str(of["errors"]), *numbers])
    note = (
        f"{figures['clients']} clients at once, {figures['cores']} cores shared with them; {figures['rate']:.0f} requests a "
        f"second, {figures['cpu_ms']:.1f} CPU-ms of the server each; {figures['remembered']:.0%} of the searches answered from "
        f"memory. Private memory of the server: {figures['memory_mb'][0]:.0f} MB after {EARLY:.0%} of them, "
        f"{figures['memory_mb'][1]:.0f} MB at the end."
    )
    header = ["requests", "number", "errors", "p50 ms", "p95 ms", "p99 ms"]
    return {"requests": Table(header, lines, note=note)}


def measure(run: Path, requests: int, clients: int, log: Path) -> dict[str, Any]:
    """What tables show, of a server that is started for it."""
    words = [sys.executable, "-m", "bouba", "serve", str(run), "--port", "0"]
    with log.open("w") as file, subprocess.Popen(words, stderr=file, stdout=file) as server:
        try:
            port = _port(log, server)
            paths = _paths(port, requests)
            spent, memory = _cpu_seconds(server.pid), []
            started = time.perf_counter()
            first = int(EARLY * requests)
            times = _asked(port, paths[:first], clients)
            memory.append(_private_mb(server.pid))
            times += _asked(port, paths[first:], clients)
            seconds = time.perf_counter() - started
            memory.append(_private_mb(server.pid))
            spent = _cpu_seconds(server.pid) - spent
            remembered = _remembered(port)
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(20)
    kinds = {kind: _summary([t for t in times if t[0] == kind]) for kind in SHARES}
    searches = sum(kinds[kind]["requests"] for kind in ("words", "like"))
    return {
        "clients": clients,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "rate": len(times) / seconds,
        "cpu_ms": 1000 * spent / len(times),
        "remembered": remembered / max(searches, 1),
        "memory_mb": memory,
        "kinds": {**kinds, "all": _summary(times)},
    }


def ask(port: int, paths: Sequence[tuple[str, str]], clients: int) -> list[tuple[str, int, float]]:
    """(kind, status, milliseconds) of each path, asked by so many clients; 0 for one that failed to answer."""
    waiting, answers, lock = list(reversed(paths)), [], threading.Lock()

    def client() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while True:
            with lock:
                if not waiting:
                    return
                kind, path = waiting.pop()
            started = time.perf_counter()
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                status = answer.status
            except (OSError, http.client.HTTPException):
                connection.close()
                status = 0
            answers.append((kind, status, 1000 * (time.perf_counter() - started)))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def _asked(port: int, paths: Sequence[tuple[str, str]], clients: int) -> list[tuple[str, int, float]]:
    """`ask` in a process of its own, so that clients do not wait for this one."""
    code = (
        "import json, sys; from bouba.bench.serve import ask; "
        "print(json.dumps(ask(int(sys.argv[1]), json.load(sys.stdin), int(sys.argv[2]))))"
    )
    words = [sys.executable, "-c", code, str(port), str(clients)]
    answer = subprocess.run(words, input=json.dumps(paths), capture_output=True, text=True, check=True)
    return [tuple(each) for each in json.loads(answer.stdout.splitlines()[-1])]


def _paths(port: int, requests: int) -> list[tuple[str, str]]:
    """Kind and path of each request, in the same order every time."""
    listed = _got(port, f"{API}/search?k=200")["hits"]
    draw = random.Random(0)
    words = [hit["title"] for hit in listed]
    columns = [each for each in _got(port, f"{API}/facets")["columns"] if each["kind"] == "values"]
    paths = []
    for kind in draw.choices(list(SHARES), list(SHARES.values()), k=requests):
        hit = draw.choice(listed)
        if kind == "words":
            query: dict[str, Any] = {"q": " ".join(draw.sample(words, draw.choice((1, 1, 2)))), "k": 24}
            if columns and draw.random() < 0.2:
                column = draw.choice(columns)
                value = draw.choice(column["values"])["value"]
                query["filters"] = json.dumps([{"column": column["name"], "any": [value]}])
            path = f"{API}/search?{urlencode(query)}"
        elif kind == "thumbnails":
            path = next((view["thumbnail"] for view in hit["views"].values() if view.get("thumbnail")), f"{API}/runs")
        else:
            path = {
                "like": f"{API}/search?like={hit['row']}&k=24",
                "facets": f"{API}/facets",
                "rows": f"{API}/items?rows={quote(','.join(str(each['row']) for each in draw.sample(listed, 5)))}",
            }[kind]
        paths.append((kind, path))
    return paths


def _got(port: int, path: str) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    return json.loads(connection.getresponse().read())


def _remembered(port: int) -> float:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", f"{API}/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    return float(next(line for line in lines if line.startswith("bouba_remembered_answers_total")).split()[-1])


def _port(log: Path, server: subprocess.Popen[bytes]) -> int:
    """Where the server listens, which it says when it does."""
    end = time.monotonic() + STARTS_IN
    while time.monotonic() < end and server.poll() is None:
        text = log.read_text()
        if "http://" in text:
            return int(text.partition("http://")[2].partition("/")[0].rpartition(":")[2])
        time.sleep(0.05)
    raise RuntimeError(f"the server did not start: {log.read_text()}")


def _summary(times: Sequence[tuple[str, int, float]]) -> dict[str, float]:
    waited = sorted(milliseconds for _, _, milliseconds in times) or [0.0]
    cuts = statistics.quantiles(waited, n=100, method="inclusive") if len(waited) > 1 else waited * 99
    errors = sum(status != 200 for _, status, _ in times)
    return {"requests": len(times), "errors": errors, "p50_ms": cuts[49], "p95_ms": cuts[94], "p99_ms": cuts[98]}


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _private_mb(pid: int) -> float:
    """Memory that is its own, without mapped files."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Dirty", "Swap:"))) / 1024
