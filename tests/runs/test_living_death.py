"""A writer of an index that is killed loses nothing and encodes only what is missing; readers see whole versions."""

import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import twin_vectors

from bouba import Run
from bouba.search import Index

pytest.importorskip("lancedb")
pytest.importorskip("plotly")
ROWS, BLOCK = 320, 16
WRITER = f"""
import sys
from pathlib import Path
from bouba import Run
from bouba.runs import blocks

folder, log = Path(sys.argv[1]), open(sys.argv[2], "a", buffering=1)
blocks.AT_ONCE, embed = {BLOCK}, blocks._vectors
blocks._vectors = lambda model, part: log.write(f"block {{len(part)}}\\n") and embed(model, part)
run = Run.open(folder / "run")
run.model, run.known, run.index.search([1.0] * run.index.dim)
print("ready", flush=True)
while True:
    if Run.open(folder / "run").index.rows == {ROWS}:
        log.write("add\\n")
        done = run.add(folder / "more.parquet")
        assert (done.added, done.unchanged) == ({ROWS}, 0), done
    else:
        log.write("remove\\n")
        done = run.add(remove=folder / "more.parquet")
        assert done.removed == {ROWS}, done
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run of 320 rows of numbers, and as many that come and go."""
    folder = tmp_path_factory.mktemp("death")
    views = twin_vectors(2 * ROWS, d=3)
    columns = {name: pa.array(list(np.stack(list(views[name])).astype(np.float32))) for name in views.columns}
    whole = pa.table(columns | {"id": pa.array([f"n{i}" for i in range(2 * ROWS)])})
    pq.write_table(whole[:ROWS], folder / "old.parquet")
    pq.write_table(whole[ROWS:], folder / "more.parquet")
    Run.fit(folder / "old.parquet", method="cca", out=folder / "run", baseline=False)
    return folder


def faults_of(index, seen):
    """What is not whole in the version that a reader opened."""
    views = len(index.views)
    if len(index) != views * index.rows or index.rows not in (ROWS, 2 * ROWS):
        return f"{index.rows} rows of {len(index)} cells"
    hits = index.search(np.ones(index.dim), k=9999, view=index.views[0])
    if sorted(hit.row for hit in hits) != index.listing.rows.tolist():
        return "rows that are not found"
    ids = sorted(hit.columns["id"] for hit in hits)
    if ids != sorted(f"n{i}" for i in range(index.rows)):
        return "other rows than the tables have"
    kept = seen.setdefault(index.version, [(hit.row, hit.score) for hit in hits])
    return "" if kept == [(hit.row, hit.score) for hit in hits] else f"version {index.version} is two things"


def lines_of(log):
    return log.read_text().count("\n") if log.exists() else 0


@pytest.mark.parametrize("kills", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_a_writer_is_killed_and_nothing_is_lost(folder, tmp_path, kills):
    random, log, seen, faults = np.random.default_rng(kills), tmp_path / "log", {}, []
    over = threading.Event()

    def read():
        while not over.wait(0.05):
            if fault := faults_of(Index.open(folder / "run" / "index"), seen):
                faults.append(fault)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for _ in range(kills):
            words = [sys.executable, "-c", WRITER, folder, log]
            with subprocess.Popen(words, stdout=-1, stderr=-1, text=True) as writer:
                ready = writer.stdout.readline()
                wanted, moment = lines_of(log) + random.integers(3 * ROWS // BLOCK), random.uniform(0, 0.2)
                while lines_of(log) < wanted and writer.poll() is None:
                    over.wait(0.005)
                over.wait(moment)
                gone = writer.poll()
                writer.kill()
                assert (ready, gone) == ("ready\n", None), writer.stderr.read()
    finally:
        over.set()
        reader.join()
    run = Run.open(folder / "run")
    run.add(remove=folder / "more.parquet")
    done = run.add(folder / "more.parquet")
    assert (done.added, done.rows, run.add(folder / "old.parquet").unchanged) == (ROWS, 2 * ROWS, ROWS)
    assert not faults
    assert len(seen) > 1
    encoded, killed, lines = [0], [0], log.read_text().splitlines()
    for line in lines:
        if line == "remove":
            encoded.append(0)
            killed.append(0)
        elif line == "add":
            killed[-1] += 1
        else:
            encoded[-1] += int(line.split()[1])
    for rows, attempts in zip(encoded[:-1], killed[:-1]):
        assert rows == 0 or ROWS <= rows <= ROWS + (attempts - 1) * BLOCK
    assert sum(encoded) >= ROWS
