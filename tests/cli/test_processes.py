"""Under torchrun several processes make one run, as one process would, and speak with one voice."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import two_files, write_things

from bouba import Run

pytest.importorskip("lancedb")
pytest.importorskip("plotly")

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
COUNTED = """
import sys
sys.path.insert(0, {tests!r})
from bouba import Run
from bouba.align.cca import CCA
from bouba.align.closed_form import ClosedForm
from bouba.runs import sharing, spooled
from bouba.runs.processes import process_number

spooled.AT_ONCE = sharing.AT_ONCE = 8
rows = {{"embedded": 0, "added up": 0}}

def counted(name, method):
    def counting(self, X):
        rows[name] += len(X)
        return method(self, X)
    return counting

CCA.embed, CCA.moments = counted("embedded", CCA.embed), counted("added up", CCA.moments)
Run.fit({table!r}, method="cca", ridge=0.1, read={{"ignore": "label"}}, out={out!r}, holdout=0.3)
import json, pathlib
pathlib.Path({out!r} + f".rank{{process_number()}}.json").write_text(json.dumps(rows))
"""


def together(*words, launch=(*LAUNCH, "-m", "bouba")):
    """A command by two processes: its exit code, what it printed, and its lines on the error stream."""
    ours = ("ACCELERATE_", "MASTER_", "RANK", "LOCAL_", "WORLD_SIZE")  # what other tests of this process left behind
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    ended = subprocess.run([*launch, *map(str, words)], capture_output=True, text=True, env=environment, check=False)
    return ended.returncode, ended.stdout, [line for line in ended.stderr.splitlines() if line.startswith("bouba: ")]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    return two_files(tmp_path_factory.mktemp("tables"), 200)


def test_two_processes_leave_the_run_of_one(tables, tmp_path):
    recipe = tmp_path / "recipe.toml"  # without dropout, which each process would draw for itself
    towers = "".join(f'[towers.{path.stem}]\nencoder = "MLP"\nhidden = [8]\ndropout = 0.0\n' for path in tables)
    recipe.write_text(f"[arguments]\nepochs = 3\ndim = 4\nlr = 0.01\nbatch_size = 61\n{towers}")
    code, out, err = together("fit", *tables, "-o", tmp_path / "two", "--recipe", recipe)
    assert (code, err) == (0, [])
    assert out.count("report: ") == 1
    one, two = Run.fit(tables, out=tmp_path / "one", recipe=recipe), Run.open(tmp_path / "two")
    assert_equal_runs(one, two)
    losses = [[row["loss"] for row in run.history] for run in (one, two)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)


def test_what_is_solved_is_shared_out_and_equal(tmp_path):
    """Moments, embeddings and baselines of two processes are those of one; neither does it all."""
    table = write_things(tmp_path)
    (tmp_path / "script.py").write_text(
        COUNTED.format(tests=str(Path(__file__).parents[1]), table=str(table), out=str(tmp_path / "two"))
    )
    code, _, err = together(tmp_path / "script.py", launch=LAUNCH)
    assert (code, err) == (0, [])
    one = Run.fit(table, method="cca", ridge=0.1, read={"ignore": "label"}, out=tmp_path / "one", holdout=0.3)
    two = Run.open(tmp_path / "two")
    assert_equal_runs(one, two)
    np.testing.assert_allclose(two.model.correlations_, one.model.correlations_, atol=1e-6)
    parts = [json.loads((tmp_path / f"two.rank{number}.json").read_text()) for number in (0, 1)]
    training = one.facts["rows"] - len(json.loads((tmp_path / "one" / "duplicates.json").read_text())["judged"])
    assert sum(part["added up"] for part in parts) == training
    assert all(part["added up"] <= training / 2 + 8 for part in parts)
    assert parts[1]["embedded"] >= one.facts["rows"] / 2 - 8


def test_embedding_is_shared_out(tables, tmp_path):
    run = Run.fit(tables, method="cca", out=tmp_path / "run", baseline=False)
    lake = tmp_path / "lake"
    lake.mkdir()
    for number, rows in enumerate(np.array_split(np.arange(200), 3)):
        columns = {path.stem: pa.array(np.load(path)[rows].tolist()) for path in tables}
        pq.write_table(pa.table(columns), lake / f"{number}.parquet")
    run.embed(lake, out=tmp_path / "one.parquet")
    code, out, err = together("embed", run.path, lake, "-o", tmp_path / "two.parquet")
    assert (code, out, err) == (0, f"200 rows: {tmp_path / 'two.parquet'}\n", [])
    assert pq.read_table(tmp_path / "two.parquet").equals(pq.read_table(tmp_path / "one.parquet"))


def assert_equal_runs(one, two):
    """Two run folders hold the same, file by file, but for names, times and rounding."""
    files = lambda run: {str(file.relative_to(run.path)) for file in run.path.rglob("*") if "cells-" not in str(file)}  # noqa: E731
    assert files(one) == files(two)
    assert not two.path.with_name(f"{two.path.name}.part").exists()
    for name in ("recipe.toml", "duplicates.json", "bad_rows.jsonl", "words.json"):
        assert (one.path / name).read_text() == (two.path / name).read_text(), name
    assert one.facts | {"finished": ""} == two.facts | {"finished": ""}
    for ours, theirs in zip(one.result, two.result, strict=True):
        exact = ("method", "domain", "direction", "metric", "n")
        assert [getattr(theirs, name) for name in exact] == [getattr(ours, name) for name in exact]
        assert theirs.value == pytest.approx(ours.value, rel=1e-3, abs=1e-6)
    assert [d.rival for d in one.differences] == [d.rival for d in two.differences]
    rows = one.read(one.facts["table"])
    for view, z in one.model.embed(rows).items():
        np.testing.assert_allclose(two.model.embed(rows)[view], z, atol=1e-4)
        for row, (vector, _) in one.index.vectors(rows.rows.tolist(), view=view).items():
            np.testing.assert_allclose(two.index.vectors([row], view=view)[row][0], vector, atol=1e-3)
    assert (len(one.index), one.index.columns) == (len(two.index), two.index.columns)


def test_a_refusal_is_said_once(tables, tmp_path):
    code, out, err = together("fit", tables[0], tmp_path / "nowhere.npy", "-o", tmp_path / "deep" / "run")
    assert code != 0
    assert out == ""
    assert err == [f"bouba: no such file or folder: {tmp_path / 'nowhere.npy'}"]
    assert not list(tmp_path.iterdir())
