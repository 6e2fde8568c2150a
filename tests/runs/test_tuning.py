"""Searching for the method and settings of a table: what is tried, by what it is judged, and that it goes on."""

import json
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import twin_vectors

import bouba
from bouba import CCA, Run
from bouba.adapt import rank
from bouba.errors import DataError, MissingExtraError, Stopped, UsageError
from bouba.report.study import DONE, PRUNED, Study, Trial
from bouba.runs.composing import composed
from bouba.runs.methods import METHODS
from bouba.runs.spans import Between, OneOf, Times
from bouba.runs.tuning.budget import Budget, Limit
from bouba.runs.tuning.candidates import candidates, methods_for
from bouba.runs.tuning.judging import Judge
from bouba.runs.tuning.space import ARGUMENTS

optuna = pytest.importorskip("optuna")
pytest.importorskip("lancedb")
pytest.importorskip("plotly")

SOLVED = ["cca", "pls", "ridge-map"]
NOTHING = {"source": None, "target": None, "towers": None}


def views(n=120, labels=False):
    twins = twin_vectors(n, d=8)
    y = {"kind": np.where(np.stack(list(twins["left"]))[:, 0] > 0, "high", "low")} if labels else {}
    return twins.replace(y=y)


def plain(**sections):
    sections = {name: {} for name in ("read", "fit", "arguments")} | sections
    return composed(None, None, fusion=None, **sections)


def tuned(tmp_path, table=None, name="run", **options):
    options = {"methods": SOLVED, "trials": 6, "allow_duplicates": True} | options
    return bouba.tune(views() if table is None else table, out=tmp_path / name, **options)


def test_definition_of_the_score_where_views_are_aligned():
    table = views(60)
    model = CCA(n_components=2).fit(table[:40])
    rows = table[40:]
    z = {name: e / np.linalg.norm(e, axis=1, keepdims=True) for name, e in model.embed(rows).items()}
    inverse = []
    for a, b in permutations(z, 2):
        for i in range(len(rows)):
            similar = z[b] @ z[a][i]
            inverse.append(1 / (1 + sum(similar[j] > similar[i] for j in range(len(rows)))))
    assert Judge(rows)(model) == pytest.approx(np.mean(inverse), abs=1e-6)


def test_the_labels_of_a_target_are_not_read():
    table = views(80, labels=True).replace(domain=np.array(["shop", "studio"] * 40))
    model = bouba.FusionClassifier(epochs=2, dim=4, calibration=0.0).fit(table[:60])
    rows = table[60:]
    of_target = np.array(rows.domain) == "shop"
    hidden = rows.replace(y={"kind": np.where(of_target, "?", rows.y["kind"])})
    expected = rank({"": model}, rows, target="shop").scores["information"][""]
    assert Judge(rows, "shop")(model) == Judge(hidden, "shop")(model) == expected


@given(st.floats(1e-6, 1e6), st.integers(1, 500))
def test_law_of_spans(usual, whole):
    fixed = lambda value: optuna.trial.FixedTrial({"x": value})  # noqa: E731
    assert Times(0.5, 2).draw(fixed(1.0), "x", usual) == usual
    assert Times(0.5, 2, whole=True).draw(fixed(2.0), "x", whole) == 2 * whole
    assert Times(0.5, 2).draw(fixed(2.0), "x", usual) == pytest.approx(2 * usual, rel=6e-3)
    assert 0.1 <= Between(0.1, 3).draw(fixed(0.123456), "x", usual) <= 3
    assert OneOf(3, 4).draw(fixed(None), "x", None) is None


def test_every_method_with_an_argument_of_the_space_joins_the_search_by_that_alone():
    table = views(60)
    for method in METHODS.values():
        if method.needs_label or method.needs_target or method.name in ("learner", "gan", "flow"):
            continue
        (candidate,), refused = candidates(table, plain(), [method], NOTHING)
        own = {d.name.removeprefix("arguments.") for d in candidate.dimensions}
        usual = method.cls().get_params(deep=False)
        assert own & {*ARGUMENTS} == {n for n in ARGUMENTS if n in usual and ARGUMENTS[n].suits(usual[n])}
        assert not refused


def test_the_plain_recipe_is_that_of_fit_and_what_is_said_is_not_searched():
    recipe = plain(arguments={"dim": 4})
    (candidate,), _ = candidates(views(60), recipe, [METHODS["clip"]], NOTHING)
    usual = {d.name: d.usual for d in candidate.dimensions}
    assert candidate.recipe(usual) == candidate.recipe({}) == candidate.prepared.recipe
    assert "arguments.dim" not in usual
    assert candidate.recipe({"arguments.lr": 0.1})["arguments"] == {"dim": 4, "lr": 0.1}


