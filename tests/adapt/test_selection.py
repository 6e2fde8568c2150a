"""Models ranked for a target domain whose labels nobody sees."""

import json

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import spearmanr

from bouba import Learner, Views
from bouba.adapt import rank, select
from bouba.adapt.evidence import CLIP, density_ratio
from bouba.adapt.selection import CRITERIA, Ranking, dev_risk
from bouba.errors import DataError, UsageError
from bouba.terms import InfoNCE, Prediction


class Linear:
    """A classifier of 0 and 1 by one fixed direction of view "x"; its embedding is the coordinates it weighs."""

    def __init__(self, *weights):
        self.kinds_ = {"x": "vector"}
        self.weights = np.array(weights, float)

    def embed(self, X):
        return {"x": np.stack(list(X["x"])) * self.weights}

    def predict_proba(self, X):
        return softmax(np.outer(self.embed(X)["x"].sum(1), [-1.0, 1.0]), axis=1)

    def predict(self, X):
        return self.predict_proba(X).argmax(1)


def domains(n=400, seed=0):
    """Column 0 tells the class in both domains, a little; column 1 well in the source, and the opposite in the target,
    where it is shifted too."""
    random = np.random.default_rng(seed)
    y = random.integers(0, 2, 2 * n)
    sign = 2 * y - 1
    x = random.normal(size=(2 * n, 2)) + np.stack([1.2 * sign, 2.5 * sign], 1)
    x[n:, 1] = random.normal(size=n) - sign[n:] - 6
    return Views({"x": x}, y={"class": y}, domain=["a"] * n + ["b"] * n)


MODELS = {"safe": Linear(2, 0), "spurious": Linear(1, 2), "collapsed": Linear(0, 0)}


def target_rows(views):
    return views[views.domain == "b"]


def test_recovery_source_validation_is_led_astray_and_the_others_are_not():
    views = domains()
    found = rank(MODELS, views, target="b", truth=target_rows(views))
    assert found.best("source") == "spurious"
    assert max(found.truth, key=found.truth.get) == found.best("information") == "safe"
    assert found.regret()["source"] > 0.2 > found.regret()["information"] == 0
    assert found.scores["information"]["collapsed"] == pytest.approx(0, abs=1e-9)
    assert found.scores["proxy a-distance"]["spurious"] < -1.5
    assert found.scores["proxy a-distance"]["safe"] > -0.3
    assert select(MODELS, views, target="b") == "safe"


def test_definition_of_source_entropy_and_information():
    views = domains(50)
    found = rank({"safe": MODELS["safe"]}, views, target="b").scores
    x = np.stack(list(views["x"]))
    right = [(2 * row[0] > 0) == y for row, y in zip(x[:50], views.y["class"][:50])]
    assert found["source"]["safe"] == pytest.approx(np.mean(right))
    entropies, mean = [], np.zeros(2)
    for row in x[50:]:
        p = 1 / (1 + np.exp(-4 * row[0]))
        entropies.append(-(p * np.log(p) + (1 - p) * np.log(1 - p)))
        mean += np.array([1 - p, p]) / 50
    assert found["entropy"]["safe"] == pytest.approx(-np.mean(entropies))
    assert found["information"]["safe"] == pytest.approx(-(mean * np.log(mean)).sum() - np.mean(entropies))


def test_definition_of_the_control_variate():
    """eta minimises the variance of w l + eta (w - 1), found here by search."""
    random = np.random.default_rng(0)
    w, loss = random.gamma(1, 1, 300), random.integers(0, 2, 300).astype(float)
    etas = np.linspace(-3, 3, 60001)
    best = etas[np.argmin([np.var(w * loss + eta * w) for eta in etas[::100]]) * 100]
    assert dev_risk(w, loss) == pytest.approx(np.mean(w * loss) + best * (w.mean() - 1), abs=1e-2)
    assert dev_risk(np.ones(5), np.arange(5.0)) == 2.0


def test_recovery_weights_are_the_ratio_of_two_gaussians():
    """N(1, 1) over N(0, 1) at z is exp(z - 1/2); so a mean over weighted source rows is one over the target."""
    random = np.random.default_rng(1)
    source, target = random.normal(size=(4000, 1)), random.normal(size=(2000, 1)) + 1
    w = density_ratio(source, target)
    np.testing.assert_allclose(np.log(w), np.minimum((source - 0.5)[:, 0], np.log(CLIP)), atol=0.25)
    assert np.mean(w * source[:, 0]) == pytest.approx(1, abs=0.1)
    assert abs(source.mean()) < 0.1
    assert density_ratio(source, target + 50).max() < 0.1
    assert density_ratio(source[:50], target[:50] * 0 + source[:1]).max() <= CLIP


