"""evaluate_translations: what was made, seen by a judge."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pytest

from bouba import Views
from bouba.data.views import Column
from bouba.errors import DataError, ModalityError
from bouba.evaluation import evaluate_translations
from bouba.metrics import frechet_distance


@dataclass
class Foreign:
    """Draws the doubled source with noise."""

    noise: float = 0.5
    source_: str = "source"
    target_: str = "target"

    def translate(self, X, n=1, *, random_state=0):
        source = 2 * np.stack(list(X["source"]))[:, None].repeat(n, 1)
        return (source + self.noise * np.random.default_rng(random_state).normal(size=source.shape)).astype(np.float32)

    def truth(self, X):
        return np.stack(list(X["target"]))


class Turned:
    """A judge that only turns the space."""

    def __init__(self, compared_by="cosine"):
        self.compared_by = compared_by

    def embed(self, X):
        turn = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
        return {"target": (np.stack(list(X["target"])) @ turn).astype(np.float32)}


def doubled(n=60, seed=0, **roles):
    source = np.random.default_rng(seed).normal(size=(n, 3)).astype(np.float32)
    return Views({"source": source, "target": 2 * source}, **roles)


def unit(z):
    return z / np.linalg.norm(z, axis=-1, keepdims=True)


@pytest.mark.parametrize("compared_by", ["cosine", "euclidean"])
def test_definition_of_every_record(compared_by):
    views, training, model = doubled(), doubled(90, seed=1), Foreign(1.0)
    judge = Turned(compared_by)
    found = evaluate_translations(model, views, judge=judge, training=training, method="mine", seed=3)
    scale = unit if compared_by == "cosine" else np.asarray
    made = scale(model.translate(views, 3, random_state=3).astype(float))
    true, known = (scale(model.truth(part).astype(float)) for part in (views, training))
    right, spread, new = [], [], []
    for i in range(60):
        for j in range(3):
            ranked = sorted(range(60), key=lambda k: ((made[i, j] - true[k]) ** 2).sum())
            right.append(i in ranked[:10])
            new.append(min(np.linalg.norm(made[i, j] - other) for other in known))
        spread += [np.mean([np.linalg.norm(a - b) for a, b in combinations(made[i], 2)])]
    usual = np.mean([np.linalg.norm(a - b) for a, b in combinations(true, 2)])
    held_out = np.median([min(np.linalg.norm(t - other) for other in known) for t in true])
    expected = {
        "r_precision@10": (np.mean(right), 10 / 60),
        "frechet_distance": (frechet_distance(made[:, 0], true), None),
        "diversity": (np.mean(spread) / usual, None),
        "novelty": (np.mean(new) / held_out, None),
    }
    assert [record.metric for record in found] == list(expected)
    for record in found:
        value, chance = expected[record.metric]
        assert record.value == pytest.approx(value, abs=1e-4)
        assert (record.method, record.domain, record.direction, record.n) == ("mine", "all", "source->target", 60)
        assert chance is None or record.chance == pytest.approx(chance)
        assert (record.low is None) == (record.metric == "frechet_distance")
    drawn = np.random.default_rng(3).permutation(90)[:60]
    real = found.value(metric="frechet_distance").chance
    assert real == pytest.approx(frechet_distance(known[drawn], true), abs=1e-4)
    assert found.meta["judge"] == "Turned"


def test_recovery_of_what_each_measure_is_for():
    views, training = doubled(), doubled(90, seed=1)
    judged = lambda model: {  # noqa: E731
        record.metric: record.value
        for record in evaluate_translations(model, views, judge=Turned("euclidean"), training=training)
    }
    exact, rough = judged(Foreign(0.0)), judged(Foreign(4.0))
    assert (exact["r_precision@10"], exact["diversity"]) == (1.0, 0.0)
    assert rough["r_precision@10"] < 0.9
    assert exact["frechet_distance"] == pytest.approx(0, abs=1e-6)
    assert rough["frechet_distance"] > 10
    assert rough["diversity"] > 1
    copies = np.stack(list(training["target"]))[:60, None].repeat(2, 1)
    copied = evaluate_translations(Foreign(), views, judge=Turned("euclidean"), training=training, made=copies)
    assert copied.value(metric="novelty").value == pytest.approx(0, abs=1e-6)


def test_rows_without_both_count_for_nothing_and_domains_are_apart():
    whole = doubled(50, domain=np.where(np.arange(50) < 44, "near", "far"), key=np.arange(50) // 2)
    gap = whole.replace(columns={"source": whole["source"], "target": whole["target"].without(np.arange(50) < 4)})
    made = Foreign().translate(whole, 2)
    found = evaluate_translations(Foreign(), gap, judge=Turned(), made=made)
    again = evaluate_translations(Foreign(), whole[np.arange(4, 50)], judge=Turned(), made=made[4:])
    assert found.records == again.records
    assert {record.domain: record.n for record in found} == {"near": 40, "far": 6}
    assert {record.metric for record in found.where(domain="far")} == {"frechet_distance", "diversity"}  # 10 of 6 rows
    imputed = gap.replace(
        columns={"source": gap["source"], "target": whole["target"]}, imputed={"target": np.arange(50) < 4}
    )
    assert evaluate_translations(Foreign(), imputed, judge=Turned(), made=made).records == found.records
    together = evaluate_translations(Foreign(), gap, judge=Turned(), by_domain=False)
    assert {(record.domain, record.n) for record in together} == {("all", 46)}


def test_real_items_of_the_same_domain_are_what_frechet_would_give():
    """Domains six apart: real items of both together lie far from either."""
    far = np.where(np.arange(80) < 40, 0, 6)[:, None]
    source = np.random.default_rng(0).normal(size=(80, 3)) + far
    views = Views({"source": source, "target": 2 * source}, domain=np.where(far[:, 0], "far", "near"))
    training = views[::2]
    found = evaluate_translations(Foreign(), views[1::2], judge=Turned("euclidean"), training=training)
    for domain in ("near", "far"):
        real, true = (np.stack(list(part[part.domain == domain]["target"])) for part in (training, views[1::2]))
        chance = found.value(domain=domain, metric="frechet_distance").chance
        assert chance == pytest.approx(frechet_distance(real, true), rel=1e-4)
    near = training[training.domain == "near"]
    strange = evaluate_translations(Foreign(), views[1::2], judge=Turned("euclidean"), training=near)
    assert strange.value(domain="far", metric="frechet_distance").chance is None


def test_what_is_not_defined_is_left_out():
    views = doubled()
    same = evaluate_translations(Foreign(), views, judge=Turned(), training=views, n=1)
    assert {record.metric for record in same} == {"r_precision@10", "frechet_distance"}  # one draw, nothing new


def test_refusal():
    views = doubled(3)
    alone = views.replace(columns={"source": views["source"], "target": views["target"].without(np.arange(3) < 2)})
    with pytest.raises(DataError, match="two rows or more that have 'source' and 'target', got 1"):
        evaluate_translations(Foreign(), alone, judge=Turned())
    with pytest.raises(ModalityError, match="rows with view 'target', got 'source'"):
        evaluate_translations(Foreign(), views.select("source"), judge=Turned())
    with pytest.raises(DataError, match="no domain has two rows"):
        evaluate_translations(Foreign(), doubled(3, domain=["a", "b", "c"]), judge=Turned())


def test_pictures_are_seen_as_pictures():
    pictures = [np.full((4, 4, 3), 10 * i, np.uint8) for i in range(12)]

    class Painter(Foreign):
        def translate(self, X, n=1, *, random_state=0):
            return np.stack(pictures)[:, None].repeat(n, 1)

        def truth(self, X):
            return np.stack(pictures)

    class Light:
        compared_by = "euclidean"

        def embed(self, X):
            assert X.modalities == {"target": "image"}
            return {"target": np.array([[np.mean(cell), 1.0] for cell in X["target"]])}

    columns = {"source": Column.of(np.eye(12), "vector"), "target": Column.of(pictures, "image")}
    found = evaluate_translations(Painter(), Views(columns), judge=Light())
    assert found.value(metric="r_precision@10").value > 0.99
