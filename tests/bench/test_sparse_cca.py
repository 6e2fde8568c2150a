"""The bench plants what it says, and measures it."""

import numpy as np

from bouba.bench import sparse_cca as bench
from bouba.bench.paired import SECONDS


def test_topics_are_shared_and_styles_half_so():
    views, owners = bench.corpus(3000, 2000, seed=0)
    totals = [view @ owner for view, owner in zip(views, owners)]  # words of each topic in each row
    topic = [total.toarray().argmax(1) for total in totals]
    assert (topic[0] == topic[1]).mean() > 0.98
    assert all(view.shape == (3000, 2000) and view.sum(1).min() == bench.WORDS for view in views)
    assert 0.25 < totals[0].max(1).mean() / bench.WORDS < 0.35


def test_correlations_are_pearson():
    x, y = np.random.default_rng(0).normal(size=(2, 50, 3))
    np.testing.assert_allclose(bench.correlations(x, y), [np.corrcoef(x[:, i], y[:, i])[0, 1] for i in range(3)])


def test_command_writes_every_method(kept_by, monkeypatch):
    monkeypatch.setattr(bench, "peak_mb", lambda function, **arguments: bench.fit_alone(**arguments))  # no fresh ones
    kept = kept_by(bench, "--rows", 1500, "--columns", 1000)
    result = kept.measured
    sums = {record.method: record.value for record in result.where(metric=bench.SUM)}
    assert sums["bouba"] > sums["covariance"] + 3
    assert sums["oracle"] < 29.5
    for method in ("bouba", "alternating", "covariance"):
        assert result.value(method=method, metric=SECONDS).value > 0
        assert result.value(method=method, metric=bench.PEAK).value > 50
    assert kept.environment["versions"]["scipy"]
    assert kept.environment["data"] == "simulated"
    table = bench.tables(result)["correlations"]
    assert [line[1] for line in table.lines] == [f"{sums[method]:.2f}" for method in bench.METHODS]
    assert table.lines[0][2:] == ["-", "-"], "the oracle is not timed"
    assert " on 150 new rows, 29 were planted. 1,500 rows, 1,000 columns a view, 27 numbers" in table.note
