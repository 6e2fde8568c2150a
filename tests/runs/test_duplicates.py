"""Near-duplicates never stand on both sides of a cut unseen."""

import csv
import json
import sys

import numpy as np
import pytest
from PIL import Image, ImageDraw

import bouba
from bouba import Run, Views
from bouba.cli import main
from bouba.data.duplicates import Duplicates
from bouba.errors import DataError, RecipeError, UsageError
from bouba.runs.duplicates import Cut, caution, opened

pytest.importorskip("lancedb")
pytest.importorskip("plotly")

WORDS = ["red", "blue", "small", "large", "round", "old", "new", "wet", "fast", "cat", "dog", "tree", "house", "boat"]


def drawing(random, size=64):
    """A few coloured shapes on white, different each time."""
    picture = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(picture)
    for _ in range(5):
        x, y = random.integers(4, size - 24, 2).tolist()
        w, h = random.integers(6, 24, 2).tolist()
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape((x, y, x + w, y + h), fill=tuple(random.integers(0, 220, 3).tolist()))
    return picture


def sentence(random):
    return "a " + " ".join(random.choice(WORDS, 7))


def write_table(folder, *, captions=None, copies=60, n=200, seed=0):
    """A table of n rows with an id each; the last rows share a caption, a picture, or both, with some of the first."""
    random = np.random.default_rng(seed)
    captions = captions or [sentence(random) for _ in range(n)]
    rows = []
    for number in range(n):
        picture, caption = drawing(random), captions[number]
        if number >= n - copies // 2:
            twin = number - (n - copies // 2)
            if number % 3 != 0:
                caption = captions[twin].upper() + "!"
            if number % 3 != 1:
                picture = Image.open(folder / f"{twin:03d}.png").resize((96, 96), Image.Resampling.BICUBIC)
        name = f"{number:03d}.png"
        picture.save(folder / name)
        rows.append([number, name, caption])
    table = folder / "table.csv"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "picture", "caption"], *rows])
    return table


FIT = {"method": "clip", "towers": "scratch", "epochs": 1, "dim": 8, "batch_size": 64}


def fit(table, out, **options):
    said = []
    run = Run.fit(table, out=out, read={"key": "id"}, say=said.append, **FIT | options)
    return run, "\n".join(said)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("table"))


def test_rows_that_share_a_picture_or_a_caption_stay_on_one_side_and_it_is_said(table, tmp_path):
    run, said = fit(table, tmp_path / "run")
    assert "60 of 200 rows have a near-duplicate" in said
    assert run.caution == ""
    facts = run.facts["duplicates"]
    assert (facts["rows"], facts["across"]) == (60, {})
    assert facts["kept together"] == ["caption", "picture"]


def test_allowed_duplicates_are_said_in_the_summary_the_report_and_the_facts(table, tmp_path, capsys):
    out = tmp_path / "run"
    words = [str(table), "-o", str(out), "--key", "id", "--allow-duplicates", "--method", "clip", "--towers", "scratch"]
    words += ["--epochs", "1", "--dim", "8"]
    answer = command(capsys, "fit", *words)
    across = bouba.Run.open(out).facts["duplicates"]["across"]
    assert across
    assert set(across) <= {"caption", "picture"}
    assert "of the 20 rows held out have a near-duplicate" in answer
    assert "have a near-duplicate" in (out / "report.html").read_text(encoding="utf-8")
    assert "allow_duplicates = true" in (out / "recipe.toml").read_text(encoding="utf-8")


def command(capsys, *words):
    capsys.readouterr()
    before, sys.argv = sys.argv, ["bouba", *words]
    try:
        with pytest.raises(SystemExit) as end:
            main()
    finally:
        sys.argv = before
    assert not end.value.code
    return capsys.readouterr().out


def test_captions_that_name_a_class_cannot_be_kept_together_and_the_head_says_so(tmp_path):
    table = write_table(tmp_path, captions=[("cat", "dog", "bird")[i % 3] for i in range(200)], copies=0)
    run, said = fit(table, tmp_path / "run")
    assert "20 of the 20 rows held out have a near-duplicate of their text (caption) in training" in run.caution
    assert "say --label caption" in run.caution
    assert run.caution in said
    assert run.caution in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


def test_a_run_that_goes_on_is_cut_as_it_was(table, tmp_path):
    out = tmp_path / "run"
    before = fit(table, out)[0].facts["duplicates"]
    held_out = Cut.parts
    seen = []

    def parts(self, seed):
        training, judged = held_out(self, seed)
        seen.append(judged.rows.tolist())
        return training, judged

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cut, "parts", parts)
        patch.setattr("bouba.runs.fitting.duplicates", lambda views: pytest.fail("what was found is kept"))
        again = Run.fit(table, out=out, resume=True, epochs=2)
    assert again.facts["duplicates"] == before
    kept = json.loads((out / "duplicates.json").read_text(encoding="utf-8"))
    assert kept["rows"] == 200
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cut, "parts", parts)
        Run.fit(table, out=tmp_path / "other", read={"key": "id"}, **FIT)
    assert seen[0] == seen[1]


