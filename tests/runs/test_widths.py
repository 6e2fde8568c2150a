import json
import tomllib

import numpy as np
import pytest

from bouba import InfoNCE, Learner, Nested, Run
from bouba.cli import main
from bouba.errors import UsageError
from bouba.runs.tracking import SafeTracker
from bouba.terms import Objective

WORDS = ["apple", "river", "stone", "window", "garden", "letter", "morning", "bottle", "circle", "forest"]


class Followed:
    """Keeps what a tracker is told."""

    def __init__(self):
        self.rows, self.results = [], []

    def epoch(self, row):
        self.rows.append(row)

    def result(self, result):
        self.results.append(result)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A run of 160 rows of numbers and words, whose objective is nested, and what its tracker was told."""
    folder = tmp_path_factory.mktemp("widths")
    random = np.random.default_rng(0)
    lines = ["x1,x2,x3,x4,caption"]
    for _ in range(160):
        chosen = random.choice(len(WORDS), 2, replace=False)
        numbers = np.r_[np.cos(chosen), np.sin(chosen)] + 0.05 * random.normal(size=4)
        lines.append(",".join(f"{x:.4f}" for x in numbers) + f",the {WORDS[chosen[0]]} and the {WORDS[chosen[1]]}")
    (folder / "table.csv").write_text("\n".join(lines))
    model = Learner(objective=Nested(InfoNCE(), (4, 8)), dim=16, epochs=4, batch_size=32)
    follows = Followed()
    read = {"vector": ["x1", "x2", "x3", "x4"], "text": "caption"}
    options = {"out": folder / "run", "read": read, "holdout": 0.25, "allow_duplicates": True, "baseline": False}
    run = Run.fit(folder / "table.csv", method=model, tracker=follows, **options)
    return run, follows


def test_the_tracker_hears_of_each_epoch_and_of_the_numbers(made):
    run, follows = made
    assert follows.rows == run.history
    assert [row["epoch"] for row in follows.rows] == [1, 2, 3, 4]
    (result,) = follows.results
    assert [vars(record) for record in result] == [vars(record) for record in run.result]


def test_a_tracker_that_fails_is_left_and_the_run_goes_on(caplog):
    class Broken(Followed):
        def epoch(self, row):
            self.rows.append(row)
            raise ConnectionError("no network")

    broken = Broken()
    tracker = SafeTracker(broken)
    tracker.epoch({"epoch": 1})
    tracker.epoch({"epoch": 2})
    assert broken.rows == [{"epoch": 1}]
    assert "Broken failed (ConnectionError: no network); the run goes on without it" in caplog.text


def test_a_tracker_is_refused_where_it_cannot_hear(tmp_path):
    with pytest.raises(UsageError, match="a tracker hears of a run in this process; leave it or engine='ray' out"):
        Run.fit("table.csv", out=tmp_path / "run", engine="ray", tracker=Followed())


def test_the_recipe_of_a_run_keeps_what_is_nested(made):
    run, _ = made
    recipe = tomllib.loads((run.path / "recipe.toml").read_text())
    assert recipe["objective"] == [{"term": "Nested", "weight": 1.0, "dims": [4, 8], "inner": {"term": "InfoNCE"}}]
    again = Run.open(run.path)
    assert again.model.objective == Objective.of(Nested(InfoNCE(), (4, 8)))
    assert {"Nested", "Nested.4", "Nested.8", "Nested.16", "Nested.of_chance"} <= set(again.history[-1])


def test_a_search_at_a_width_compares_the_first_numbers(made):
    run, _ = made
    text = "the apple and the stone"
    [view] = [view for view, kind in run.model.kinds_.items() if kind == "vector"]
    query = run.model.embed({"caption": [text]})["caption"][0][:8]
    hits = run.search({"caption": text}, width=8, k=3)
    stored = run.index.vectors([hit.row for hit in hits], view=view)
    for hit in hits:
        cell = stored[hit.row][0][:8]
        assert hit.score == pytest.approx(cell @ query / np.linalg.norm(cell) / np.linalg.norm(query), abs=1e-5)
        assert (hit.view, hit.confidence) == (view, None)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert [[h.row for h in found] for found in run.search_many([{"caption": text}], width=8, k=3)] == [
        [h.row for h in hits]
    ]


def test_the_curve_is_on_the_rows_held_out_and_in_the_report(made):
    run, _ = made
    curve = run.widths()
    assert sorted({one.width for one in curve}) == [4, 8, 16]
    assert {one.n for one in curve} == {record.n for record in run.result if record.metric == "recall@10"}
    whole = {one.direction: one.value for one in curve if one.width == 16}
    assert whole == {r.direction: pytest.approx(r.value) for r in run.numbers() if r.metric == "recall@10"}
    page = (run.path / "report.html").read_text()
    assert "Shorter embeddings" in page
    assert '"widths":[{"data"' in page


def test_the_command_line_searches_at_a_width(made, capsys, monkeypatch):
    run, _ = made
    monkeypatch.setattr(
        "sys.argv", ["bouba", "search", str(run.path), "apple stone", "--width", "4", "-k", "2", "--json"]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert len(json.loads(capsys.readouterr().out)) == 2


def test_refusals(made):
    run, _ = made
    with pytest.raises(UsageError, match="width is from 1 to 16"):
        run.search("apple", width=17)
    with pytest.raises(UsageError, match=r"sure=0.9 cannot be had"):
        run.search("apple", width=4, sure=0.9)
    with pytest.raises(UsageError, match="widths are whole numbers from 1 to 16"):
        run.widths(widths=(32,))
