"""A step waits for no device: nothing in it needs a number that is there; what is logged is read now and then."""

import contextlib
import json
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from made import twin_vectors

from bouba import CLIP, MLP, ConvNet, Learner, NGrams, Views
from bouba.data import samples
from bouba.data.batches import Batches
from bouba.data.loader import Rows
from bouba.errors import BoubaError
from bouba.terms import (
    CORAL,
    MMD,
    Correlation,
    DomainAdversarial,
    Prediction,
    Reconstruction,
    SigmoidPairs,
    Structure,
    Term,
    Triplet,
)
from bouba.terms.rows import averaged, negatives, of_chance, paired, summed
from bouba.terms.term import Needs
from bouba.train import meter
from bouba.train.processes import accelerator
from bouba.train.step import Schedule, Stepping, optimizer_for

NOWHERE = torch.device("meta")
"""A device whose numbers nobody can look at: what would wait for a GPU is an error here."""


@dataclass(frozen=True)
class Matching(Term):
    """Contrast over the rows that have both views, as a whole matrix."""

    def needs(self):
        return Needs(pairs=True, unpaired=False)

    def loss(self, batch, state):
        costs, rivals = [], []
        for z_a, z_b, key in paired(batch, None, least=2):
            right = torch.arange(len(z_a), device=z_a.device)
            costs.append(torch.nn.functional.cross_entropy(z_a @ z_b.T, right))
            rivals.append(negatives(key, len(z_a), z_a.device))
        return averaged(costs), of_chance(summed(costs), rivals)


