"""A fit that dies between any two file operations loses nothing that was finished, and the next command says so."""

import builtins
import io
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from bouba import Run, durable
from bouba.errors import UsageError
from bouba.runs import fitting
from bouba.runs.folder import finished

pytest.importorskip("lancedb")
pytest.importorskip("plotly")

random = np.random.default_rng(0)
LATENT = random.normal(size=(40, 3))
TABLE = {"a": LATENT, "b": LATENT + random.normal(size=(40, 3))}
OPERATIONS = ("replace", "rename", "mkdir", "rmdir", "unlink", "fsync")
FILES = {"model", "report.html", "recipe.toml", "run.json", "bad_rows.jsonl"}


class Death(BaseException):
    """The process ends here: no later operation reaches the disk either."""


class Dying:
    """Kills at the n-th operation on files."""

    def __init__(self, monkeypatch, at):
        self.left = at
        for name in OPERATIONS:
            monkeypatch.setattr(os, name, self.counting(getattr(os, name)))
        monkeypatch.setattr(builtins, "open", self.counting(open, self.writes))
        monkeypatch.setattr(io, "open", self.counting(io.open, self.writes))
        monkeypatch.setattr(durable, "_exchanged", self.counting(durable._exchanged))

    @staticmethod
    def writes(file, mode="r", *rest, **named):
        return bool(set(mode) & set("wax+"))

    def counting(self, real, counts=lambda *args, **named: True):
        def operation(*args, **named):
            if counts(*args, **named):
                self.left -= 1
                if self.left <= 0:
                    raise Death
            return real(*args, **named)

        return operation


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Without the libraries that write pages and indices, a fit takes milliseconds."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(fitting, "write_search", lambda model, views, folder, **given: (folder / "index").mkdir())
        monkeypatch.setattr(fitting, "write_report", lambda story, path: path.write_text("a report"))
        yield


def fit(out, **more):
    options = {"method": "cca", "n_components": 2, "ridge": 0.1, "holdout": 0}
    return Run.fit(TABLE, out=out, **options | more)


def died(out, at, **more):
    """Whether a fit died at this operation; else it was done before."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        Dying(monkeypatch, at)
        try:
            fit(out, **more)
        except Death:
            return True
    return False


def weights(out):
    return (out / "model" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def whole(tmp_path_factory, quick):
    """Folders of a run, and of another that it replaces."""
    place = tmp_path_factory.mktemp("whole")
    fit(place / "new")
    fit(place / "old", n_components=3)
    return place


def refused(call, *args, **named):
    """What a call is refused with; "" where it is not."""
    try:
        call(*args, **named)
    except UsageError as error:
        return str(error)
    return ""


def test_a_new_run_is_whole_or_goes_on_wherever_it_died(tmp_path, whole):
    ends = []
    for at in range(1, 500):
        out = tmp_path / str(at) / "run"
        if not died(out, at):
            break
        ends.append(refused(Run.open, out))
        if not ends[-1]:
            assert {file.name for file in out.iterdir()} >= FILES
        elif "was cut off before it was finished; go on with: bouba fit TABLE --resume -o" in ends[-1]:
            part = out.with_name("run.part")
            assert finished(part) or refused(Run.open, part) == ends[-1]
            fit(out, resume=True)
        else:
            assert "no model in" in ends[-1]
            fit(out)
        assert weights(out) == weights(whole / "new")
        assert fit(out, resume=True).model.n_components == 2  # it is finished, and stays so
        assert [file.name for file in out.parent.iterdir()] == ["run"]
    assert at > 20
    assert {"no model" in end for end in ends} == {"cut off" in end for end in ends} == {True, False}


def test_the_old_run_stands_until_the_new_one_is_whole(tmp_path, whole):
    old, new = weights(whole / "old"), weights(whole / "new")
    ends = []
    for at in range(1, 500):
        out = tmp_path / str(at) / "run"
        shutil.copytree(whole / "old", out)
        if not died(out, at, overwrite=True):
            break
        assert not refused(Run.open, out)
        assert {file.name for file in out.iterdir()} >= FILES
        ends.append(weights(out))
        assert ends[-1] in (old, new)
        begun = out.with_name("run.part").exists()
        failure = refused(fit, out, resume=True)
        if failure:
            assert not begun
            assert "has arguments.n_components = 3, not 2" in failure
            fit(out, overwrite=True)
        assert weights(out) == new
        assert [file.name for file in out.parent.iterdir()] == ["run"]
    assert old in ends
    assert new in ends


def test_what_was_not_brought_to_the_disk_is_not_in_a_finished_run(tmp_path, monkeypatch):
    """A power failure empties files that were not synced: at the last rename there are none."""
    synced = set()
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.add(os.fstat(handle).st_ino), real(handle))[1])
    run = fit(tmp_path / "run")
    for place in [run.path, *run.path.rglob("*")]:
        assert place.stat().st_ino in synced, place
    assert Path(run.path.parent).stat().st_ino in synced
