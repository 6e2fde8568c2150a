"""Labels that were planted wrong are found, by models that did not learn them; and the commands that list rows."""

import csv
import json
import re
import sys

import numpy as np
import pytest
from made import write_things

import bouba
from bouba import Run
from bouba.errors import UsageError

pytest.importorskip("lancedb")
pytest.importorskip("plotly")

N, WRONG, CLASSES = 300, 30, ("ash", "beech", "cedar")
LINES = 100


def write_numbers(file, n=N, wrong=WRONG, seed=0):
    """A table of numbers around a place a class; the labels of some rows are those of the next class. Gives which."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, n)
    x = np.eye(3)[truth] * 4 + random.normal(size=(n, 3))
    planted = np.sort(random.permutation(n)[:wrong])
    given = truth.copy()
    given[planted] = (truth[planted] + 1) % 3
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["tree_id", "a", "b", "c", "tree"])
        writer.writerows([[f"T{i:03d}", *x[i].round(4), CLASSES[given[i]]] for i in range(n)])
    return set(planted.tolist()), [CLASSES[t] for t in truth]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A classifier, the table that it was made of, new rows, and which labels of both are wrong."""
    folder = tmp_path_factory.mktemp("labels")
    planted, truth = write_numbers(folder / "old.csv")
    more, _ = write_numbers(folder / "new.csv", seed=1)
    read = {"vector": ["a", "b", "c"], "label": "tree"}
    options = {"epochs": 5, "dim": 8, "lr": 0.01, "baseline": False, "holdout": 0.2}
    run = Run.fit(folder / "old.csv", out=folder / "run", method="classifier", read=read, **options)
    return run, folder, planted, more, truth


@pytest.fixture
def typed(monkeypatch, capsys):
    """Runs a command: its exit code, and what it printed to both streams."""
    from bouba.cli import main

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["bouba", *map(str, words)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def _precision(found, planted):
    return len({one.row for one in found} & planted) / len(found)


def test_recovery_of_planted_labels_in_the_runs_own_table(made):
    run, _, planted, _, truth = made
    found = run.wrong_labels()
    assert _precision(found, planted) > 0.8  # by chance 0.1
    assert len({one.row for one in found} & planted) > 0.6 * WRONG  # a threshold a class lists the sure ones
    for one in found[:10]:
        assert one.likely == truth[one.row] != one.given
        assert one.confidence >= one.doubt > 0
    assert [one.doubt for one in found] == sorted((one.doubt for one in found), reverse=True)


def test_new_rows_are_judged_by_the_model_itself(made):
    run, folder, _, more, _ = made
    found = run.wrong_labels(folder / "new.csv")
    assert _precision(found, more) > 0.8
    p = {record["row"]: record for record in run.predict(folder / "new.csv", proba=True)}
    for one in found:
        assert one.confidence == pytest.approx(p[one.row][f"tree={one.likely}"])
        assert one.doubt == pytest.approx(one.confidence - p[one.row][f"tree={one.given}"])


def test_no_row_is_judged_by_a_predictor_that_learnt_its_label(made):
    """A table of noise: whoever saw its labels would be sure of each; the others are right as often as by chance."""
    from bouba.runs.solved_rivals import Baselines

    run, folder, *_ = made
    views = run.read(folder / "old.csv")
    random = np.random.default_rng(99)
    noise = views.replace(y={"tree": np.array(random.choice(CLASSES, N), object)})
    model = Baselines(run.method, run.model, noise).strongest()
    right = model.left_out(noise, "tree").argmax(1) == np.array([CLASSES.index(one) for one in noise.y["tree"]])
    assert right.mean() < 0.43


def test_the_command_lists_labels_with_ids_in_a_terminal_a_file_and_a_page(made, typed, tmp_path):
    run, _, planted, *_ = made
    file, page = tmp_path / "wrong.csv", tmp_path / "wrong.html"
    code, out, err = typed("suspicious", run.path, "-o", file, "--page", page, "-k", 5)
    assert code == 0
    assert "no pairs: a pair takes two views" in err
    lines = out.splitlines()
    assert lines[0].split() == ["doubt", "row", "id", "label", "given", "likely", "cells"]
    assert max(map(len, lines)) <= LINES
    first = lines[1].split()
    assert int(first[1]) in planted
    assert first[2] == f"T{int(first[1]):03d}"
    facts = json.loads(typed("suspicious", run.path, "--json")[1])
    with file.open(newline="") as read:
        rows = list(csv.DictReader(read))
    assert [int(row["row"]) for row in rows] == [one["row"] for one in facts["labels"]]
    assert facts["labels"][0]["id"] == first[2]
    assert facts["pairs"] == []
    html = page.read_text(encoding="utf-8")
    assert "Labels that may be wrong" in html
    assert f"row {first[1]} ({first[2]})" in html
    assert typed("suspicious", run.path, "-o", file)[0] == 2


def test_the_report_lists_labels_of_rows_that_were_held_out(made):
    run, _, planted, *_ = made
    html = (run.path / "report.html").read_text(encoding="utf-8")
    section = html[html.index('<section id="labels">') :].split("</section>")[0]
    assert "Of 60 labels" in section
    rows = {int(row) for row in re.findall(r"row (\d+) \(T\d+\) <small>", section)}
    assert rows
    assert len(rows & planted) > 0.6 * len(rows)


def test_runs_that_predict_nothing_or_numbers_have_no_wrong_labels(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 4))
    run = Run.fit(bouba.Views({"a": x, "b": x + 1}), out=tmp_path / "run", method="cca", baseline=False)
    with pytest.raises(UsageError, match="predicts no label"):
        run.wrong_labels()


