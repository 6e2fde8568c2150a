"""evaluate: any model that embeds, judged per domain, beside chance."""

import numpy as np
import pytest
from made import twin_vectors

from bouba import Views, evaluate
from bouba.align import CCA
from bouba.errors import DataError


class Foreign:
    """A model of somebody else's: it returns what it was given."""

    def embed(self, X):
        return {name: np.stack([np.asarray(cell, float) for cell in column]) for name, column in X.columns.items()}


class Reader(Foreign):
    """Reads words as one-hot letters."""

    def embed(self, X):
        out = {}
        for name, column in X.columns.items():
            text = column.kind == "text"
            out[name] = np.stack([np.eye(3)["abc".index(c)] if text else np.asarray(c, float) for c in column])
        return out


def pairs(n=40, **known):
    z = np.random.default_rng(0).normal(size=(n, 6))
    return Views({"a": z, "b": z.copy()}, **known)


def test_identical_views_are_found_and_random_ones_are_at_chance():
    views = pairs()
    found = evaluate(Foreign(), views)
    assert found.value(direction="a->b", metric="recall@1").value == 1.0
    lost = views.replace(columns={"a": views["a"], "b": views["b"].take(np.roll(np.arange(40), 1))})
    record = evaluate(Foreign(), lost).value(direction="a->b", metric="recall@10")
    assert record.chance == pytest.approx(0.25)
    assert record.low < 0.25 < record.high
    assert record.n == 40


def test_each_domain_is_a_gallery_of_its_own():
    views = pairs(domain=np.array(["x", "y"] * 20, dtype=object))
    found = evaluate(Foreign(), views).where(metric="recall@1", direction="a->b")
    assert {(r.domain, r.n, round(r.chance, 3)) for r in found} == {("x", 20, 0.05), ("y", 20, 0.05)}
    together = evaluate(Foreign(), views, by_domain=False)
    assert together.value(metric="recall@1", direction="a->b").domain == "all"


def test_rows_that_lack_a_view_ask_nothing_and_are_not_found():
    views = pairs()
    absent = np.arange(40) % 4 == 0
    views = views.replace(columns={"a": views["a"], "b": views["b"].without(absent)})
    assert evaluate(Foreign(), views).value(direction="a->b", metric="recall@1").n == 30


def test_probe_and_zero_shot_accuracy():
    codes = np.random.default_rng(0).integers(0, 3, 90)
    z = np.eye(3)[codes] + 0.01 * np.random.default_rng(1).normal(size=(90, 3))
    names = np.array(list("abc"), dtype=object)[codes]
    views = Views({"v": z, "t": list(names)}, kinds={"t": "text"}, y={"kind": names})
    found = evaluate(Reader(), views[:45], probe=views[45:])
    probed = found.value(metric="kind_accuracy", direction="v")
    assert probed.value == 1.0
    assert probed.chance == pytest.approx(np.mean(names[:45] == max("abc", key=list(names[45:]).count)))
    spoken = found.value(metric="kind_zero_shot", direction="v")
    assert (spoken.value, spoken.chance) == (1.0, pytest.approx(1 / 3))


def test_the_probe_never_sees_the_judged_rows():
    """Labels of judged rows that are shuffled take the probe to chance, not to what it memorised."""
    random = np.random.default_rng(0)
    z = random.normal(size=(400, 4))
    views = Views({"v": z, "w": z.copy()}, y={"kind": random.choice(["a", "b"], 400).astype(object)})
    record = evaluate(Foreign(), views[:200], probe=views[200:]).value(metric="kind_accuracy", direction="v")
    assert 0.35 < record.value < 0.65


def test_one_key_has_no_interval():
    record = evaluate(Foreign(), pairs(5, key=np.array(["same"] * 5, dtype=object))).where(metric="recall@1").records[0]
    assert (record.value, record.low, record.high, record.chance) == (1.0, None, None, 1.0)


def test_refusal():
    with pytest.raises(DataError, match="evaluation needs two rows or more, got 1"):
        evaluate(Foreign(), pairs(40)[:1])


def test_recall_is_also_given_of_a_thousand():
    views = twin_vectors(160, noise=1.5)
    model = CCA(6, ridge=0.1).fit(views[:60])
    found = evaluate(model, views[60:]).value(direction="left->right", metric="recall@10_of_1000")
    measured = evaluate(model, views[60:]).value(direction="left->right", metric="recall@10")
    assert found.low < found.value < found.high
    assert found.chance == pytest.approx(0.01)
    assert found.chance < found.value < measured.value
    few = {record.metric for record in evaluate(model, views[60:100])}
    assert "recall@10" in few
    assert "recall@10_of_1000" not in few
