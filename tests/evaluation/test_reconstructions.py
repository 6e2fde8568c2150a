"""evaluate_reconstructions: what comes back of each view, from all of them and from the others."""

import numpy as np
import pytest

from bouba import Views, evaluate
from bouba.data.views import Column
from bouba.evaluation import evaluate_reconstructions
from bouba.fuse import MultimodalAutoencoder


class Foreign:
    """Says a view is what the others say on average; knows a view that it is given."""

    def explained(self, X, truth=None):
        found = {}
        for name, column in (truth or X).columns.items():
            y = np.stack(list(column))
            used = [np.stack(list(X[v])) for v in ([name] if name in X.columns else X.columns)]
            found[name] = float(1 - ((y - np.mean(used, 0)) ** 2).sum() / ((y - y.mean(0)) ** 2).sum())
        return found


def related(n=200, seed=0):
    random = np.random.default_rng(seed)
    z = random.normal(size=(n, 4))
    columns = {name: Column.of(z + noise * random.normal(size=(n, 4)), "vector", random.random(n) < 0.8)
               for name, noise in (("a", 0.1), ("b", 0.5))}  # fmt: skip
    return Views(columns, y={"side": np.where(z[:, 0] > 0, "left", "right").astype(object)})


def test_definition_over_the_rows_that_have_the_view_and_one_that_is_asked():
    views = related()
    found = evaluate_reconstructions(Foreign(), views)
    a, b = (np.stack(list(views[v])) for v in "ab")
    both = views["a"].present & views["b"].present
    for name, y, other in (("a", a, b), ("b", b, a)):
        record = found.value(direction=f"without {name}->{name}")
        y, other = y[both], other[both]
        assert record.value == pytest.approx(1 - ((y - other) ** 2).sum() / ((y - y.mean(0)) ** 2).sum(), rel=1e-5)
        assert (record.n, record.chance, record.low) == (both.sum(), 0.0, None)
        whole = found.value(direction=f"all->{name}")
        assert (whole.value, whole.n) == (pytest.approx(1.0), views[name].present.sum())
    assert {r.direction for r in evaluate_reconstructions(Foreign(), views.select("a"))} == {"all->a"}


def test_recovery_an_autoencoder_fills_in_and_its_code_tells_classes():
    views = related(400)
    model = MultimodalAutoencoder(dim=8, epochs=30).fit(views[:300])
    found = evaluate(model, views[300:], probe=views[:300])
    given = {r.direction: r.value for r in found.where(metric="variance_explained")}
    assert given["all->a"] > given["without a->a"] > 0.2
    code = found.value(metric="side_accuracy", direction="all")
    assert code.low > code.chance
    assert not any(r.metric == "recall@1" for r in found)