def test_which_methods_suit_a_table():
    both, label = views(60), views(60, labels=True)
    aligning = methods_for(both, plain(), [])
    assert all(m.needs_views > 1 and not (m.translates or m.needs_target) for m in aligning)
    assert aligning == methods_for(label, plain(), [])  # a label that was guessed changes no question
    assert [m.name for m in methods_for(label, plain(read={"label": "kind"}), [])] == ["classifier"]
    number = label.select("left").replace(y={"price": np.linspace(0, 1, 60)})
    assert [m.name for m in methods_for(number, plain(), [])] == ["regressor"]
    adapting = {m.name for m in methods_for(label, plain(read={"label": "kind"}, fit={"target": "shop"}), [])}
    assert {"classifier", "dann"} < adapting


def test_a_search_ends_in_a_run_that_is_what_fit_makes_of_its_recipe(tmp_path):
    run = tuned(tmp_path)
    assert [t.method for t in run.study.trials if t.plain] == SOLVED
    assert [t.number for t in run.study.trials] == list(range(6))
    assert run.study.winner.score == max(t.score for t in run.study.trials if t.state == DONE)
    assert run.method.name == run.study.winner.method
    again = Run.fit(views(), out=tmp_path / "again", recipe=run.recipe, allow_duplicates=True)
    for view, z in again.model.embed(views()).items():
        assert np.array_equal(run.model.embed(views())[view], z)
    assert [r.value for r in run.result] == [r.value for r in again.result]
    page = run.report().read_text(encoding="utf-8")
    assert "How it was tuned" in page
    assert run.study.why in page.replace("&#39;", "'")
    run.report(views(), again=True, out=tmp_path / "page.html")
    assert "How it was tuned" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert Study.load(run.path) == run.study
    assert again.study is None