def test_recovery_importance_weighting_counts_the_errors_where_the_target_is():
    """The class turns at x = 1; a model that says x > 0 errs on 16% of N(0, 1) and on 50% of N(1, 1)."""
    random = np.random.default_rng(2)
    x = np.concatenate([random.normal(size=3000), random.normal(size=3000) + 1.0])[:, None]
    y = ((x[:, 0] > 0) & (x[:, 0] < 1)).astype(int)
    views = Views({"x": x}, y={"class": y}, domain=["a"] * 3000 + ["b"] * 3000)
    found = rank({"m": Linear(3)}, views, target="b", truth=target_rows(views))
    truth = found.truth["m"]
    assert found.scores["source"]["m"] > truth + 0.3
    assert abs(found.scores["importance weighted"]["m"] - truth) < 0.1
    assert abs(found.scores["dev"]["m"] - truth) < 0.1


def test_law_labels_keys_and_pairings_of_the_target_change_no_score():
    views = domains(100)
    random = np.random.default_rng(3)
    y = views.y["class"].copy()
    y[100:] = random.permutation(y[100:])
    a = rank(MODELS, views, target="b").scores
    b = rank(MODELS, views.replace(y={"class": y}), target="b", truth=target_rows(views)).scores
    gone = np.where(views.domain == "b", None, views.y["class"].astype(object))
    c = rank(MODELS, views.replace(y={"class": gone}), target="b").scores
    assert a == b == c


def test_models_of_bouba_that_predict_and_that_align():
    random = np.random.default_rng(0)
    h = random.normal(size=(160, 3))
    x, z = h + 0.1 * random.normal(size=h.shape), h[:, ::-1] * 2
    x[80:] += 1
    views = Views({"x": x, "z": z}, y={"class": h[:, 0] > 0}, domain=["a"] * 80 + ["b"] * 80)
    predictors = {
        name: Learner(objective=Prediction(), epochs=e, dim=8, lr=5e-3).fit(views, target="b")
        for name, e in (("short", 1), ("long", 20))
    }
    said = rank(predictors, views, target="b", truth=target_rows(views))
    assert said.scores["source"]["long"] > 0.9 > said.scores["source"]["short"] - 0.1
    assert said.truth["long"] == pytest.approx(
        np.mean(predictors["long"].predict(views)["class"][80:] == (h[80:, 0] > 0))
    )
    assert all(np.isfinite(list(scores.values())).all() for scores in said.scores.values())
    aligners = {"clip": Learner(objective=InfoNCE(), epochs=25, dim=8, lr=5e-3).fit(views, target="b")}
    found = rank(aligners, views, target="b", truth=target_rows(views))
    own = views[:80]
    assert found.scores["source"]["clip"] == pytest.approx(aligners["clip"].score(own), abs=1e-6)
    assert found.truth["clip"] == pytest.approx(aligners["clip"].score(views[80:]), abs=1e-6)
    z_x, z_z = (aligners["clip"].embed(views)[v].astype(float) for v in "xz")
    unit = lambda rows: rows / np.linalg.norm(rows, axis=1, keepdims=True)  # noqa: E731
    p = softmax(unit(z_x[80:]) @ unit(z_z[:80]).T / aligners["clip"].temperature_, axis=1)
    assert found.scores["entropy"]["clip"] == pytest.approx((p * np.log(np.maximum(p, 1e-300))).sum(1).mean(), abs=1e-4)


def test_definition_of_spearman_and_regret():
    scores = {"good": {"m": 0.1, "n": 0.5, "o": 0.9}, "bad": {"m": 3.0, "n": 2.0, "o": 1.0}}
    scores["none"] = dict.fromkeys("mno", np.nan)
    found = Ranking(scores, {"m": 0.2, "n": 0.6, "o": 0.5})
    assert found.spearman()["good"] == pytest.approx(spearmanr([0.1, 0.5, 0.9], [0.2, 0.6, 0.5]).statistic)
    assert np.isnan(found.spearman()["none"])
    assert found.regret() == pytest.approx({"good": 0.1, "bad": 0.4})
    lines = str(found).splitlines()
    assert lines[0].split() == ["model", "good", "bad", "none", "truth"]
    assert lines[-1].split() == ["regret", "0.100", "0.400", "-", "-"]
    assert json.loads(json.dumps(found.to_dict()))["scores"]["none"]["m"] is None


def test_refusals():
    views = domains(20)
    with pytest.raises(UsageError, match="rank needs a model or more, got none"):
        rank({}, views, target="b")
    with pytest.raises(DataError, match="no domain 'c'"):
        rank(MODELS, views, target="c")
    with pytest.raises(UsageError, match="no criterion 'entropi'; did you mean 'entropy'"):
        select(MODELS, views, target="b", by="entropi")
    with pytest.raises(UsageError, match="neither predict_proba nor embed"):
        rank({"m": object()}, views, target="b")
    with pytest.raises(UsageError, match="there is no truth to compare with"):
        rank(MODELS, views, target="b").spearman()
    with pytest.raises(UsageError, match="label='size' is not what Linear predicts; there is 'class'"):
        rank(MODELS, views, target="b", label="size")
    with pytest.raises(DataError, match="no row of these 20 has label 'class' to judge by"):
        rank(MODELS, views.replace(y={"class": [None] * 40}), target="b")
    with pytest.raises(DataError, match="entropy is defined for none of these models; choose by hand"):
        Ranking({"entropy": {"m": np.nan}}).best("entropy")
    assert set(CRITERIA) == set(rank(MODELS, views, target="b").scores)