def test_a_run_of_before_keeps_its_cut_and_says_what_stands_across(table, tmp_path):
    out = tmp_path / "run"
    with pytest.MonkeyPatch.context() as patch:  # as runs were, before near-duplicates were looked for
        patch.setattr("bouba.runs.fitting._cut", lambda views, options, recorded: Cut(views, 0.1))
        fit(table, out)
    assert not (out / "duplicates.json").exists()
    assert Run.open(out).caution == ""
    views = bouba.read(table, key="id")
    training, judged = Cut(views, 0.1).parts(0)
    assert judged.rows.tolist() == bouba.split(views, {"train": 0.9, "test": 0.1})["test"].rows.tolist()
    assert training.group is None
    again = Run.fit(table, out=out, resume=True, epochs=2)
    assert "have a near-duplicate" in again.caution
    assert "have a near-duplicate" in Run.fit(None, out=out, resume=True, epochs=3).caution


def test_another_setting_is_refused_where_a_run_goes_on(table, tmp_path):
    fit(table, tmp_path / "run")
    with pytest.raises(UsageError, match=r"fit\.allow_duplicates = None, not True"):
        Run.fit(table, out=tmp_path / "run", resume=True, epochs=2, allow_duplicates=True)


def test_a_recipe_says_true_or_false():
    with pytest.raises(RecipeError, match=r"allow_duplicates in .fit. is true or false, got 'no'"):
        Run.fit("table.csv", out="run", recipe={"fit": {"allow_duplicates": "no"}})


def links(*pairs):
    return np.array(pairs, int).reshape(-1, 2)


def cut_of(n, view_links, share=0.1, **roles):
    views = Views({"x": np.random.default_rng(0).normal(size=(n, 3))}, **roles)
    return Cut.of(views, share, Duplicates(n, view_links), allowed=False)


def test_a_damaged_file_is_one_line(tmp_path):
    (tmp_path / "duplicates.json").write_text('{"rows": 3}')
    with pytest.raises(
        DataError, match=r"duplicates\.json is damaged, it lacks links, kept, allowed, contents, judged"
    ):
        opened(tmp_path, Views({"x": np.zeros((3, 2))}), 0.1)


def test_law_no_link_that_is_kept_crosses_the_cut():
    random = np.random.default_rng(1)
    for seed in range(20):
        pairs = random.integers(0, 300, (random.integers(1, 120), 2))
        cut = cut_of(300, {"a": {"equal": pairs[pairs[:, 0] != pairs[:, 1]]}}, key=random.integers(0, 250, 300))
        training, judged = cut.parts(seed)
        assert cut.kept
        assert cut.twins(judged) == {}
        assert set(training.key).isdisjoint(judged.key)
        assert len(training) + len(judged) == 300


def test_a_group_too_large_to_be_held_out_trains():
    placeholder = links(*[(0, row) for row in range(1, 120)])
    cut = cut_of(400, {"a": {"equal": placeholder}})
    for seed in range(5):
        training, judged = cut.parts(seed)
        assert set(range(120)) <= set(training.rows.tolist())
        assert 30 <= len(judged) <= 50
        assert caution(cut, judged) == ""


def test_only_what_chains_everything_is_let_go():
    chain = links(*[(row, row + 1) for row in range(399)])
    cut = cut_of(400, {"a": {"equal": links((0, 1), (2, 3)), "alike": chain}, "b": {"equal": links((4, 5))}})
    assert cut.kept == (("a", "equal"), ("b", "equal"))
    _, judged = cut.parts(0)
    assert set(cut.twins(judged)) == {"a"}


def test_twins_are_rows_linked_with_training_be_it_through_an_equal_one():
    views = Views({"x": np.zeros((6, 2))})
    cut = Cut(views, 0.5, Duplicates(6, {"x": {"equal": links((0, 1), (2, 3)), "alike": links((0, 2))}}))
    assert cut.twins(views[[1, 3, 5]])["x"].tolist() == [True, True, False]
    assert cut.twins(views[[0, 1, 4]])["x"].tolist() == [True, True, False]
    assert cut.twins(views[[0, 1, 2, 3]]) == {}


def test_inspect_counts_them_with_an_example(table, capsys):
    shown = command(capsys, "inspect", str(table), "--key", "id")
    assert "near-duplicates by" in shown
    facts = json.loads(command(capsys, "inspect", str(table), "--key", "id", "--json"))["duplicates"]
    assert {view: found["rows"] for view, found in facts.items()} == {"picture": 40, "caption": 40}
    assert facts["caption"]["pairs"] == {"equal": 20}
    first, second = facts["caption"]["example"]["rows"]
    one, other = facts["caption"]["example"]["cells"]
    assert second - first == 170
    assert other == f"{one.upper()}!"[:60]


def test_evaluate_warns_of_rows_that_were_in_training(table, tmp_path, caplog):
    run, _ = fit(table, tmp_path / "run")
    views = bouba.read(table, key="id")
    _, judged = Cut.parts(opened(run.path, views, 0.1), 0)
    run.evaluate(views[np.isin(views.rows, judged.rows)])
    assert "were in training" not in caplog.text
    run.evaluate(table)
    assert f"{200 - len(judged)} of 200 rows were in training" in caplog.text
