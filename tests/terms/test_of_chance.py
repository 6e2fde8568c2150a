"""What a loss is as a share of chance: 1 where all cells look alike, whatever keys and gaps leave of the negatives."""

import math

import pytest
import torch

from bouba.batch import Batch
from bouba.terms import ExplicitNegatives, InfoNCE, NTXent, Space, SupervisedContrastive
from bouba.terms.rows import negatives

KEYS = {
    "none": None,
    "two": torch.tensor([0, 1] * 6),
    "some unknown": torch.tensor([0, 0, 0, 1, 1, 2, -1, -1, -1, 3, 4, 4]),
}
VIEWS = ("a", "b", "c")
GAPS = {
    "whole": torch.ones(3, 12, dtype=torch.bool),
    "gaps": torch.tensor([[1] * 12, [1] * 7 + [0] * 5, [0, 1, 1] * 4], dtype=torch.bool),
}
TERMS = {
    "InfoNCE": lambda tile: InfoNCE(tile=tile),
    "InfoNCE, euclidean": lambda tile: InfoNCE(similarity="euclidean", tile=tile),
    "NTXent": lambda tile: NTXent(tile=tile),
    "ExplicitNegatives": lambda tile: ExplicitNegatives("a", "b", ("c",), tile=tile),
    "ExplicitNegatives, in batch": lambda tile: ExplicitNegatives("a", "b", ("c",), in_batch=True, tile=tile),
    "SupervisedContrastive": lambda tile: SupervisedContrastive(by="key", tile=tile),
}


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("gaps", GAPS)
@pytest.mark.parametrize("tile", [None, 3])
@pytest.mark.parametrize("name", TERMS)
def test_all_alike_is_all_of_chance(name, tile, gaps, keys):
    term = TERMS[name](tile)
    z = {view: torch.ones(12, 4) for view in VIEWS}
    batch = Batch({}, dict(zip(VIEWS, GAPS[gaps])), torch.arange(12), z=z, twin=z, key=KEYS[keys])
    value, parts = term.loss(batch, term.state(Space(dict.fromkeys(VIEWS, 4))))
    assert parts["of_chance"].item() == pytest.approx(1, abs=1e-5)
    assert 0 < value.item() <= math.log(36)


@pytest.mark.parametrize("name", [name for name in TERMS if name not in ("ExplicitNegatives", "SupervisedContrastive")])
def test_one_key_leaves_nothing_to_tell_apart(name):
    z = {view: torch.randn(12, 4) for view in VIEWS}
    present = {"a": GAPS["whole"][0], "b": GAPS["whole"][1], "c": ~GAPS["whole"][2]}
    term = TERMS[name](None)
    batch = Batch({}, present, torch.arange(12), z=z, twin=z, key=torch.zeros(12, dtype=torch.int64))
    value, parts = term.loss(batch, term.state(Space(dict.fromkeys(VIEWS, 4))))
    assert "of_chance" not in parts
    assert value is None or value.item() == 0


def test_definition_of_negatives():
    for key in KEYS.values():
        expected = [
            sum(j != i and (key is None or key[i] < 0 or key[i] != key[j]) for j in range(12)) for i in range(12)
        ]
        assert negatives(key, 12, "cpu").tolist() == expected
