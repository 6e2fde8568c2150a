"""Simple predictors: what scikit-learn would give, from whichever views a row has, chosen on training rows."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_union
from sklearn.preprocessing import normalize

from bouba.data import Views
from bouba.data.views import Column
from bouba.errors import DataError
from bouba.evaluation import evaluate_predictions
from bouba.runs.simple import STRENGTHS, SimplePredictor, Truth
from bouba.runs.simple_readers import simple_readers, tf_idf_readers

COLOURS = ("red", "green", "blue")


def rows(n=120, seed=0):
    """Words that name a colour, numbers that give it in part; a third of each missing."""
    random = np.random.default_rng(seed)
    code = random.integers(3, size=n)
    words = [f"the {random.choice(['old', 'new', 'odd'])} {COLOURS[c]} one" for c in code]
    numbers = np.eye(3)[code] + 0.7 * random.normal(size=(n, 3))
    has = random.random((n, 2)) < 2 / 3
    views = {
        "words": Column.of(words, "text", has[:, 0]),
        "numbers": Column.of(numbers, "vector", has[:, 1]),
    }
    return Views(views, y={"colour": np.array(COLOURS, dtype=object)[code], "size": numbers.sum(1)})


def test_definition_of_tf_idf_and_logistic_regression():
    views = rows()
    texts = [str(cell) for cell, there in zip(views["words"], views["words"].present) if there]
    y = views.y["colour"][views["words"].present].astype(str)
    model = SimplePredictor("tf-idf", tf_idf_readers(views)).fit(views, {"colour": False})
    settings = {"sublinear_tf": True, "lowercase": True}
    union = make_union(
        TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), **settings),
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **settings),
    )
    values = normalize(union.fit_transform(texts))
    head = LogisticRegression(C=model.strength_, tol=1e-3, max_iter=200).fit(values, y)
    assert model.strength_ in STRENGTHS
    new = rows(40, seed=1)
    new = new[new["words"].present]
    expected = head.predict_log_proba(normalize(union.transform([str(cell) for cell in new["words"]])))
    np.testing.assert_allclose(model.outputs(new)["colour"][:, 0], expected, atol=1e-4)
    assert model.classes("colour").tolist() == sorted(COLOURS)


def test_definition_of_numbers():
    views = rows()
    readers = simple_readers(views.select("numbers"), crop=False, random_state=0)
    model = SimplePredictor("simple", readers).fit(views, {"size": True})
    x = np.stack([cell for cell, there in zip(views["numbers"], views["numbers"].present) if there])
    y = views.y["size"][views["numbers"].present].astype(float)
    scaled = (x - x.mean(0)) / x.std(0) / np.sqrt(3)
    ridge = Ridge(alpha=1 / model.strength_).fit(scaled, y)
    guess = model.outputs(views)["size"][views["numbers"].present, 0]
    np.testing.assert_allclose(guess, ridge.predict(scaled), atol=1e-3)


@pytest.mark.parametrize("boosted", [False, True])
def test_rows_without_what_is_read_get_the_prior(boosted):
    views, new = rows(), rows(60, seed=1)
    readers = simple_readers(views, crop=False, random_state=0)
    model = SimplePredictor("simple", readers, boosted).fit(views, {"colour": False, "size": True})
    subsets = [("words", "numbers"), ("words",), ()]
    outputs = model.outputs(new, subsets)
    shares = [np.mean(views.y["colour"] == colour) for colour in sorted(COLOURS)]
    for place, views_read in enumerate(subsets):
        none = ~np.any([new[view].present for view in views_read], axis=0) if views_read else np.ones(60, bool)
        assert none.any()
        np.testing.assert_allclose(np.exp(outputs["colour"][none, place]), np.tile(shares, (none.sum(), 1)))
        np.testing.assert_allclose(outputs["size"][none, place], views.y["size"].astype(float).mean())
        np.testing.assert_allclose(np.exp(outputs["colour"][:, place]).sum(1), 1, atol=1e-4)
    found = evaluate_predictions(model, new).value(direction="only words", metric="colour_accuracy")
    assert found.low > found.chance


def test_views_together_tell_more_than_each_alone():
    model = SimplePredictor("simple", simple_readers(rows(400), crop=False, random_state=0))
    result = evaluate_predictions(model.fit(rows(400), {"colour": False}), rows(200, seed=1))
    together, *alone = (
        result.value(direction=d, metric="colour_accuracy").value
        * result.value(direction=d, metric="colour_accuracy").n
        for d in ("all", "only words", "only numbers")
    )
    assert together > max(alone)


def test_a_thing_is_on_one_side_of_a_fold():
    """Each thing has a class of its own that its copies share and nothing predicts: only a leak would score."""
    random = np.random.default_rng(0)
    thing = np.repeat(np.arange(40), 3)
    numbers = random.normal(size=(40, 8))[thing] + 0.01 * random.normal(size=(120, 8))
    y = {"class": random.integers(2, size=40)[thing]}
    scores = []
    for key in (thing, None):
        views = Views({"numbers": numbers}, y=y, key=key)
        readers = simple_readers(views, crop=False, random_state=0)
        scores.append(SimplePredictor("simple", readers, boosted=True).fit(views, {"class": False}).score_)
    assert scores[0] < 0.7 < scores[1]


def test_classes_are_told_apart_by_name_and_unknown_labels_teach_nothing():
    truth = Truth.of(np.array([3.0, None, "3", 4.0], dtype=object), number=False)
    assert truth.classes == ("3", "4")
    assert truth.known.tolist() == [True, False, True, True]
    np.testing.assert_allclose(np.exp(truth.prior), [2 / 3, 1 / 3])
    views = rows(30).replace(y={"colour": np.full(30, None)})
    with pytest.raises(DataError, match="no training row has the label 'colour'"):
        SimplePredictor("x", simple_readers(views, crop=False, random_state=0)).fit(views, {"colour": False})
    alone = rows(30).replace(y={"colour": np.array(["red"] * 30, dtype=object)})
    model = SimplePredictor("x", simple_readers(alone, crop=False, random_state=0)).fit(alone, {"colour": False})
    np.testing.assert_allclose(model.outputs(rows(5))["colour"], 0, atol=1e-6)


def test_texts_stay_sparse_and_empty_ones_are_refused():
    views = rows()
    values = tf_idf_readers(views)["words"]("words", views["words"])
    assert sparse.issparse(values)
    np.testing.assert_allclose(np.sqrt(values.multiply(values).toarray().sum(1)), views["words"].present)
    with pytest.raises(DataError, match="view 't': no word in 0 texts"):
        tf_idf_readers(Views({"t": [" ", "\t", "\n"]}, kinds={"t": "text"}))
