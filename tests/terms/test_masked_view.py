"""Masked views: the definition, hidden views never read, and what only two views together can tell."""

import numpy as np
import pytest
import torch

import bouba
from bouba import CLIP, ConcatFusion, GatedFusion, InfoNCE, Learner, MaskedView, MultimodalVAE, Views
from bouba.errors import ModalityError, UsageError
from bouba.metrics import mean_reciprocal_rank
from bouba.terms import info_nce
from bouba.terms.contract import SPACE, a_batch
from bouba.terms.reconstruction import reconstruction

FAST = {"dim": 8, "epochs": 2, "batch_size": 40}


def test_definition():
    term = MaskedView(temperature=0.2, learn=False)
    state, batch = term.state(SPACE), a_batch(term, SPACE, size=10)
    costs = []
    for view in SPACE.dims:
        rows = [i for i in range(10) if batch.present[view][i] and sum(batch.present[v][i] for v in SPACE.dims) > 1]
        fits = {"temperature": 0.2, "key": batch.key[rows]}
        costs.append(info_nce(batch.rest[view][rows], batch.z[view][rows], **fits).item())
    cost, parts = term.loss(batch, state)
    assert cost.item() == pytest.approx(np.mean(costs), rel=1e-6)
    assert parts["temperature"] == pytest.approx(0.2)


def test_definition_of_giving_back():
    term = MaskedView(("a",), raw=True, hidden=8)
    torch.manual_seed(0)
    state, batch = term.state(SPACE), a_batch(term, SPACE, size=10)
    rows = batch.present["a"] & (batch.present["b"] | batch.present["c"])
    cost, parts = term.loss(batch, state)
    assert cost.equal(reconstruction(batch.rest["a"][rows], batch.raw["a"][rows], state.decoders["a"]))
    assert parts == {"a": cost}


def sums(n, seed, lost=0.0):
    """Two independent latents and a view of their sum: either says half of it. Some cells are lost."""
    random, mixing = np.random.default_rng(seed), np.random.default_rng(99)
    a, b = random.normal(size=(2, n, 4))
    cells = {"a": a, "b": b, "c": a + b}
    cells = {name: x @ mixing.normal(size=(4, 6)) + 0.05 * random.normal(size=(n, 6)) for name, x in cells.items()}
    views = Views(cells)
    columns = {name: views[name].without(random.random(n) < lost) for name in cells}
    present = np.any([column.present for column in columns.values()], axis=0)
    return views.replace(columns=columns)[present]


def found_by_the_rest(model, new):
    """Mean reciprocal rank of c, of the vector fused from a and b."""
    fused = model.fuse(new.select("a", "b"))
    everywhere = np.ones(len(new), bool)
    z = {"rest": fused, "c": model.embed(new.select("c"))["c"]}
    return mean_reciprocal_rank(z, dict.fromkeys(z, everywhere), np.arange(len(new)), similarity="cosine")


def test_recovery_two_views_together_find_what_neither_finds(tmp_path):
    training, new = sums(900, 0, lost=0.25), sums(200, 1)
    assert (~training.present["a"]).mean() > 0.15
    options = {"dim": 16, "epochs": 25, "batch_size": 150}
    model = Learner(objective=MaskedView(), fusion=ConcatFusion(hidden=64), **options).fit(training)
    together = found_by_the_rest(model, new)
    clip = CLIP(**options).fit(training)
    alone = max(clip.score(new.select(view, "c")) for view in "ab")
    assert together > alone + 0.2, (together, alone)
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    assert np.array_equal(again.fuse(new.select("a", "b")), model.fuse(new.select("a", "b")))


def test_the_hidden_view_is_never_read():
    views = sums(60, 0)
    model = Learner(objective=MaskedView(), fusion=GatedFusion(drop=0.5), **FAST).fit(views)
    from bouba.data.loader import Rows

    network = model.module_.train()
    seen = []
    rows = Rows(views, model._encoders(), model.codes_)
    for change in (0.0, 9.0):
        batch = rows.batch(torch.arange(60))
        values = batch.inputs["c"]["values"]
        batch.inputs["c"]["values"] = values + change
        torch.manual_seed(0)
        seen.append(network.embed(batch))
    assert torch.equal(seen[0].rest["c"], seen[1].rest["c"])
    assert not torch.equal(seen[0].rest["a"], seen[1].rest["a"])


def test_beside_other_terms_with_validation():
    objective = InfoNCE() + MaskedView() + 0.1 * MaskedView(("c",), raw=True)
    model = Learner(objective=objective, fusion=GatedFusion(), **FAST).fit(sums(120, 0, lost=0.2), validation=0.2)
    assert {"MaskedView", "MaskedView-2.c", "MaskedView.of_chance", "validation"} <= set(model.history_[-1])
    assert np.isfinite(model.history_[-1]["validation"])


def test_refusals():
    views = sums(60, 0)
    with pytest.raises(UsageError, match="MaskedView needs a fusion"):
        Learner(objective=MaskedView(), **FAST).fit(views)
    with pytest.raises(UsageError, match="MaskedView needs two views or more, got 1"):
        Learner(objective=MaskedView(), fusion=GatedFusion(), **FAST).fit(views.select("a"))
    with pytest.raises(ModalityError, match="MaskedView names 'd'"):
        Learner(objective=MaskedView(("d",)), fusion=GatedFusion(), **FAST).fit(views)
    experts = MultimodalVAE(dim=4)._fuses_by()
    with pytest.raises(UsageError, match="take a fusion as wide"):
        Learner(objective=MaskedView(), fusion=experts, **FAST).fit(views)
    space = SPACE.__class__(**{**vars(SPACE), "raw": {}})
    with pytest.raises(ModalityError, match="MaskedView cannot give back 'a'"):
        MaskedView(("a",), raw=True).state(space)
