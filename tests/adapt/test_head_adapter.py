"""HeadAdapter: solved heads against their aligners, the choice without labels, missing cells, refusals."""

import logging

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import bouba
from bouba import MLP, GatedFusion, HeadAdapter, Learner, Prediction, Views
from bouba.adapt.linear_heads import ALIGNERS, NEEDS_POT, WAYS, probabilities, target_head
from bouba.adapt.selection import information
from bouba.errors import MissingExtraError, UsageError

QUICK = {"dim": 8, "epochs": 4, "batch_size": 50}


def bent(seed=0, n=240, d=6):
    """Four clusters, of which each moves by a way of its own in the target."""
    random = np.random.default_rng(seed)
    y, y_target = random.integers(0, 4, (2, n))
    centres, ways = 3 * random.normal(size=(4, d)), random.normal(size=(4, d))
    rows = lambda codes, where: where[codes] + 0.6 * random.normal(size=(n, d))  # noqa: E731
    return rows(y, centres), y, rows(y_target, centres + 1.3 * ways + 3.0), y_target


def tables(seed=0, hide=True):
    x, y, x_target, y_target = bent(seed)
    label = np.concatenate([y.astype(str).astype(object), np.full(len(y), None) if hide else y_target.astype(str)])
    both = Views({"x": np.vstack([x, x_target])}, y={"kind": label}, domain=["here"] * len(y) + ["there"] * len(y))
    return both, Views({"x": x_target}, domain=["there"] * len(y)), y_target.astype(str)


@pytest.mark.parametrize("way", [*ALIGNERS, "standardised"])
def test_definition_a_head_is_its_aligner_and_a_classifier_behind_it(way):
    if way in NEEDS_POT:
        pytest.importorskip("ot")
    x, y, x_target, _ = bent(n=120)
    head = target_head(way, x, y, x_target, 4)
    z, z_target = ((rows - rows.mean(0)) / rows.std(0, ddof=1) for rows in (x, x_target))
    if way in ALIGNERS:
        aligner = bouba.adapt.TCA() if way == "tca" else ALIGNERS[way]
        z, z_target = aligner.fit_transform(z, z_target, labels=y), aligner.transform(z_target, domain="target")
    length = np.sqrt(((z_target - z_target.mean(0)) ** 2).sum(1).mean())
    behind = LogisticRegression(C=0.12, max_iter=300, tol=1e-3).fit((z - z.mean(0)) / length, y)
    expected = behind.predict_proba((z_target - z.mean(0)) / length)
    np.testing.assert_allclose(probabilities(head, x_target), expected, atol=1e-6)


def test_two_classes_and_a_class_that_no_row_has():
    x, y, x_target, _ = bent(n=120)
    p = probabilities(target_head("coral", x, y % 2, x_target, 3), x_target)
    assert p.shape == (120, 3)
    np.testing.assert_allclose(p.sum(1), 1)
    assert p[:, 2].max() < 1e-6


def test_recovery_it_beats_the_source_alone_and_chooses_within_two_points_of_the_best():
    pytest.importorskip("ot")
    gains, regrets = [], []
    for seed in range(2):
        both, there, truth = tables(seed)
        towers = {"x": MLP((16,))}
        plain = Learner(towers, Prediction(), **QUICK).fit(both[both.domain == "here"])
        alone = np.mean(plain.predict(there)["kind"] == truth)
        model = HeadAdapter(towers, **QUICK).fit(both, target="there")
        chosen = np.mean(model.predict(there) == truth)
        each = [HeadAdapter(towers, by=way, **QUICK).fit(both, target="there") for way in ("standardised", "transport")]
        best = max([chosen, *(np.mean(other.predict(there) == truth) for other in each)])
        assert model.way_ == max(model.ways_, key=model.ways_.get)
        assert set(model.ways_) == set(WAYS) - {"nothing", "class-transport"}
        gains.append(chosen - alone)
        regrets.append(best - chosen)
    assert min(gains) > 0.1
    assert max(regrets) <= 0.02


def test_labels_of_the_target_are_not_read():
    (hidden, there, truth), (shown, _, _) = tables(), tables(hide=False)
    models = [HeadAdapter({"x": MLP(())}, by="jda", **QUICK).fit(views, target="there") for views in (hidden, shown)]
    assert np.mean(models[0].predict(there) == truth) > 0.4
    np.testing.assert_array_equal(np.sort(models[0].predict_proba(there)), np.sort(models[1].predict_proba(there)))


@pytest.mark.parametrize("fusion", [None, GatedFusion()])
def test_several_views_missing_cells_and_saving(fusion, tmp_path):
    both, _there, truth = tables()
    extra = both["x"]
    gone = np.arange(len(both)) % 3 == 0
    views = both.replace(columns={"x": extra.without(gone), "other": extra.without(np.arange(len(both)) % 3 == 1)})
    model = HeadAdapter(by="standardised", fusion=fusion, **QUICK).fit(views, target="there")
    rows = views[np.flatnonzero(views.domain == "there")]
    assert np.mean(model.predict(rows) == truth) > 0.6
    model.save(tmp_path / "model")
    loaded = bouba.load(tmp_path / "model")
    assert (loaded.way_, loaded.ways_) == (model.way_, model.ways_)
    np.testing.assert_array_equal(loaded.predict_proba(rows), model.predict_proba(rows))
    np.testing.assert_array_equal(loaded.predict_proba(rows.select("other")), model.predict_proba(rows.select("other")))


def test_without_a_target_the_rows_without_a_label_are_it_and_without_these_heads_stay(caplog):
    both, _there, _truth = tables()
    model = HeadAdapter({"x": MLP(())}, by="coral", **QUICK).fit(both)
    assert model.way_ == "coral"
    labelled = tables(hide=False)[0]
    with caplog.at_level(logging.WARNING, "bouba"):
        stayed = HeadAdapter({"x": MLP(())}, by="coral", **QUICK).fit(labelled)
    assert stayed.way_ == "nothing"
    assert "no two rows of the target and of two classes" in caplog.text


def test_information():
    p = np.array([[0.9, 0.1], [0.2, 0.8]])
    h = lambda q: -sum(v * np.log(v) for v in q)  # noqa: E731
    assert information(p) == pytest.approx(h(p.mean(0)) - (h(p[0]) + h(p[1])) / 2)


def test_refusals(monkeypatch):
    both, _, _ = tables()
    with pytest.raises(UsageError, match="no way 'transprot' to adapt a head; did you mean 'transport'"):
        HeadAdapter(by="transprot").fit(both, target="there")
    with pytest.raises(UsageError, match="a head that is solved is linear, got hidden=8; leave hidden out"):
        HeadAdapter(hidden=8).fit(both, target="there")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'bouba\[transport\]'"):
        HeadAdapter(by="transport").fit(both, target="there")
