"""bouba embed into the index of a run, and bouba index: the command line says what Python does."""

import json
import shutil
import subprocess
import sys

import pytest
from made import write_things

from bouba import Run
from bouba.cli import main

pytest.importorskip("lancedb")
pytest.importorskip("plotly")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of all but the last ten of sixty pictures with captions and ids, and tables of these and of all."""
    folder = tmp_path_factory.mktemp("living")
    lines = write_things(folder).read_text().splitlines()
    lines = [f"id,{lines[0]}", *(f"p{n},{line}" for n, line in enumerate(lines[1:]))]
    for name, part in (("old", lines[:51]), ("all", lines), ("more", [lines[0], *lines[51:]])):
        (folder / f"{name}.csv").write_text("\n".join(part) + "\n")
    read = {"text": "caption", "image": "photo"}
    Run.fit(folder / "old.csv", method="cca", out=folder / "run", read=read, baseline=False, ridge=0.1)
    return folder


@pytest.fixture
def run(made, tmp_path):
    shutil.copytree(made / "run", tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def bouba(monkeypatch, capsys):
    """Runs a command: its exit code, and what it printed to both streams."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["bouba", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def test_rows_are_added_listed_removed_restored_and_compacted(made, run, bouba):
    code, out, err = bouba("embed", run, made / "more.csv")
    assert (code, out) == (0, f"10 added; {run} has 60 rows, version 2\n")
    assert "rows are told apart by 'id'" in err
    assert bouba("embed", run, made / "all.csv")[1] == f"60 unchanged; {run} has 60 rows, version 2\n"
    (made / "gone.csv").write_text("id\np1\np55\nq\n")
    assert bouba("embed", run, "--remove", made / "gone.csv")[1] == f"2 removed; {run} has 58 rows, version 3\n"
    facts = json.loads(bouba("embed", run, made / "old.csv", "--sync", "--id", "id", "--json")[1])
    assert {name: facts[name] for name in ("added", "replaced", "unchanged", "removed", "rows", "version")} == {
        "added": 1, "replaced": 0, "unchanged": 49, "removed": 9, "rows": 50, "version": 4,
    }  # fmt: skip
    assert [bad["row"] for bad in facts["bad_rows"]] == [7]
    lines = bouba("index", run, "--versions")[1].splitlines()
    assert [line.split(None, 4)[0] for line in lines] == ["version", "4", "3", "2", "1"]
    assert [line.split(None, 4)[-1] for line in lines[1:]] == ["1 added, 9 removed", "2 removed", "10 added", "made"]
    assert bouba("index", run, "--restore", 2)[1] == "version 2 restored: 60 rows, as version 5\n"
    held = json.loads(bouba("index", run, "--list", "--json")[1])
    assert (held["rows"], held["cells"]["photo"], held["version"], held["versions"]) == (60, 59, 5, 5)
    assert bouba("index", run)[1].splitlines()[0].split() == ["rows", "60"]
    assert bouba("index", run, "--compact")[1].endswith(" MB freed\n")
    assert [each["number"] for each in json.loads(bouba("index", run, "--versions", "--json")[1])] == [5]
    code, _, err = bouba("index", run, "--restore", 2)
    assert (code, err) == (2, "bouba: the index has no version 2; there is 5\n")


def test_what_does_not_go_together_is_refused(made, run, bouba):
    for words, message in (
        (["embed", run], "name a table of rows: bouba embed RUN TABLE, or --remove TABLE"),
        (["embed", run, made / "more.csv", "--overwrite"], "--overwrite replaces a file of vectors"),
        (["embed", run, made / "more.csv", "-o", "x.parquet", "--sync"], "--sync and --id change the index"),
        (["embed", run, "-o", "x.parquet"], "name the table whose rows are embedded"),
        (["embed", run, made / "more.csv", "--id", "ids"], "no column 'ids'; did you mean 'id'"),
        (["embed", run, made / "none.csv"], "no such file or folder"),
        (["index", run, "--list", "--compact"], "say one of --list, --versions, --restore N and --compact"),
    ):
        code, out, err = bouba(*words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert message in err


def test_only_one_process_writes_an_index(made, run):
    hold = "import sys; from pathlib import Path; from bouba.runs.lock import locked\n" \
           "with locked(Path(sys.argv[1]), print): print('held', flush=True); input()"  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", hold, run], stdin=-1, stdout=-1, text=True) as other:
        assert other.stdout.readline() == "held\n"
        words = [sys.executable, "-m", "bouba", "embed", run, made / "more.csv"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        other.communicate("\n")
    assert done.returncode == 2
    assert f"is being written by process {other.pid}" in done.stderr
    assert Run.open(run).index.version == 1
