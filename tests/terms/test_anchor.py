"""One view as the anchor of all others: which pairs are compared, and that views that never meet are found by it."""

import dataclasses
import tomllib

import numpy as np
import pytest
import torch

import bouba
from bouba import CLIP, MLP, InfoNCE, Learner, Views
from bouba.batch import Batch
from bouba.errors import ModalityError
from bouba.runs.recipe import build
from bouba.terms import (
    Correlation,
    FuseMix,
    Objective,
    PseudoPairs,
    RobustInfoNCE,
    SigmoidPairs,
    TransportPlans,
    Triplet,
)
from bouba.terms.contract import SPACE, a_batch

DECODABLE = dataclasses.replace(SPACE, raw=dict.fromkeys("abc", (3,)))
STAR = (("b", "a"), ("b", "c"))


@pytest.mark.parametrize(
    "cls", [Correlation, FuseMix, InfoNCE, PseudoPairs, RobustInfoNCE, SigmoidPairs, TransportPlans, Triplet]
)
def test_definition_it_is_the_pairs_with_the_anchor(cls):
    values = []
    for pairs in ("b", STAR, None):
        torch.manual_seed(0)
        objective = Objective.of(cls(pairs=pairs))
        state = objective.state(DECODABLE)
        batch = a_batch(objective.terms[0][1], DECODABLE, size=12, present=0.9)
        torch.manual_seed(1)
        values.append(objective.loss(batch, state)[0].item())
    assert values[0] == values[1]
    assert set(SPACE.dims) == {"a", "b", "c"}
    if values[0]:
        assert values[0] != values[2]


def test_no_gradient_between_views_that_are_no_anchor():
    z = {name: torch.randn(8, 4, requires_grad=True) for name in "abc"}
    present = {"a": torch.ones(8).bool(), "b": torch.zeros(8).bool(), "c": torch.ones(8).bool()}
    batch = Batch({}, present, torch.arange(8), z=z)
    term = InfoNCE(pairs="b")
    cost, _ = term.loss(batch, term.state(SPACE))
    assert cost is None  # rows without the anchor teach nothing


def three(n, seed, missing=True):
    """A picture in every row, and a text or a sound beside it, never both: all of one latent."""
    random = np.random.default_rng(seed)
    latent, cells = random.normal(size=(n, 4)), {}
    for place, (name, width) in enumerate({"image": 9, "text": 6, "audio": 7}.items()):
        mix = np.random.default_rng(10 + place).normal(size=(4, width))
        cells[name] = latent @ mix + 0.05 * random.normal(size=(n, width))
    views = Views(cells)
    if not missing:
        return views
    has_text = np.arange(n) % 2 == 0
    columns = {"text": views["text"].without(~has_text), "audio": views["audio"].without(has_text)}
    return views.replace(columns={**views.columns, **columns})


def test_recovery_two_views_that_never_met_find_each_other(tmp_path):
    training, new = three(500, 0), three(200, 1, missing=False)
    assert not (training.present["text"] & training.present["audio"]).any()
    model = CLIP(anchor="image", dim=8, epochs=25, batch_size=100).fit(training)
    emergent = new.select("text", "audio")
    found = model.score(emergent)
    untrained = CLIP(anchor="image", dim=8, epochs=1, lr=0.0).fit(training).score(emergent)
    assert found > 0.5, (found, untrained)
    assert untrained < 0.1
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    assert again.anchor == "image"
    assert np.array_equal(again.embed(new)["audio"], model.embed(new)["audio"])


def test_in_recipes():
    model = build(tomllib.loads('method = "clip"\n[arguments]\nanchor = "image"'))
    assert model.anchor == "image"
    recipe = 'method = "learner"\n[[objective]]\nterm = "InfoNCE"\npairs = "image"'
    assert build(tomllib.loads(recipe)).objective == Objective.of(InfoNCE(pairs="image"))


def test_refusals():
    views = three(60, 0)
    with pytest.raises(ModalityError, match="InfoNCE has the anchor 'imag', but no such view; did you mean 'image'"):
        CLIP(anchor="imag", epochs=1).fit(views)
    with pytest.raises(ModalityError, match="Triplet has the anchor 'picture', but no such view; there is"):
        Learner({"image": MLP(), "text": MLP()}, Triplet(pairs="picture"), epochs=1).fit(views)
