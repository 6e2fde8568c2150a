"""What views contributed to predictions and matches."""

import sys

import numpy as np
import pytest

from bouba import CLIP, MLP, FusionClassifier, FusionRegressor, MultitaskLearner, Views
from bouba.errors import DataError, ModalityError, UsageError
from bouba.fuse import explain, explain_match
from bouba.fuse.explanation import Explanation

TINY = {"epochs": 16, "dim": 8, "batch_size": 40, "calibration": 0.0}


def clues(n=240, seed=0):
    """`tells` says the class, `hints` says it with noise, `babbles` says nothing; a tenth of the cells is missing."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 3, n)
    columns = {
        "tells": np.eye(3)[y] + 0.1 * random.normal(size=(n, 3)),
        "hints": np.eye(3)[y] + 0.8 * random.normal(size=(n, 3)),
        "babbles": random.normal(size=(n, 4)),
    }
    full = Views(columns, y={"kind": np.array(["ant", "bee", "cow"])[y], "size": y + 0.1 * random.normal(size=n)})
    holes = {name: full[name].without(random.random(n) < 0.1) for name in full.columns}
    return full.replace(columns=holes)


@pytest.fixture(scope="module")
def model():
    towers = {name: MLP((16,)) for name in ("tells", "hints", "babbles")}
    return FusionClassifier(towers, label="kind", **TINY).fit(clues())


def test_definition_of_one_row(model):
    """Two views: the average of what the first adds alone and what it adds after the second."""
    views = clues(seed=1).select("tells", "hints")
    views = views[views["tells"].present & views["hints"].present][:7]
    found = explain(model, views, of="bee")
    log_p = model.outputs(views, [(), ("tells",), ("hints",), ("tells", "hints")])["kind"]
    none, tells, hints, both = np.exp(log_p[:, :, list(model.classes_).index("bee")]).T
    np.testing.assert_allclose(found.values[:, 0], ((tells - none) + (both - hints)) / 2, atol=1e-6)
    np.testing.assert_allclose(found.base, none)
    np.testing.assert_allclose(found.whole, both)
    assert found.answers.tolist() == ["bee"] * 7
    assert found.row(0) == {"tells": found.values[0, 0], "hints": found.values[0, 1]}


def test_law_absent_views_are_not_in_the_game_and_values_add_up(model):
    views = clues(seed=2)
    found = explain(model, views)
    np.testing.assert_allclose(found.values.sum(1), found.whole - found.base, atol=1e-6)
    assert not found.values[~found.present].any()
    lacks = ~found.present[:, 2] & found.present[:, 0] & found.present[:, 1]
    assert lacks.sum() > 5
    without = explain(model, views[lacks].select("tells", "hints"), of="predicted")
    np.testing.assert_allclose(found.values[lacks][:, :2], without.values, atol=1e-6)
    np.testing.assert_array_equal(found.answers, model.predict(views))
    np.testing.assert_allclose(found.whole, model.predict_proba(views).max(1), atol=1e-6)


def test_drawn_orders_agree(model):
    views = clues(seed=2)[:40]
    exact, drawn = explain(model, views), explain(model, views, orders=64)
    assert drawn.errors.any()
    assert np.all(np.abs(drawn.values - exact.values) <= 4 * drawn.errors + 1e-6)
    assert "Orders were drawn: standard errors up to" in drawn.format()
    assert "Orders" not in exact.format()


def test_recovery_of_who_knew(model):
    found = explain(model, clues(seed=3), of="truth")
    shares = {share.view: share for share in found.shares()}
    assert list(shares) == ["tells", "hints", "babbles"], "the largest first"
    assert shares["tells"].low > shares["hints"].high
    assert shares["hints"].low > shares["babbles"].high
    assert shares["tells"].low < shares["tells"].size < shares["tells"].high
    assert shares["tells"].n == found.present[:, 0].sum() < len(found)
    said = found.format()
    assert "Shapley values of views for the probability of kind; 0.3" in said
    assert said.splitlines()[1].startswith("tells")


def test_a_number_is_explained_in_its_own_unit():
    views = clues()
    model = FusionRegressor(label="size", **TINY).fit(views)
    found = explain(model, views)
    np.testing.assert_allclose(found.whole, model.predict(views), atol=1e-5)
    np.testing.assert_allclose(found.base, views.y["size"].mean(), atol=1e-5)
    np.testing.assert_allclose(found.values.sum(1), found.whole - found.base, atol=1e-5)
    assert found.answers is None
    assert found.what == "size"
    with pytest.raises(UsageError, match="label 'size' is a number, which is explained as it is"):
        explain(model, views, of="bee")


def test_several_labels_must_be_named():
    model = MultitaskLearner(**{**TINY, "epochs": 1}).fit(clues())
    assert explain(model, clues(), label="kind").what == "the probability of kind"
    with pytest.raises(UsageError, match=r"which label\? give label=.*'kind', 'size'"):
        explain(model, clues())
    with pytest.raises(UsageError, match="predicts no 'kin'; did you mean 'kind'"):
        explain(model, clues(), label="kin")


def test_one_row_has_no_interval(model):
    share = explain(model, clues()[:1]).shares()[0]
    assert (share.low, share.high, share.n) == (None, None, 1)
    assert " - " in explain(model, clues()[:1]).format()


def test_rows_without_any_view_and_many_rows_in_parts(model, monkeypatch):
    views = clues(seed=4)[:50]
    gone = np.arange(50) < 5
    views = views.replace(columns={name: views[name].without(gone) for name in views.columns})
    found = explain(model, views)
    assert not found.values[:5].any()
    np.testing.assert_allclose(found.whole[:5], found.base[:5])
    monkeypatch.setattr(sys.modules[explain.__module__], "ROWS", 3)
    np.testing.assert_allclose(explain(model, views).values, found.values, atol=1e-6)


def test_refusals(model):
    views = clues()
    with pytest.raises(UsageError, match="kind has no class 'be'; did you mean 'bee'"):
        explain(model, views, of="be")
    with pytest.raises(DataError, match="the truth of 'kind' is asked for, and X has no such label"):
        explain(model, views.replace(y={}), of="truth")
    unknown = np.where(np.arange(len(views)) == 7, None, views.y["kind"])
    with pytest.raises(DataError, match="row 7 has no kind that the model knows"):
        explain(model, views.replace(y={"kind": unknown}), of="truth")
    with pytest.raises(DataError, match="there is no row to explain"):
        explain(model, views[:0])
    with pytest.raises(ModalityError, match="no view 'smells'"):
        explain(model, Views({"smells": np.ones((3, 2))}))


class Given:
    """Embeddings as they are."""

    compared_by = "cosine"

    def embed(self, X):
        return {name: np.stack(list(column)) for name, column in X.columns.items()}


def three(n=40, seed=0):
    random = np.random.default_rng(seed)
    answer = random.normal(size=(n, 6))
    clear, vague = answer + 0.3 * random.normal(size=(n, 6)), answer + 2 * random.normal(size=(n, 6))
    return Views({"clear": clear, "vague": vague, "answer": answer})


def test_definition_of_a_match_by_counting():
    views = three()
    found = explain_match(Given(), views, ask=["clear", "vague"], answer="answer")
    unit = {name: np.stack([np.asarray(c) / np.linalg.norm(c) for c in views[name]]) for name in views.columns}

    def behind(names):
        queries = np.mean([unit[name] for name in names], 0)
        score = queries @ unit["answer"].T
        return np.array([np.mean(np.delete(row, i) < row[i]) for i, row in enumerate(score)])

    clear, vague, both = behind(["clear"]), behind(["vague"]), behind(["clear", "vague"])
    np.testing.assert_allclose(found.base, 0.5)
    np.testing.assert_allclose(found.whole, both, atol=1e-9)
    np.testing.assert_allclose(found.values[:, 0], ((clear - 0.5) + (both - vague)) / 2, atol=1e-9)
    np.testing.assert_allclose(found.values[:, 1], ((vague - 0.5) + (both - clear)) / 2, atol=1e-9)
    assert [share.view for share in found.shares()] == ["clear", "vague"]


def test_a_match_leaves_out_rows_without_answer_and_views_that_are_not_there():
    views = three()
    holes = views.replace(
        columns={
            "clear": views["clear"].without(np.arange(40) < 10),
            "vague": views["vague"],
            "answer": views["answer"].without(np.arange(40) >= 30),
        }
    )
    found = explain_match(Given(), holes, ask=["clear", "vague"], answer="answer")
    assert isinstance(found, Explanation)
    assert found.rows.tolist() == list(range(30))
    assert not found.values[:10, 0].any()
    np.testing.assert_allclose(found.values.sum(1), found.whole - found.base, atol=1e-9)


def test_a_match_of_equal_things_and_by_distance():
    views = three().replace(key=np.arange(40) // 2)
    found = explain_match(Given(), views, ask=["clear"], answer="answer")
    np.testing.assert_allclose(found.base, 2 / 3)  # the better of two in a random order stands before 2/3 of the rest
    far = Given()
    far.compared_by = "euclidean"
    assert explain_match(far, three(), ask=["clear", "vague"], answer="answer").whole.mean() > 0.8


def test_a_trained_aligner_is_explained():
    views = three(n=120)
    model = CLIP(epochs=15, dim=8, batch_size=40).fit(views)
    found = explain_match(model, views, ask=["clear", "vague"], answer="answer")
    shares = {share.view: share for share in found.shares()}
    assert shares["clear"].low > shares["vague"].high
    assert found.whole.mean() > 0.9


def test_match_refusals(model):
    with pytest.raises(UsageError, match="the views of a FusionClassifier share no space"):
        explain_match(model, clues(), ask=["tells"], answer="hints")
    with pytest.raises(ModalityError, match="no view 'cleer'; did you mean 'clear'"):
        explain_match(Given(), three(), ask=["cleer"], answer="answer")
    for ask in ([], ["answer"], ["clear", "clear"]):
        with pytest.raises(UsageError, match="ask with one view or more, each once and none the answer"):
            explain_match(Given(), three(), ask=ask, answer="answer")
    with pytest.raises(DataError, match="1 different things have view 'answer'; finding one needs two"):
        explain_match(Given(), three()[:1], ask=["clear"], answer="answer")
