"""The bench plants what it says, and measures it."""

import json

import numpy as np
from typer import Typer
from typer.testing import CliRunner

from bouba.bench import sparse_cca as bench


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


def test_command_writes_every_method(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "peak_mb", lambda function, **arguments: bench.fit_alone(**arguments))  # no fresh ones
    app = Typer()
    app.command()(bench.command)
    said = ["--rows", "1500", "--columns", "1000", "--out", str(tmp_path / "found.json")]
    result = CliRunner().invoke(app, said)
    assert result.exit_code == 0, result.output
    run = json.loads((tmp_path / "found.json").read_text())["runs"][0]
    assert run["bouba"]["held_out"] > run["covariance"]["held_out"] + 3
    assert run["oracle"]["held_out"] < 29.5
    for method in ("bouba", "alternating", "covariance"):
        assert run[method]["cpu_s"] > 0
        assert run[method]["peak_mb"] > 50
    assert run["environment"]["versions"]["scipy"]
