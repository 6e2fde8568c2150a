"""Ray does what one machine does: a cluster of two workers that these tests start, without a network."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made import twin_vectors

from bouba import Run
from bouba.errors import DataError, UsageError
from bouba.runs import blocks
from bouba.runs.engines.ray_cluster import SETTINGS

ray = pytest.importorskip("ray")
lancedb = pytest.importorskip("lancedb")
pytest.importorskip("plotly")
pytestmark = pytest.mark.xdist_group("ray")  # one cluster at a time


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """Two workers, which import bouba from where it is tested."""
    before = {name: os.environ.get(name) for name in SETTINGS}
    os.environ.update(SETTINGS)
    ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=2**27, log_to_driver=False)
    yield
    ray.shutdown()
    os.environ.update({name: value for name, value in before.items() if value is not None})
    for name in (name for name, value in before.items() if value is None):
        os.environ.pop(name, None)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """A run of two views of numbers, and three Parquet files with 1,200 rows of them."""
    folder = tmp_path_factory.mktemp("ray")
    views = twin_vectors(1200, d=3)
    (folder / "lake").mkdir()
    for number, rows in enumerate(np.array_split(np.arange(len(views)), 3)):
        columns = {name: pa.array(np.asarray(column.values)[rows].tolist()) for name, column in views.columns.items()}
        pq.write_table(pa.table(columns), folder / "lake" / f"part{number}.parquet")
    return Run.fit(views, method="cca", out=folder / "run", baseline=False), folder / "lake"


def test_a_worker_that_is_killed_loses_nothing(lake, tmp_path, monkeypatch):
    """Each row once, as from one machine, although a worker dies in the middle."""
    run, folder = lake
    monkeypatch.setattr(blocks, "AT_ONCE", 10)
    run.embed(folder, out=tmp_path / "one.parquet")
    killed = []
    part = tmp_path / "many.lance.part"

    def kill():
        """The first actor, once some blocks are written and most are not."""
        while not killed and not done.is_set():
            written = len(list(part.glob("0*.parquet")))
            if written > 3 and (actors := _processes("ray::MapWorker")):
                os.kill(actors[0], signal.SIGKILL)
                killed.append((actors[0], written))
            time.sleep(0.01)

    done = threading.Event()
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        result = run.embed(folder, out=tmp_path / "many.lance", engine="ray", workers=2)
    finally:
        done.set()
        killer.join()
    assert killed[0][1] < 100, "it died in the middle of 120 blocks"
    assert result.rows == 1200
    written = lancedb.connect(tmp_path).open_table("many").to_arrow()
    expected = pq.read_table(tmp_path / "one.parquet")
    for name in ("table", "row"):
        assert written[name].to_pylist() == expected[name].to_pylist()
    for name in ("left", "right"):
        np.testing.assert_allclose(np.array(written[name].to_pylist()), np.array(expected[name].to_pylist()), atol=1e-6)


def test_what_a_worker_refuses_is_said_as_here(lake, tmp_path):
    run, _ = lake
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"left": [[1.0, 2.0]], "right": [[1.0, 2.0, 3.0]]}), other)
    messages = []
    for engine in ("local", "ray"):
        with pytest.raises(UsageError) as refusal:
            run.embed(other, out=tmp_path / "x.parquet", engine=engine)
        messages.append((type(refusal.value), str(refusal.value)))
    assert messages[0] == messages[1]
    assert messages[0][0] is DataError


@pytest.mark.slow  # half a minute; what the workers do is tested under torchrun
def test_moments_add_up_over_workers(lake, tmp_path):
    _, folder = lake
    lines = []
    one = Run.fit(folder / "part0.parquet", method="cca", out=tmp_path / "one", baseline=False)
    many = Run.fit(
        folder / "part0.parquet",
        method="cca",
        out=tmp_path / "many",
        baseline=False,
        engine="ray",
        workers=2,
        say=lines.append,
    )
    np.testing.assert_allclose(many.model.correlations_, one.model.correlations_, atol=1e-6)
    rows = one.read(folder / "part1.parquet")
    for view, z in one.model.embed(rows).items():
        np.testing.assert_allclose(many.model.embed(rows)[view], z, atol=1e-6)
    assert [record.value for record in many.result] == pytest.approx([record.value for record in one.result], abs=1e-6)
    assert any(line.startswith("solve: cca on ") for line in lines)
    assert {file.name for file in tmp_path.iterdir()} == {"one", "many"}


def test_training_by_workers_is_training_by_one(lake, tmp_path):
    _, folder = lake
    towers = {name: {"encoder": "MLP", "hidden": [8], "dropout": 0.0} for name in ("left", "right")}
    options = {
        "recipe": {"method": "clip", "towers": towers},
        "epochs": 2,
        "dim": 4,
        "batch_size": 61,
        "baseline": False,
    }
    one = Run.fit(folder / "part0.parquet", out=tmp_path / "one", **options)
    two = Run.fit(folder / "part0.parquet", out=tmp_path / "two", engine="ray", workers=2, **options)
    assert [row["loss"] for row in two.history] == pytest.approx([row["loss"] for row in one.history], abs=1e-4)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "Ray leaves its own"
    files = lambda run: {file.name for file in run.path.iterdir()}  # noqa: E731
    assert files(one) == files(two)
    assert (one.path / "recipe.toml").read_text() == (two.path / "recipe.toml").read_text()
    rows = one.read(folder / "part1.parquet")
    for view, z in one.model.embed(rows).items():
        np.testing.assert_allclose(two.model.embed(rows)[view], z, atol=1e-4)
    with pytest.raises(UsageError, match=r"two exists; choose another -o, or say --overwrite"):
        Run.fit(folder / "part0.parquet", out=tmp_path / "two", engine="ray", workers=2, **options)


def _processes(name: str) -> list[int]:
    """The numbers of processes that call themselves so."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:  # it has ended
            continue
        if command.startswith(name):
            found.append(int(folder.name))
    return found
