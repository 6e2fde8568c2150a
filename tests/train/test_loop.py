"""The one loop: resume, early stopping, precision, and what it refuses."""

import json

import numpy as np
import pytest
import torch
from made import twin_vectors

from bouba import CLIP, Learner, Views
from bouba.errors import BoubaError
from bouba.train.loop import Schedule, optimizer_for

FAST = {"dim": 4, "batch_size": 60}


class Cut(Exception):
    """The power went."""


def cut_after(epoch):
    def stop(row):
        if row["epoch"] == epoch:
            raise Cut

    return stop


def test_resume_reaches_the_same_weights_to_the_bit(tmp_path):
    views = twin_vectors()
    unbroken = CLIP(epochs=5, **FAST).fit(views, validation=0.2, folder=tmp_path / "a")
    with pytest.raises(Cut):
        CLIP(epochs=5, **FAST).fit(views, validation=0.2, folder=tmp_path / "b", on_epoch=cut_after(2))
    torch.rand(7)  # whatever happened in between
    resumed = CLIP(epochs=5, **FAST).fit(views, validation=0.2, folder=tmp_path / "b", resume=True)
    ours, theirs = resumed.module_.state_dict(), unbroken.module_.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    strip = lambda history: [{k: v for k, v in row.items() if k != "seconds"} for row in history]  # noqa: E731
    assert strip(resumed.history_) == strip(unbroken.history_)
    written = [json.loads(line) for line in (tmp_path / "b" / "history.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in written] == [1, 2, 3, 4, 5]


def test_resume_with_dropout_and_augmentation_draws_the_same_numbers(tmp_path):
    from PIL import Image

    random = np.random.default_rng(0)
    pictures = [Image.fromarray(random.integers(0, 255, (16, 16, 3), dtype=np.uint8)) for _ in range(24)]
    views = Views({"image": pictures, "v": random.normal(size=(24, 3))}, kinds={"image": "image"})
    from bouba import MLP, ConvNet

    towers = {"image": ConvNet(size=16, channels=4), "v": MLP((8,), dropout=0.5)}
    make = lambda: CLIP(towers, epochs=3, dim=4, batch_size=8)  # noqa: E731
    unbroken = make().fit(views)
    with pytest.raises(Cut):
        make().fit(views, folder=tmp_path / "b", on_epoch=cut_after(1))
    resumed = make().fit(views, folder=tmp_path / "b", resume=True)
    for name, value in unbroken.module_.state_dict().items():
        assert torch.equal(value, resumed.module_.state_dict()[name]), name


def test_early_stopping_keeps_the_best_weights():
    random = np.random.default_rng(0)
    noise = Views({"a": random.normal(size=(60, 4)), "b": random.normal(size=(60, 4))})
    model = CLIP(epochs=60, lr=0.02, patience=3, **FAST).fit(noise, validation=0.3)
    judged = [row["validation"] for row in model.history_]
    assert len(judged) < 60
    assert len(judged) - 1 - int(np.argmin(judged)) == 3


def test_a_broken_loss_names_the_epoch_and_the_terms():
    with pytest.raises(BoubaError, match=r"epoch 1 \(Broken = nan\); lower lr or check the inputs"):
        Learner(objective=Broken(), epochs=1, **FAST).fit(twin_vectors())


from dataclasses import dataclass  # noqa: E402

from bouba.terms import Term  # noqa: E402


@dataclass(frozen=True)
class Broken(Term):
    """Never finite."""

    def loss(self, batch, state):
        return sum(z.sum() for z in batch.z.values()) * float("nan"), {}


def test_schedule_warms_up_and_falls_to_zero():
    schedule = Schedule(epochs=10, lr=1.0, warmup=0.1)
    rates = [schedule.rate(p / 100) for p in range(101)]
    assert rates[0] == 0
    assert max(rates) == rates[10] == 1.0
    assert rates[100] == pytest.approx(0)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_only_matrices_decay():
    model = CLIP(epochs=1, **FAST).fit(twin_vectors(60))
    decayed, plain = optimizer_for(model.module_, Schedule()).param_groups
    assert all(p.dim() > 1 for p in decayed["params"])
    assert any(p is model.module_.state[0].logit_scale for p in plain["params"])
    assert plain["weight_decay"] == 0


def test_global_random_state_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    CLIP(epochs=1, **FAST).fit(twin_vectors(60))
    torch.testing.assert_close(torch.rand(2), expected)
