"""What the network hands to the terms: twins, raw views, and the same gradients chunk by chunk."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from bouba import GatedFusion, InfoNCE, Learner, Prediction, Views
from bouba.data.loader import Codes, Rows
from bouba.data.views import Column
from bouba.errors import UsageError
from bouba.nn.domain_norm import batch_norms
from bouba.terms import Needs, Term
from bouba.towers import MLP, ConvNet, NGrams, SameAs


@dataclass(frozen=True)
class Reader(Term):
    """Keeps the last batch it saw."""

    seen: ClassVar[list] = []

    def needs(self):
        return Needs(twins=True, raw=True)

    def loss(self, batch, state):
        self.seen.append(batch)
        return batch.z["image"].square().mean(), {}


def pictures(n=24, seed=0):
    random = np.random.default_rng(seed)
    cells = [random.integers(0, 255, (12, 12, 3), np.uint8) for _ in range(n)]
    return Views({"image": cells, "numbers": random.normal(size=(n, 3))}, kinds={"image": "image"})


def test_twins_are_other_changes_of_the_same_cells_and_raw_is_what_was_put_in():
    views = pictures()
    Learner({"image": ConvNet(size=8, channels=2), "numbers": MLP()}, Reader(), epochs=1).fit(views)
    batch = Reader.seen[-1]
    assert batch.twin["image"].shape == batch.z["image"].shape
    assert not torch.allclose(batch.twin["image"], batch.z["image"])
    numbers = np.stack(list(views["numbers"]))
    expected = (numbers - numbers.mean(0)) / numbers.std(0)
    np.testing.assert_allclose(batch.raw["numbers"].numpy(), expected[batch.rows.numpy()], atol=1e-5)
    assert batch.raw["image"].shape == (len(batch), 3 * 16**2)


@dataclass(frozen=True)
class Listener(Reader):
    """Keeps the last batch too, and lets gradients through what was predicted."""

    def needs(self):
        return Needs(twins=True, predictions=True, validates=False)

    def loss(self, batch, state):
        self.seen.append(batch)
        return sum(value.square().mean() for value in batch.predicted.values()), {}


@dataclass(frozen=True)
class Aside(Reader):
    """Reads the numbers' embedding and the pictures' raw form."""

    def needs(self):
        return Needs(embeddings=("numbers",), raw=True)

    def loss(self, batch, state):
        self.seen.append(batch)
        return batch.z["numbers"].square().mean(), {}


def test_towers_that_no_term_reads_are_neither_run_nor_measured_nor_changed():
    towers = {"image": ConvNet(size=8, channels=2), "numbers": MLP()}
    model = Learner(towers, Aside(), epochs=2).fit(pictures())
    assert set(Reader.seen[-1].z) == {"numbers"}
    assert set(Reader.seen[-1].raw) == {"image", "numbers"}
    measured = {name for name in model.history_[-1] if name.startswith("similarity")}
    assert measured == {"similarity.numbers"}
    assert all(p.grad is None for p in model.module_.towers["image"].parameters())
    assert model.embed(pictures())["image"].shape == (24, 128)
    both = Learner(towers, Aside() + 0.1 * InfoNCE(), epochs=1).fit(pictures())
    assert "similarity.image" in both.history_[-1], "another term reads it"


def labelled():
    y = {"kind": list("xyz" * 8), "side": list("lr" * 12), "size": list(np.linspace(0.1, 2.5, 24))}
    return pictures().replace(y={name: np.array(values, dtype=object) for name, values in y.items()})


@pytest.mark.parametrize("fusion", [None, GatedFusion()])
def test_predictions_are_those_of_the_first_prediction_with_the_label(fusion):
    objective = Prediction(("kind",)) + Prediction() + Listener()
    Listener.seen.clear()
    towers = {"image": ConvNet(size=8, channels=2), "numbers": MLP()}
    model = Learner(towers, objective, epochs=1, batch_size=24, fusion=fusion).fit(labelled())
    model.module_.train()
    model.module_(Rows(labelled(), model._encoders(), model.codes_).batch(torch.arange(24)))
    batch, (first, second, _) = Listener.seen[-1], model.module_.state
    assert {name: value.shape for name, value in batch.predicted.items()} == {"kind": (24, 3), "side": (24, 2)}
    for z, predicted in ((batch.z, batch.predicted), (batch.twin, batch.predicted_twin)):
        seen = batch.replace(z=z) if fusion is None or z is batch.z else model.module_.fuse(batch.replace(z=z))
        assert torch.equal(predicted["kind"], objective.terms[0][1].predict(seen, first)["kind"])
        assert torch.equal(predicted["side"], objective.terms[1][1].predict(seen, second)["side"])
    assert not torch.equal(batch.predicted["kind"], batch.predicted_twin["kind"])
    batch.predicted["kind"].sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in first.heads.parameters())
    assert batch.z["image"].grad_fn is not None


def test_nothing_is_predicted_where_no_term_reads_it_and_none_of_those_that_judge():
    towers = {"image": ConvNet(size=8, channels=2), "numbers": MLP()}
    Reader.seen.clear()
    Learner(towers, Prediction(("kind",)) + Reader(), epochs=1).fit(labelled())
    assert Reader.seen[-1].predicted == {}
    model = Learner(towers, Prediction(("kind",)) + Listener(), epochs=1).fit(labelled())
    Listener.seen.clear()
    rows = Rows(labelled(), model._encoders(), model.codes_)
    one, two = (model.module_.eval()(rows.batch(torch.arange(24)))[0] for _ in range(2))
    assert one == two  # without twins held-out inputs are not varied
    assert not Listener.seen


def gradients(chunk_size):
    random = np.random.default_rng(0)
    views = Views({"a": random.normal(size=(40, 5)), "b": random.normal(size=(40, 4))})
    views = views.replace(columns={"a": views["a"].without(np.arange(40) % 7 == 0), "b": views["b"]})
    towers = {"a": MLP((16,), dropout=0.0), "b": MLP((16,), dropout=0.0)}
    model = Learner(towers, InfoNCE(), epochs=1, batch_size=40, chunk_size=chunk_size, lr=1e-12).fit(views)
    return torch.cat([p.grad.flatten() for p in model.module_.parameters() if p.grad is not None])


def test_gradient_caching_changes_no_gradient():
    torch.testing.assert_close(gradients(7), gradients(None), rtol=1e-5, atol=1e-7)


def kept_for_the_way_back(chunk_size):
    """Bytes autograd keeps in one forward pass."""
    views = pictures(64)
    towers = {"image": ConvNet(size=16, channels=4), "numbers": MLP()}
    model = Learner(towers, InfoNCE(), epochs=1, batch_size=64, chunk_size=chunk_size).fit(views)
    encoders = {name: tower.encoder for name, tower in model.module_.towers.items()}
    batch = Rows(views, encoders, Codes()).batch(torch.arange(64))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.nbytes) or t, lambda t: t):
        model.module_.train()(batch)
    return sum(kept)


def test_gradient_caching_keeps_no_activations():
    assert kept_for_the_way_back(8) < kept_for_the_way_back(None) / 4


def test_shared_towers_have_one_set_of_weights(tmp_path):
    import bouba

    words = ["a red fox", "a blue sea", "a green hill", "a white cloud"] * 6
    views = Views(
        {"numbers": np.random.default_rng(0).normal(size=(24, 3)), "right": words, "wrong": words[::-1]},
        kinds={"right": "text", "wrong": "text"},
    )
    towers = {"numbers": MLP(), "right": NGrams(buckets=50, width=8), "wrong": SameAs("right")}
    model = Learner(towers, InfoNCE(pairs=(("numbers", "right"),)), epochs=1, dim=4).fit(views)
    same = views.replace(columns={"wrong": views["right"]})
    np.testing.assert_array_equal(model.embed(same)["wrong"], model.embed(views)["right"])
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    np.testing.assert_array_equal(again.embed(same)["wrong"], model.embed(views)["right"])
    with pytest.raises(UsageError, match=r"'wrong' is SameAs\('rigt'\), which has no tower of its own"):
        model.set_params(towers=towers | {"wrong": SameAs("rigt")}).fit(views)


def greys(levels, *, domain="s"):
    cells = [np.full((8, 8, 3), level, np.uint8) for level in levels]
    return Views(
        {"picture": Column.of(cells, "image")}, y={"k": np.arange(len(cells)) % 2}, domain=[domain] * len(cells)
    )


def measured(model, views, most=4096):
    model.module_.measure_domains(Rows(views, model._encoders(), model.codes_), most=most)
    return model.module_.towers["picture"].statistics.values[0].clone()


def test_statistics_of_a_domain_do_not_depend_on_the_order_of_its_rows():
    """Sorted tables had only the first classes measured."""
    levels = np.repeat([20, 120, 220], 100)
    model = Learner({"picture": ConvNet(size=8, channels=4, augment=None)}, Prediction(), epochs=1).fit(greys(levels))
    of_all, of_some = (measured(model, greys(levels), most) for most in (4096, 150))
    torch.testing.assert_close(of_some, of_all, rtol=0.35, atol=0.05)


def test_statistics_of_a_shared_tower_are_of_all_its_views():
    dark, light = greys([10, 30] * 40), greys([200, 240] * 40)
    both = dark.replace(columns={"picture": dark["picture"], "other": light["picture"]})
    towers = {"picture": ConvNet(size=8, channels=4, augment=None), "other": SameAs("picture")}
    model = Learner(towers, InfoNCE(), epochs=1).fit(both)
    encoder, kept = model._encoders()["picture"], model.module_.towers["picture"].statistics.values
    width = batch_norms(encoder)[0].num_features
    alone = Learner({"picture": towers["picture"]}, Prediction(), epochs=1).fit(light)
    alone.module_.towers["picture"].encoder.load_state_dict(encoder.state_dict())
    means = [measured(alone, views)[0, :width] for views in (dark, light)]
    torch.testing.assert_close(kept[0, 0, :width], (means[0] + means[1]) / 2, rtol=1e-3, atol=1e-3)
