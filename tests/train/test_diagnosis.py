"""Numbers of a batch by their definition, and a sentence for each way to fail."""

import itertools
import logging

import numpy as np
import pytest
import torch

from bouba import CLIP, MLP, Views
from bouba.batch import Batch
from bouba.train.diagnosis import measure, verdicts


def a_batch(key=None):
    generator = torch.Generator().manual_seed(0)
    z = {name: torch.randn(6, 3, generator=generator) for name in ("a", "b")}
    present = {"a": torch.ones(6, dtype=torch.bool), "b": torch.tensor([1, 1, 1, 1, 0, 0], dtype=torch.bool)}
    z["b"][4:] = float("nan")
    return Batch({}, present, torch.arange(6), z=z, key=key)


def test_definition():
    batch = a_batch(torch.tensor([3, 3, 5, -1, -1, 7]))
    found = measure(batch)
    u = {name: torch.nn.functional.normalize(z[batch.present[name]], dim=1) for name, z in batch.z.items()}
    for name, unit in u.items():
        cosines = [float(unit[i] @ unit[j]) for i, j in itertools.permutations(range(len(unit)), 2)]
        assert float(found[f"similarity.{name}"]) == pytest.approx(np.mean(cosines), abs=1e-6)
    assert float(found["gap"]) == pytest.approx(float((u["a"].mean(0) - u["b"].mean(0)).norm()), abs=1e-6)
    assert float(found["repeats"]) == pytest.approx(2 / 4)
    assert "repeats" not in measure(a_batch())


def test_a_sentence_for_each_way_to_fail():
    assert verdicts({"loss": 2.0, "InfoNCE.of_chance": 0.5, "similarity.image": 0.2, "gap": 0.4, "repeats": 0.1}) == {}
    (collapsed,) = verdicts({"similarity.image": 0.98}).values()
    assert collapsed.startswith("the embeddings of 'image' have collapsed: two of them at random have cosine 0.98")
    (stuck,) = verdicts({"InfoNCE.of_chance": 0.99}).values()
    assert stuck.startswith("InfoNCE stands at 0.99 of what guessing costs: nothing is learnt yet")
    (solved,) = verdicts({"InfoNCE.of_chance": 0.004}).values()
    assert solved.startswith("InfoNCE is solved: 0.004 of what guessing costs")
    (few,) = verdicts({"repeats": 0.7}).values()
    assert few.startswith("70% of a batch's rows show what another")


def test_few_keys_do_not_hide_that_nothing_is_learnt(caplog):
    """Half of the rows are no negatives of each other, so all alike costs less than ln B; it is still all of chance."""
    random = np.random.default_rng(0)
    views = Views({"a": random.normal(size=(64, 4)), "b": np.ones((64, 3))}, key=np.arange(64) % 2)
    with caplog.at_level(logging.WARNING, logger="bouba"):
        model = CLIP({"a": MLP(dropout=0.0), "b": MLP(dropout=0.0)}, epochs=60, batch_size=64, lr=0.02).fit(views)
    assert model.history_[-1]["InfoNCE"] < 0.9 * np.log(64)
    assert model.history_[-1]["InfoNCE.of_chance"] == pytest.approx(1, abs=0.02)
    assert any("nothing is learnt yet" in record.getMessage() for record in caplog.records)


def test_training_on_what_cannot_be_told_apart_says_so(caplog):
    """All cells of one view are the same: the loss stays at ln B whatever the towers do."""
    random = np.random.default_rng(0)
    views = Views({"a": random.normal(size=(64, 4)), "b": np.ones((64, 3))})
    with caplog.at_level(logging.WARNING, logger="bouba"):
        model = CLIP({"a": MLP(dropout=0.0), "b": MLP(dropout=0.0)}, epochs=60, batch_size=64, lr=0.02).fit(views)
    assert model.history_[-1]["InfoNCE.of_chance"] == pytest.approx(1, abs=0.02)
    messages = [record.getMessage() for record in caplog.records]
    assert sum("the embeddings of 'b' have collapsed" in line for line in messages) == 1, "once, not every epoch"
    assert any("nothing is learnt yet" in line for line in messages)