@pytest.fixture(scope="module")
def things(tmp_path_factory):
    """A run of shapes with captions: every twelfth picture and caption is the same shape in the same colour."""
    folder = tmp_path_factory.mktemp("same")
    lines = write_things(folder).read_text().splitlines()
    lines = [f"id,{lines[0]}", *(f"p{n},{line}" for n, line in enumerate(lines[1:]))]
    (folder / "things.csv").write_text("\n".join(lines) + "\n")
    read = {"text": "caption", "image": "photo"}
    run = Run.fit(folder / "things.csv", method="cca", out=folder / "run", read=read, baseline=False, ridge=0.1)
    return run, folder


def test_groups_are_those_of_the_rule_and_hold_each_row_once(things):
    run, folder = things
    groups = run.duplicates()
    rows = [row for group in groups for row in group.rows]
    assert len(rows) == len(set(rows))
    captions = {row: f"{row % 4} {row // 4 % 3}" for row in range(60)}
    by_caption = [group for group in groups if "equal" in group.links.get("caption", ())]
    assert by_caption
    for row in range(12, 60):  # whose caption stands twelve rows before, too
        group = next(group for group in groups if row in group.rows)
        assert any(captions[other] == captions[row] for other in group.rows if other != row)
    sizes = [len(group.rows) for group in groups]
    assert sizes == sorted(sizes, reverse=True)
    assert run.duplicates(folder / "things.csv") == groups


def test_duplicates_are_listed_of_a_run_and_of_its_table(things, typed, tmp_path):
    run, folder = things
    file, page = tmp_path / "same.parquet", tmp_path / "same.html"
    code, out, _ = typed("duplicates", run.path, "-o", file, "--page", page)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["group", "row", "id", "by", "cells"]
    assert max(map(len, lines)) <= LINES
    assert "rows show the same as another" in lines[-1]
    facts = json.loads(typed("duplicates", run.path, "--json")[1])
    assert {(one["row"], one["id"]) for one in facts} >= {(row, f"p{row}") for row in range(12, 60)}
    by_table = ["duplicates", folder / "things.csv", "--text", "caption", "--image", "photo"]
    assert json.loads(typed(*by_table, "--json")[1]) == facts
    import pyarrow.parquet as pq

    assert pq.read_table(file)["row"].to_pylist() == [one["row"] for one in facts]
    html = page.read_text(encoding="utf-8")
    assert "Rows that show the same" in html
    assert "data:image/" in html


def test_pairs_are_listed_by_the_same_rule_as_by_inspect(things, typed):
    run, _ = things
    pairs = json.loads(typed("suspicious", run.path, "--json")[1])["pairs"]
    assert pairs == json.loads(typed("inspect", "--pairs", run.path, "--json")[1])
    assert [one["row"] for one in pairs] == [doubt.row for doubt in run.suspicious()]
    assert pairs[0]["id"] == f"p{pairs[0]['row']}"
    assert typed("inspect", "--pairs", run.path)[1] == typed("suspicious", run.path)[1]
