"""Moving averages of weights: the definition, what is judged and kept, and going on to the bit."""

import numpy as np
import pytest
import torch
from made import twin_vectors
from torch import nn

import bouba
from bouba import CLIP, ConvNet, FusionClassifier, GatedFusion, Views
from bouba.errors import UsageError
from bouba.train.averaging import WeightAverage

FAST = {"dim": 4, "batch_size": 20}


def steps_of(monkeypatch, fit):
    """The weights after each step of a training, and what it is left with."""
    seen, real = [], WeightAverage.update

    def update(self, step):
        seen.append({name: value.clone() for name, value in self.current.items()})
        return real(self, step)

    with monkeypatch.context() as patched:
        patched.setattr(WeightAverage, "update", update)
        model = fit()
    return seen, dict(model.module_.state_dict())


def test_definition(monkeypatch):
    seen, left = steps_of(monkeypatch, lambda: CLIP(epochs=3, ema=0.9, **FAST).fit(twin_vectors(100)))
    assert len(seen) == 15
    for name in ("towers.parts.0.projection.layers.1.weight", "towers.parts.1.projection.layers.1.bias"):
        start = CLIP(epochs=3, lr=0.0, **FAST).fit(twin_vectors(100)).module_.state_dict()[name]
        average = start.double()
        for step, weights in enumerate(seen):
            d = min(0.9, (1 + step) / (10 + step))
            average = d * average + (1 - d) * weights[name].double()
        torch.testing.assert_close(left[name].double(), average, rtol=1e-5, atol=1e-6)
        assert not torch.equal(left[name], seen[-1][name])


def test_decay_zero_keeps_the_last_weights_and_none_changes_nothing():
    views = twin_vectors(100)
    last, zero = (CLIP(epochs=3, ema=ema, **FAST).fit(views) for ema in (None, 0.0))
    for name, value in last.module_.state_dict().items():
        torch.testing.assert_close(zero.module_.state_dict()[name], value)
    assert [row["InfoNCE"] for row in last.history_] == [row["InfoNCE"] for row in zero.history_]


def test_averaging_does_not_touch_training():
    views = twin_vectors(100)
    plain, averaged = (CLIP(epochs=4, ema=ema, **FAST).fit(views) for ema in (None, 0.99))
    assert [row["InfoNCE"] for row in plain.history_] == [row["InfoNCE"] for row in averaged.history_]


def test_the_averaged_network_is_judged_and_kept():
    """Of a rate so large that weights jump about, the average is better on held-out rows once it has settled."""
    views = twin_vectors(240, noise=1.0, seed=2)
    options = {"dim": 8, "batch_size": 20, "epochs": 8, "lr": 0.03}
    plain, averaged = (CLIP(ema=e, **options).fit(views, validation=0.3) for e in (None, 0.95))
    ours, theirs = ([row["validation"] for row in model.history_] for model in (averaged, plain))
    assert np.mean(ours[4:]) < np.mean(theirs[4:]) - 0.01


def test_batch_norm_and_counts():
    network = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    average = WeightAverage(network, 0.5)
    for step in range(20):
        network.train()(torch.randn(8, 3))
        average.update(step)
    norm = network[1]
    assert average.values["1.num_batches_tracked"] == norm.num_batches_tracked == 20
    own = norm.running_mean.clone()
    with average.inside():
        assert torch.equal(norm.running_mean, average.values["1.running_mean"])
        assert not torch.equal(norm.running_mean, own)
    assert torch.equal(norm.running_mean, own)


class Cut(Exception):
    """The power went."""


def labelled():
    random = np.random.default_rng(0)
    return twin_vectors(90).replace(y={"kind": np.array(["x", "y"], object)[random.integers(0, 2, 90)]})


METHODS = {
    "last": (lambda epochs: CLIP(epochs=epochs, ema=0.9, **FAST), lambda: twin_vectors(90), {}),
    "judged": (
        lambda epochs: FusionClassifier(fusion=GatedFusion(drop=0.3), epochs=epochs, ema=0.8, **FAST),
        labelled,
        {"validation": 0.2},
    ),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_cut_run_goes_on_to_the_bit(method, tmp_path, monkeypatch):
    made, views, options = METHODS[method]
    unbroken = made(4).fit(views(), **options)
    real, left = torch.optim.AdamW.step, [6]

    def step(self, *args, **named):
        if not left[0]:
            raise Cut
        left[0] -= 1
        return real(self, *args, **named)

    with monkeypatch.context() as patched:
        patched.setattr(torch.optim.AdamW, "step", step)
        with pytest.raises(Cut):
            made(4).fit(views(), folder=tmp_path, checkpoint_steps=1, **options)
    resumed = made(4).fit(views(), folder=tmp_path, resume=True, **options)
    theirs = unbroken.module_.state_dict()
    assert [name for name, v in resumed.module_.state_dict().items() if not torch.equal(v, theirs[name])] == []
    resumed.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model").module_.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in again.items())


def test_a_checkpoint_without_an_average_is_not_continued_with_one(tmp_path):
    CLIP(epochs=1, **FAST).fit(twin_vectors(60), folder=tmp_path)
    with pytest.raises(UsageError, match=r"schedule ema = None, not 0\.9"):
        CLIP(epochs=2, ema=0.9, **FAST).fit(twin_vectors(60), folder=tmp_path, resume=True)


def test_refusals():
    for ema in (1.0, -0.1):
        with pytest.raises(UsageError, match=r"ema=.* lies outside 0 to 0.999999"):
            CLIP(ema=ema).fit(twin_vectors(60))
    with pytest.raises(UsageError, match=r"ema=.0\.9. is not a number"):
        CLIP(ema="0.9").fit(twin_vectors(60))


def test_pictures_with_batch_norm_and_domains():
    random = np.random.default_rng(0)
    photos = [np.full((8, 8, 3), shade, np.uint8) for shade in random.integers(0, 255, 40)]
    numbers = np.array([photo[0, 0, 0] for photo in photos])[:, None] / 255 * np.ones((1, 3))
    domain = np.array(["a", "b"])[np.arange(40) % 2]
    views = Views({"photo": photos, "numbers": numbers}, kinds={"photo": "image"}, domain=domain)
    towers = {"photo": ConvNet(size=8, channels=4), "numbers": bouba.MLP((16,))}
    model = CLIP(towers, epochs=3, ema=0.9, **FAST).fit(views)
    assert model.module_.towers["photo"].statistics.measured.all()
    assert np.isfinite(model.embed(views)["photo"]).all()
