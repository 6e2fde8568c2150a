"""What the closed-form aligners share: two ways to give the target, pipelines, saving, refusals."""

import doctest
import importlib

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import bouba
from bouba.adapt import JDA, TCA, CORALAligner, SubspaceAligner, TransportAligner
from bouba.errors import DataError, UsageError
from bouba.persist import read_model

ALIGNERS = [CORALAligner(ridge=0.1), SubspaceAligner(3), TCA(3), TCA(3, kernel="rbf"), TransportAligner()]
every_aligner = pytest.mark.parametrize("aligner", ALIGNERS, ids=repr)


def domains(seed=0, n=200, d=20):
    """Two classes, four directions that turn a little between domains, other units and another origin."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % 2
    frame = random.normal(size=(4, d))
    turned = frame + 0.4 * random.normal(size=(4, d))

    def rows(directions):
        latent = np.column_stack([2.4 * y - 1.2 + 0.6 * random.normal(size=n), random.normal(size=(n, 3))])
        return latent @ directions + 0.3 * random.normal(size=(n, d))

    return rows(frame), rows(turned) * np.exp(0.5 * random.normal(size=d)) + 6 * random.normal(size=d), y


@every_aligner
def test_a_pipeline_moves_training_rows_and_takes_others_for_target_rows(aligner):
    source, target, y = domains()
    pipeline = make_pipeline(clone(aligner).set_params(target=target), LogisticRegression()).fit(source, y)
    apart = clone(aligner).fit(source, target)
    classifier = LogisticRegression().fit(apart.transform(source), y)
    by_hand = classifier.predict(apart.transform(target, domain="target"))
    np.testing.assert_array_equal(pipeline.predict(target), by_hand)
    np.testing.assert_array_equal(pipeline[0].transform(source, domain="source"), apart.transform(source))


@every_aligner
def test_the_target_says_what_transform_takes_rows_for(aligner):
    source, target, y = domains()
    direct, inside = clone(aligner).fit(source, target), clone(aligner).set_params(target=target).fit(source, y)
    assert (direct.domain_, inside.domain_) == ("source", "target")
    as_source, as_target = (direct.transform(source, domain=domain) for domain in ("source", "target"))
    np.testing.assert_array_equal(direct.transform(source), as_source)
    np.testing.assert_array_equal(inside.transform(source), as_target)
    np.testing.assert_array_equal(clone(direct).fit_transform(source, target), as_source)
    np.testing.assert_array_equal(clone(inside).fit_transform(source, y), as_source)
    assert np.allclose(as_source, as_target) is isinstance(aligner, TCA)  # one map for both


def test_side_by_side_with_raw_features():
    """Each beats a classifier of raw features in the mean over five seeds, and never loses two points."""
    raw, scores = [], {"coral": [], "subspace": [], "tca": []}
    for seed in range(5):
        source, target, y = domains(seed)
        raw.append(LogisticRegression(max_iter=500).fit(source, y).score(target, y))
        aligners = CORALAligner(target=target), SubspaceAligner(4, target=target), TCA(4, target=target)
        for name, aligner in zip(scores, aligners):
            model = make_pipeline(aligner, LogisticRegression(max_iter=500)).fit(source, y)
            scores[name].append(model.score(target, y))
    raw = np.array(raw)
    for name, found in scores.items():
        assert np.mean(found) > raw.mean() + 0.1, name
        assert min(found - raw) > -0.02, name


@every_aligner
def test_labels_are_not_read(aligner):
    source, target, y = domains()
    plain = clone(aligner).set_params(target=target).fit(source)
    for labels in (y, y.astype(str), np.full(len(y), np.nan), np.stack([y, 1 - y], axis=1)):
        other = clone(aligner).set_params(target=target).fit(source, labels)
        np.testing.assert_array_equal(
            other.transform(source, domain="source"), plain.transform(source, domain="source")
        )


@every_aligner
def test_saved_models_are_equal_to_the_bit_and_keep_no_target(aligner, tmp_path):
    source, target, y = domains()
    models = clone(aligner).fit(source, target), clone(aligner).set_params(target=target).fit(source, y)
    for number, model in enumerate(models):
        model.save(tmp_path / f"model{number}")
        loaded = bouba.load(tmp_path / f"model{number}")
        assert type(loaded) is type(model)
        assert loaded.domain_ == model.domain_
        assert loaded.target is None
        assert {**loaded.get_params(), "target": 0} == {**model.get_params(), "target": 0}
        for domain in (None, "source", "target"):
            np.testing.assert_array_equal(
                loaded.transform(target, domain=domain), model.transform(target, domain=domain)
            )
    assert "target" not in read_model(tmp_path / "model1")[0]["arguments"]


@pytest.mark.parametrize("module", ["coral_aligner", "subspace_aligner", "tca", "jda", "transport_aligner"])
def test_examples(module):
    assert doctest.testmod(importlib.import_module(f"bouba.adapt.{module}")).failed == 0


@every_aligner
def test_nothing_that_is_given_is_changed(aligner):
    source, target, _ = domains()
    before = source.copy(), target.copy()
    source.setflags(write=False)
    target.setflags(write=False)
    model = clone(aligner).fit(source, target)
    assert model.transform(source).dtype == np.float64
    model.transform(target, domain="target")[:] = 0
    np.testing.assert_array_equal((source, target), before)


def test_grid_search_over_a_pipeline():
    source, target, y = domains()
    pipeline = make_pipeline(SubspaceAligner(target=target), LogisticRegression())
    search = GridSearchCV(pipeline, {"subspacealigner__n_components": [1, 4]}, cv=3).fit(source, y)
    assert search.best_estimator_.score(target, y) > 0.9


@every_aligner
def test_frames_and_names(aligner):
    import pandas as pd

    source, target, _ = domains()
    names = [f"f{i}" for i in range(20)]
    frames = pd.DataFrame(source, columns=names), pd.DataFrame(target, columns=names)
    model = clone(aligner).set_output(transform="pandas").fit(*frames)
    moved = model.transform(frames[0])
    prefix = type(aligner).__name__.lower()
    assert list(moved) == (
        names if isinstance(aligner, CORALAligner | TransportAligner) else [f"{prefix}{i}" for i in range(3)]
    )
    np.testing.assert_allclose(moved, clone(aligner).fit(source, target).transform(source), atol=1e-9)
    with pytest.raises(DataError, match="target: The feature names should match"):
        clone(aligner).fit(frames[0], frames[1][names[::-1]])


@every_aligner
def test_refusals(aligner):
    source, target, y = domains()
    name, model = type(aligner).__name__, clone(aligner)
    spoilt = target.copy()
    spoilt[3, 1] = np.nan
    with pytest.raises(DataError, match=r"^Input X contains NaN"):
        model.fit(spoilt, target)
    with pytest.raises(DataError, match=r"^target: Input target contains NaN"):
        model.fit(source, spoilt)
    with pytest.raises(DataError, match="source rows have 20 columns, target rows 19; give both the same features"):
        model.fit(source, target[:, 1:])
    with pytest.raises(DataError, match=f"1 sample.* a minimum of 2 is required by {name}"):
        model.fit(source[:1], target)
    with pytest.raises(DataError, match="target: Found array with 1 sample"):
        model.fit(source, target[:1])
    for nothing, said in ((None, "none"), (y, r"\(200,\)")):
        with pytest.raises(UsageError, match=rf"{name} needs the target's rows \(m, 20\), got {said}; write fit\("):
            model.fit(source, nothing)
    with pytest.raises(UsageError, match=f"{name} got a target twice, in the constructor and in fit; give it once"):
        clone(model).set_params(target=target).fit(source, target)
    with pytest.raises(NotFittedError, match="not fitted"):
        model.transform(source)
    model.fit(source, target)
    with pytest.raises(UsageError, match="no domain 'sorce'; did you mean 'source'"):
        model.transform(source, domain="sorce")
    with pytest.raises(DataError, match=r"X has 19 features, but .* is expecting 20"):
        model.transform(source[:, 1:])
    with pytest.raises(DataError, match="Input X contains NaN"):
        model.transform(spoilt)
    with pytest.raises(UsageError, match="needs the target's rows"):
        model.fit(source)
    with pytest.raises(NotFittedError, match="not fitted"):  # a fit that failed leaves no half-fitted model
        model.transform(source)


class SelfAligned:
    """Every second row is the target: scikit-learn's checks have one array to give."""

    def fit(self, X, y=None, labels=None):
        rows = X if sparse.issparse(X) or hasattr(X, "columns") else np.asarray(X)
        halve = not sparse.issparse(X) and rows.ndim == 2 and len(rows) > 3
        return super().fit(X, rows[::2] if halve else rows)


class SelfCORAL(SelfAligned, CORALAligner):
    pass


class SelfSubspace(SelfAligned, SubspaceAligner):
    pass


class SelfTCA(SelfAligned, TCA):
    pass


class SelfTransport(SelfAligned, TransportAligner):
    pass


class SelfJDA(JDA):
    """Labels are made up: what scikit-learn gives as y may be numbers, or nothing."""

    def fit(self, X, y=None, labels=None):
        rows = X if sparse.issparse(X) or hasattr(X, "columns") else np.asarray(X)
        halve = not sparse.issparse(X) and rows.ndim == 2 and len(rows) > 3
        labels = np.arange(rows.shape[0]) % 2 if rows.ndim == 2 else None
        return super().fit(X, rows[::2] if halve else rows, labels=labels)


@parametrize_with_checks([SelfCORAL(), SelfSubspace(), SelfTCA(), SelfTCA(kernel="rbf"), SelfTransport(), SelfJDA()])
def test_scikit_learn(estimator, check):
    check(estimator)
