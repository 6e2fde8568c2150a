"""A run that was cut off, or is finished, goes on: with what it was made of, and with nothing else."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from made import two_files

from bouba import Run
from bouba.errors import DataError, Stopped, StorageError, UsageError
from bouba.runs import fitting
from bouba.runs.stages import Stages

pytest.importorskip("lancedb")
pytest.importorskip("plotly")

QUICK = {"epochs": 2, "dim": 4}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return two_files(tmp_path_factory.mktemp("tables"), 120)


@pytest.fixture(scope="module")
def finished(table, tmp_path_factory):
    return Run.fit(table, out=tmp_path_factory.mktemp("runs") / "run", **QUICK)


def weights(run):
    return (run.path / "model" / "model.safetensors").read_bytes()


def fails_in(stage, error, out, table, monkeypatch, **more):
    """A fit that an error ends in a stage; what is raised to the caller."""

    def fail(*args, **named):
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(fitting, stage, fail)
        with pytest.raises((Stopped, StorageError, KeyError)) as raised:
            Run.fit(table, out=out, **QUICK | more)
    return raised.value


@pytest.mark.parametrize("stage", ["measure", "write_report", "write_search"])
def test_an_interruption_after_training_costs_no_epoch(stage, table, finished, tmp_path, monkeypatch):
    out = tmp_path / "run"
    stopped = fails_in(stage, KeyboardInterrupt(), out, table, monkeypatch)
    assert isinstance(stopped, Stopped)
    command = f"bouba fit --resume -o {out}"
    assert str(stopped) == f"interrupted; what was trained is kept, go on with: {command}"
    for path in (out, out.with_name("run.part"), out.with_name("run.part") / "model"):
        with pytest.raises(DataError, match=f"run was cut off before it was finished; go on with: {command}"):
            Run.open(path)
    monkeypatch.setattr("bouba.train.loop._epoch", lambda *args: 1 / 0)
    run = Run.fit(None, out=out, resume=True)  # the settings and the files are those of the run
    assert weights(run) == weights(finished)
    assert run.history[-1]["loss"] == finished.history[-1]["loss"]
    assert run.result.records == finished.result.records


def test_a_baseline_goes_on_from_its_last_epoch(tmp_path, monkeypatch):
    from bouba.train import loop

    random = np.random.default_rng(0)
    numbers, kinds = random.normal(size=(60, 3)), ["x", "y"] * 30
    table = {"a": numbers, "b": numbers + 1, "kind": kinds}
    real, epochs = loop._epoch, []

    def counted(*args):
        epochs.append(args)
        if len(epochs) == 4:  # the model has its two, the baseline one
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(loop, "_epoch", counted)
    settings = {"method": "classifier", "read": {"label": "kind"}, "holdout": 0.3, **QUICK}
    with pytest.raises(Stopped, match="what was trained is kept"):
        Run.fit(table, out=tmp_path / "run", **settings)
    run = Run.fit(table, out=tmp_path / "run", resume=True)
    assert len(epochs) == 5
    assert {record.method for record in run.result} > {"classifier", "late-fusion"}
    assert not (run.path / "baselines").exists()
    straight = Run.fit(table, out=tmp_path / "straight", **settings)
    assert [vars(record) for record in run.result] == [vars(record) for record in straight.result]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device", "somewhere"), "somewhere: No space left on device (free some space)"),
        (OSError("LanceError(IO): No space left on device (os error 28)"), "run: No space left on device (free some"),
        (RuntimeError("lance error: LanceError(IO): broken"), "run: lance error: LanceError(IO): broken"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
            "memory is full: lower --batch-size, or",
        ),
        (MemoryError(), "memory is full: lower --batch-size"),
        (PermissionError(13, "Permission denied", "index"), "index: Permission denied (change its permissions"),
        (OSError(30, "Read-only file system", "index"), "index: Read-only file system (choose another -o)"),
        (FileNotFoundError(2, "No such file", "index"), "index: No such file or directory (it was removed meanwhile"),
    ],
    ids=str,
)
def test_what_the_machine_refuses_loses_nothing_and_says_where(error, message, table, finished, tmp_path, monkeypatch):
    out = tmp_path / "run"
    raised = fails_in("write_search", error, out, table, monkeypatch)
    assert isinstance(raised, StorageError)
    assert message in str(raised)
    assert str(raised).endswith(f"what was trained is kept, go on with: bouba fit --resume -o {out}")
    assert weights(Run.fit(None, out=out, resume=True)) == weights(finished)


def test_what_fails_before_an_epoch_ended_leaves_nothing(table, tmp_path, monkeypatch):
    def full(*args, **named):
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr("bouba.train.loop.save_checkpoint", full)
    with pytest.raises(StorageError, match="nothing was written, start it again"):
        Run.fit(table, out=tmp_path / "deep" / "run", **QUICK)
    assert not list(tmp_path.iterdir())


def test_an_error_of_bouba_s_own_is_no_storage_error(table, tmp_path, monkeypatch):
    assert isinstance(fails_in("measure", KeyError("x"), tmp_path / "run", table, monkeypatch), KeyError)


def test_a_folder_that_is_removed_meanwhile_is_made_again(table, finished, tmp_path, monkeypatch):
    real = fitting.Fitting.rivals
    monkeypatch.setattr(fitting.Fitting, "rivals", lambda self, at: (shutil.rmtree(at), real(self, at))[1])
    run = Run.fit(table, out=tmp_path / "run", **QUICK)
    files = lambda each: {file.name for file in each.path.iterdir()} - {"checkpoint"}  # noqa: E731
    assert files(run) == files(finished)
    assert len(run.history) == 2


def test_a_finished_run_says_so_and_stays(finished, table):
    lines = []
    before = {file: file.stat().st_mtime_ns for file in finished.path.rglob("*")}
    for given in (None, table):
        again = Run.fit(given, out=finished.path, resume=True, say=lines.append, **QUICK)
        assert weights(again) == weights(finished)
    assert lines == [f"{finished.path} is finished, 2 epochs; --epochs 4 trains on, --overwrite starts anew"] * 2
    assert {file: file.stat().st_mtime_ns for file in finished.path.rglob("*")} == before


def test_a_finished_run_is_not_said_to_be_made_of_another_table(finished, table):
    with pytest.raises(UsageError, match=r"was made of .*a.npy, .*b.npy; choose another -o"):
        Run.fit(table[::-1], out=finished.path, resume=True)


@pytest.mark.parametrize("path", ["/", "{table}", "nowhere"])
def test_what_is_no_run_is_said_to_be_none(path, table):
    with pytest.raises(DataError, match=r"no model in|is a file, and a model is a folder"):
        Run.open(path.format(table=table[0]))


@pytest.mark.parametrize(
    ("change", "name"),
    [({"dim": 8}, "arguments.dim = 4, not 8"), ({"epochs": 1}, "arguments.epochs = 2, not 1")],
    ids=str,
)
def test_another_setting_is_no_resuming(change, name, finished):
    with pytest.raises(UsageError, match=f"the run that was finished at .*run has {name}; resume with the same setti"):
        Run.fit(None, out=finished.path, resume=True, **change)
    assert [file.name for file in finished.path.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("again", ["finished", "cut off"])
def test_more_epochs_go_on_from_the_checkpoint(again, table, finished, tmp_path, monkeypatch):
    from bouba.train import loop

    real = loop.load_checkpoint

    def of_any_length(*args, same, **rest):
        return real(*args, same={name: fact for name, fact in same.items() if name != "schedule"}, **rest)

    monkeypatch.setattr(loop, "load_checkpoint", of_any_length)
    out, lines = tmp_path / "run", []
    if again == "finished":
        shutil.copytree(finished.path, out)
    else:
        fails_in("measure", KeyboardInterrupt(), out, table, monkeypatch)
    run = Run.fit(None, out=out, resume=True, epochs=4, say=lines.append)
    assert lines[0] == "the run was made for 2 epochs and goes on to 4"
    assert Run.open(out).recipe["arguments"]["epochs"] == run.model.epochs == 4
    assert [row["loss"] for row in run.history[:2]] == [row["loss"] for row in finished.history]
    assert [row["epoch"] for row in run.history] == [1, 2, 3, 4]
    assert not out.with_name("run.part").exists()


def test_a_finished_run_is_not_harmed_by_an_extension_that_fails(table, finished, tmp_path, monkeypatch):
    shutil.copytree(finished.path, tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr("bouba.train.loop.load_checkpoint", lambda *args, **named: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Run.fit(None, out=tmp_path / "run", resume=True, epochs=4)
    assert [file.name for file in tmp_path.iterdir()] == ["run"]
    assert weights(Run.open(tmp_path / "run")) == weights(finished)
    shutil.rmtree(tmp_path / "run" / "checkpoint")
    with pytest.raises(UsageError, match="keeps no checkpoint to train on from; say --overwrite to train all 4 epochs"):
        Run.fit(None, out=tmp_path / "run", resume=True, epochs=4)


def test_a_run_that_is_replaced_is_not_read_further(table, finished, tmp_path):
    shutil.copytree(finished.path, tmp_path / "run")
    run = Run.open(tmp_path / "run")
    assert len(run.history) == 2
    Run.fit(table, out=tmp_path / "run", overwrite=True, epochs=1, dim=3)
    for part in ("model", "index", "facts", "result", "recipe", "bad_rows"):
        with pytest.raises(DataError, match="was replaced since it was opened; open it again"):
            getattr(run, part)
    assert Run.open(tmp_path / "run").model.dim == 3


def test_a_name_that_ends_like_an_unfinished_run(finished, tmp_path):
    shutil.copytree(finished.path, tmp_path / "run.part")
    assert Run.open(tmp_path / "run.part").model.dim == 4
    with pytest.raises(UsageError, match="/ is no folder for a run; choose another -o"):
        Run.fit(None, out="/")


def test_nothing_to_resume(table, tmp_path):
    with pytest.raises(UsageError, match=r"nothing to resume at .*run.part; leave --resume out to start anew"):
        Run.fit(table, out=tmp_path / "deep" / "run", resume=True)
    assert not list(tmp_path.iterdir())


def test_a_table_from_python_must_be_given_again(table, tmp_path, monkeypatch):
    columns = {path.stem: np.load(path) for path in table}
    stopped = fails_in("measure", KeyboardInterrupt(), tmp_path / "run", columns, monkeypatch)
    assert f"go on with: bouba fit TABLE --resume -o {tmp_path / 'run'}" in str(stopped)
    with pytest.raises(UsageError, match="name the table"):
        Run.fit(None, out=tmp_path / "run", resume=True)
    assert Run.fit(columns, out=tmp_path / "run", resume=True).model.epochs == 2


def test_the_files_are_found_from_anywhere(table, tmp_path, monkeypatch):
    monkeypatch.chdir(table[0].parent)
    fails_in("measure", KeyboardInterrupt(), tmp_path / "run", ["a.npy", "b.npy"], monkeypatch)
    assert json.loads((tmp_path / "run.part" / "run.json").read_text())["table"] == [os.fspath(path) for path in table]
    monkeypatch.chdir(tmp_path)
    assert Run.fit(None, out=Path("run"), resume=True).facts["rows"] == 120


def test_stages_say_what_is_done_and_how_long_it_takes():
    lines, seconds = [], iter(range(0, 1000, 3))
    stages = Stages(lines.append, clock=lambda: float(next(seconds)))
    assert list(stages.each("index", ["a", "b", "c", "d"], lambda part: f"part {part}")) == ["a", "b", "c", "d"]
    assert lines == [
        "index: part a",
        "index: part b, 1 of 4 done, about 18 s left",
        "index: part d, 3 of 4 done, about 4 s left",
    ]


def test_every_stage_after_the_last_epoch_has_a_line(table, tmp_path):
    lines = []
    Run.fit(table, out=tmp_path / "run", say=lines.append, **QUICK)
    assert [line.partition(":")[0] for line in lines[1:]] == ["save", "embed", "measure", "index", "report"]


def test_who_names_no_listener_sees_the_stages_if_verbose(table, tmp_path, capsys, caplog):
    Run.fit(table, out=tmp_path / "one", verbose=True, **QUICK)
    assert "\nreport: curves" in capsys.readouterr().err
    with caplog.at_level("INFO", logger="bouba"):
        Run.fit(table, out=tmp_path / "two", **QUICK)
    assert "report: curves" in caplog.text
    assert "report:" not in capsys.readouterr().err