def test_no_trial_sees_what_is_judged(tmp_path, monkeypatch):
    fits, judges = [], []

    def score(judge, model):
        judges.append(set(judge.rows.rows.tolist()))
        return 0.5

    fit = CCA.fit
    monkeypatch.setattr(Judge, "__call__", score)
    monkeypatch.setattr(CCA, "fit", lambda self, X, **o: fits.append(set(X.rows.tolist())) or fit(self, X, **o))
    key = np.repeat(np.arange(60), 2)  # two rows a thing
    run = tuned(tmp_path, views().replace(key=key), methods=["cca"], trials=2)
    fitted, judged, winner = fits[0], judges[0], fits[2]
    assert fitted == fits[1]
    assert all(rows == judged for rows in judges)
    assert not {r // 2 for r in fitted} & {r // 2 for r in judged}
    assert fitted | judged == winner
    held_out = set(range(120)) - winner
    assert len(held_out) == 12
    assert run.study.fitted == len(fitted)
    assert run.study.winner.number == 0  # of equals the plain one


def test_a_killed_search_goes_on_where_it_was(tmp_path, monkeypatch):
    table, score, calls = tmp_path / "table.csv", Judge.__call__, []
    left, right = (np.stack(list(views()[name])) for name in ("left", "right"))
    names = [f"{side}_{i}" for side, part in (("a", left), ("b", right)) for i in range(part.shape[1])]
    np.savetxt(table, np.hstack([left, right]), delimiter=",", header=",".join(names), comments="")

    def dying(judge, model):
        calls.append(model)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return score(judge, model)

    read = {"vector": ["a_*", "b_*"]}
    monkeypatch.setattr(Judge, "__call__", dying)
    with pytest.raises(Stopped, match=r"trials are kept, go on with: bouba tune --resume -o"):
        tuned(tmp_path, table, read=read)
    with pytest.raises(UsageError, match="a run that was cut off stands at"):
        tuned(tmp_path, table, read=read)
    said = []
    run = bouba.tune(None, out=tmp_path / "run", resume=True, say=said.append)
    assert any("2 trials are kept" in line for line in said)
    assert [t.number for t in run.study.trials] == list(range(6))
    assert [t.method for t in run.study.trials if t.plain] == SOLVED  # the third was tried again
    assert [type(model).__name__ for model in calls[:4]] == ["CCA", "PLS", "RidgeMap", "RidgeMap"]
    assert run.study.limit == 600


def test_a_run_that_died_after_its_search_does_not_search_again(tmp_path, monkeypatch):
    from bouba.runs.fitting import Fitting

    train = Fitting.train
    monkeypatch.setattr(Fitting, "train", lambda self, *a, **o: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(Stopped):
        tuned(tmp_path)
    monkeypatch.setattr(Fitting, "train", train)
    monkeypatch.setattr(Judge, "__call__", lambda judge, model: pytest.fail("searched again"))
    run = Run.fit(views(), out=tmp_path / "run", resume=True)
    assert run.method.name == run.study.winner.method
    assert len(run.study.trials) == 6


def test_what_is_behind_is_stopped_early_but_no_plain_trial(tmp_path, monkeypatch):
    scores = iter(np.linspace(0.9, 0.1, 1000))
    monkeypatch.setattr(Judge, "__call__", lambda judge, model: float(next(scores)))
    run = tuned(tmp_path, methods=["clip", "deep-cca"], trials=5, epochs=4, towers="scratch", dim=4)
    states = [(t.plain, t.state) for t in run.study.trials]
    assert states[:2] == [(True, DONE), (True, DONE)]
    assert set(states[2:]) == {(False, PRUNED)}


def test_the_limit_of_time_leaves_one_trial_whatever_it_takes(tmp_path):
    run = tuned(tmp_path, minutes=1e-6, trials=None)
    assert [(t.method, t.plain, t.state) for t in run.study.trials] == [("cca", True, DONE)]
    budget = Budget(Limit(10.0), used=4.0)
    assert 4.0 <= budget.spent < 5.0
    assert not budget.is_over(1.0)
    assert budget.is_over(6.0)


def test_a_trial_that_fails_is_told_and_the_search_goes_on(tmp_path, monkeypatch):
    fit = CCA.fit

    def failing(self, X, **options):
        if len(X) < 100:
            raise DataError("these numbers cannot be solved for")
        return fit(self, X, **options)

    monkeypatch.setattr(CCA, "fit", failing)
    run = tuned(tmp_path, trials=3)
    assert [t.state for t in run.study.trials] == ["failed", DONE, DONE]
    assert run.study.trials[0].why == "these numbers cannot be solved for"
    with pytest.raises(DataError, match=r"no trial of .* ended with a score; the first: these numbers"):
        tuned(tmp_path, methods=["cca"], trials=3, name="other")


def test_refusals(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="are for different ends and no one score compares them"):
        tuned(tmp_path, views(labels=True), methods=["clip", "classifier"])
    with pytest.raises(UsageError, match="no method 'ccca'; did you mean 'cca'"):
        tuned(tmp_path, methods=["ccca"])
    with pytest.raises(UsageError, match="minutes above 0"):
        tuned(tmp_path, minutes=0)
    with pytest.raises(DataError, match=r"45 training rows are too few to try recipes on"):
        tuned(tmp_path, views(45))
    (tmp_path / "study.json").write_text(json.dumps({"metric": 3}))
    with pytest.raises(DataError, match=r"study.json is damaged"):
        Study.load(tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"optuna is not installed; it comes with: pip install 'bouba\[tune\]'"):
        tuned(tmp_path)


def test_the_best_so_far_and_the_order_of_trials():
    trial = lambda number, score, state=DONE: Trial(number, "cca", number == 0, {}, state, score, 1.0, number + 1.0)  # noqa: E731
    trials = [trial(0, 0.3), trial(1, None, PRUNED), trial(2, 0.2), trial(3, 0.5)]
    study = Study("score", 10, 5, 60.0, "minutes", trials, 3, "best")
    assert study.best_so_far == [(1.0, 0.3), (4.0, 0.5)]
    assert [t.number for t in study.by_score] == [3, 0, 2, 1]
    assert study.winner.score == 0.5


def test_the_command(tmp_path, capsys):
    from test_commands import bouba as command

    table = tmp_path / "things.csv"
    random = np.random.default_rng(0)
    kinds = random.choice(["red", "blue"], 80)
    lines = [
        f"{'a warm one' if kind == 'red' else 'a cold one'} {i % 7},{i % 5},{kind}" for i, kind in enumerate(kinds)
    ]
    table.write_text("words,number,kind\n" + "\n".join(lines))
    options = ["--label", "kind", "--trials", "2", "--epochs", "2", "--towers", "scratch", "--seed", "1"]
    command("tune", str(table), "-o", str(tmp_path / "best"), *options)
    run = Run.open(tmp_path / "best")
    assert run.method.name == "classifier"
    assert len(run.study.trials) == 2
    assert run.recipe["arguments"]["epochs"] == 2
    assert run.result is not None or run.facts["rows"] < 100
