"""Under torchrun several processes make one run, as one process would, and speak with one voice."""

import os
import subprocess
import sys

import pytest
from made import two_files

from bouba import Run

pytest.importorskip("lancedb")
pytest.importorskip("plotly")

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "bouba"]


def together(*words):
    """A command by two processes: its exit code, what it printed, and its lines on the error stream."""
    ours = ("ACCELERATE_", "MASTER_", "RANK", "LOCAL_", "WORLD_SIZE")  # what other tests of this process left behind
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    ended = subprocess.run([*LAUNCH, *map(str, words)], capture_output=True, text=True, env=environment, check=False)
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
    files = lambda run: {str(file.relative_to(run.path)) for file in run.path.glob("*")}  # noqa: E731
    assert files(one) == files(two)
    assert not (tmp_path / "two.part").exists()
    losses = [[row["loss"] for row in run.history] for run in (one, two)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    rows = one.read(tables)
    for view, z in one.model.embed(rows).items():
        assert two.model.embed(rows)[view] == pytest.approx(z, abs=1e-4)
    values = [[record.value for record in run.result] for run in (one, two)]
    assert values[1] == pytest.approx(values[0], rel=1e-3)


def test_a_refusal_is_said_once(tables, tmp_path):
    code, out, err = together("fit", tables[0], tmp_path / "nowhere.npy", "-o", tmp_path / "deep" / "run")
    assert code != 0
    assert out == ""
    assert err == [f"bouba: no such file or folder: {tmp_path / 'nowhere.npy'}"]
    assert not list(tmp_path.iterdir())
