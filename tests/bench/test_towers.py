"""The bench of towers: both ways see the same rows, and what it prints comes from its records."""

import numpy as np
import pytest

from bouba.bench import towers as bench
from bouba.bench.paired import SECONDS
from bouba.errors import UsageError


class Model:
    """Says the share of its training rows that it would get right."""

    def __init__(self, views, right):
        self.views, self.right = views, right

    def score(self, judged):
        assert not set(self.views.key) & set(judged.key)
        return self.right + len(self.views) / 1e4


@pytest.fixture
def fits(monkeypatch):
    """Way -> training rows of each fit; nothing is trained."""
    seen = {"scratch": [], "frozen": []}

    def ways(task):
        def fit(way, right):
            return lambda views, seed: seen[way].append(views) or Model(views, right + seed / 100)

        return {"scratch": fit("scratch", 0.4), "frozen": fit("frozen", 0.6)}

    monkeypatch.setattr(bench, "_ways", ways)
    return seen


def test_command_measures_both_ways_on_the_same_rows(fits, kept_by):
    arguments = ("--task", "classes", "--seeds", 2, "--most", 200)
    result = kept_by(bench, *arguments).measured
    assert [len(views) for views in fits["scratch"]] == [100, 200, 100, 200]
    for ours, theirs in zip(fits["scratch"], fits["frozen"]):
        np.testing.assert_array_equal(ours.key, theirs.key)
    table = bench.tables(result)["towers"]
    assert [line[1] for line in table.lines] == ["100", "200"]
    [line] = [line for line in table.lines if line[1] == "200"]
    assert (line[3][:4], line[5][:6], line[7]) == ("42.5", "**62.5", "**20.0 [20.0, 20.0]**")
    assert 10 < float(line[2]) < 40, "the most frequent group"
    assert all(record.value >= 0 for record in result.where(metric=SECONDS))
    assert kept_by(bench, *arguments).measured == result, "nothing is measured twice"
    assert len(fits["scratch"]) == 4


def test_pairs_are_judged_by_retrieval(monkeypatch):
    training, judged = bench._rows("pairs", 100, 0, None)
    assert not set(training.group) & set(judged.group)
    monkeypatch.setattr(bench, "_ways", lambda task: {"scratch": small})
    [recall, spent] = bench.measured("pairs", 100, 0, None)
    assert (recall.metric, recall.direction, recall.n) == ("recall@10", "en->image", len(judged))
    assert recall.chance == pytest.approx(1000 / len(judged), rel=0.2)
    assert spent.value > 0


def small(views, seed):
    from bouba import CLIP, ConvNet, NGrams

    return CLIP({"image": ConvNet(8, channels=2), "en": NGrams()}, dim=4, epochs=1).fit(views)


def test_refusals():
    with pytest.raises(UsageError, match="no task 'pair'; did you mean 'pairs'"):
        bench.command(tasks=["pair"])
    with pytest.raises(UsageError, match="digits are those of MNIST; give --data FOLDER"):
        bench.command(tasks=["digits"])