@pytest.fixture(scope="module")
def emoji():
    """Pictures, captions of which some are missing, and numbers, with keys, labels and two domains."""
    n = 64
    rows, random = samples.emoji()[np.arange(n)], np.random.default_rng(0)
    return Views(
        {"image": rows["image"], "en": rows["en"].without(random.random(n) < 0.2), "v": random.normal(size=(n, 4))},
        key=np.arange(n) // 2,
        y={"kind": np.array(list("abcd") * (n // 4), object), "size": random.normal(size=n)},
        domain=np.array(list("pq") * (n // 2), object),
    )


OBJECTIVES = (
    Matching(),
    SigmoidPairs(),
    Prediction(),
    Prediction(class_weight="balanced"),
    Triplet(),
    Structure(),
    Correlation(),
    Reconstruction(),
    DomainAdversarial(),
    CORAL(),
    Matching() + 0.1 * MMD(bandwidths=(1.0,)),
)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=repr)
def test_a_step_looks_at_no_number(objective, emoji, monkeypatch):
    towers = {"image": ConvNet(size=16, channels=4), "en": NGrams(buckets=100, width=8), "v": MLP()}
    model = Learner(towers, objective, epochs=1, batch_size=32, dim=8, domain_norm=False).fit(emoji)
    network = model.module_.to(NOWHERE)
    monkeypatch.setattr(torch, "autocast", lambda *of, **how: contextlib.nullcontext())  # there is none of this device
    fabric = accelerator("cpu")
    fabric.state.device = NOWHERE
    optimizer = optimizer_for(network, Schedule())
    monkeypatch.setattr(optimizer, "step", Fused(optimizer))
    stepping = Stepping(fabric, network, network, optimizer, Schedule())
    stepping.begin({}, {}, epoch=1, step=0)
    batches = Batches(Rows(emoji, model._encoders(), model.codes_), [np.arange(32), np.arange(32, 64)], NOWHERE)
    for batch in batches:
        stepping.step(batch, length=0.5)
    assert optimizer.step.steps == 2
    assert not stepping.is_read
    with pytest.raises(NotImplementedError):  # it is not that meta tensors can be read after all
        stepping.read()


class Fused:
    """In place of a fused step of AdamW, which looks at `found_inf` on the device."""

    def __init__(self, optimizer):
        self.optimizer, self.steps = optimizer, 0

    def __call__(self):
        assert self.optimizer.found_inf.device == NOWHERE
        assert all(
            p.grad.device == NOWHERE
            for group in self.optimizer.param_groups
            for p in group["params"]
            if p.grad is not None
        )
        self.steps += 1


@dataclass(frozen=True)
class BreaksAt(Term):
    """Costs no number at one step, or has no gradient that is one."""

    number: int
    gradient: bool = False

    def loss(self, batch, state):
        BreaksAt.step += 1
        cost = sum(z.square().mean() for z in batch.z.values())
        if BreaksAt.step == self.number:
            cost = cost + (0 * cost).sqrt() if self.gradient else cost * torch.nan
        return cost, {}


def far(monkeypatch):
    """From here on, the CPU passes for a device that has to be waited for."""
    monkeypatch.setattr(meter, "waits", lambda device: True)


@pytest.mark.parametrize("waited_for", [False, True])
@pytest.mark.parametrize("gradient", [False, True], ids=["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_no_weight_and_nothing_is_saved_of_it(
    waited_for, gradient, tmp_path, monkeypatch
):
    if waited_for:
        far(monkeypatch)
    BreaksAt.step = 0
    weights, models = [], []
    real = torch.optim.AdamW.step

    def noted(self, *args, **named):
        real(self, *args, **named)
        weights.append(torch.cat([p.detach().flatten().clone() for p in models[0].module_.parameters()]))

    monkeypatch.setattr(torch.optim.AdamW, "step", noted)
    models.append(Learner(objective=BreaksAt(13, gradient), epochs=3, dim=4, batch_size=20))
    what = "gradient is nan" if gradient else "loss is nan"
    with pytest.raises(BoubaError, match=rf"the {what} in step 3 of epoch 3 \(BreaksAt = .*\); lower lr or check"):
        models[0].fit(twin_vectors(100), folder=tmp_path)
    assert len(weights) == (15 if waited_for else 12), "on a CPU it is seen at once"
    assert all(w.isfinite().all() for w in weights)
    if waited_for:
        assert torch.equal(weights[12], weights[11])
    facts = json.loads((tmp_path / "checkpoint" / "facts.json").read_text())
    assert (facts["epoch"], facts["step"]) == (2, 0)


def test_reading_now_and_then_logs_the_same_and_trains_to_the_same_bits(monkeypatch):
    at_once = CLIP(epochs=3, dim=4, batch_size=10).fit(twin_vectors(400))
    far(monkeypatch)
    later = CLIP(epochs=3, dim=4, batch_size=10).fit(twin_vectors(400))
    for name, value in at_once.module_.state_dict().items():
        assert torch.equal(later.module_.state_dict()[name], value), name
    for one, other in zip(at_once.history_, later.history_, strict=True):
        assert one | {"seconds": 0} == other | {"seconds": 0}


def test_a_meter_reads_every_so_often_and_forgets_nothing(monkeypatch):
    monkeypatch.setattr(meter, "waits", lambda device: True)
    one = meter.Meter(sums := {}, counts := {}, terms=["T"], epoch=1, step=0)
    for number in range(70):
        parts = {"T": torch.tensor(float(number)), "odd": 2.0, "never": torch.tensor(torch.nan)}
        if number % 2:
            del parts["odd"]
        assert one.add(torch.tensor(1.0), torch.tensor(2.0), parts) == 0
        assert counts.get("T", 0) == (number + 1) // meter.STEPS * meter.STEPS
    one.read()
    assert sums == {"loss": 70.0, "T": sum(range(70)), "odd": 70.0}
    assert counts == {"loss": 70, "T": 70, "odd": 35}


def test_weights_that_are_not_finite_are_never_written(tmp_path):
    def spoil(model, row):
        next(model.module_.towers["left"].parameters()).data.view(-1)[0] = torch.inf

    model = CLIP(epochs=2, dim=4, batch_size=100)
    with pytest.raises(BoubaError, match=r"holds NaN or infinity in 100 of 100 rows"):
        model.fit(twin_vectors(100), folder=tmp_path, on_epoch=partial(spoil, model))
    from safetensors.torch import load_file

    saved = load_file(tmp_path / "checkpoint" / "network.safetensors")
    assert all(tensor.isfinite().all() for tensor in saved.values() if tensor.is_floating_point())
    from bouba.train.checkpoint import refuse_infinite

    with pytest.raises(BoubaError, match=r"^towers\..* is not finite after 3 steps, which is not saved; lower lr"):
        refuse_infinite(model.module_, "after 3 steps")
