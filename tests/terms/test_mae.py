"""MAE, the term and its function, and what encoders hide."""

import numpy as np
import pytest
import torch
from made import twin_vectors
from torch import nn

from bouba import MAE, MLP, InfoNCE, Learner, NGrams, Views, load
from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.nn.patches import hidden_patches, spread_out
from bouba.terms import BYOL, Space, masked_reconstruction
from bouba.towers import CRNN, ConvNet

PICTURES = [np.random.default_rng(i).integers(0, 255, (20, 20, 3)).astype(np.uint8) for i in range(12)]


def low_rank(n=300, d=12, rank=2, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, rank)) @ np.random.default_rng(9).normal(size=(rank, d))


def test_definition_by_a_loop():
    draw = torch.Generator().manual_seed(0)
    z, raw = torch.randn(5, 3, generator=draw).double(), torch.randn(5, 4, generator=draw).double()
    hidden, g = torch.rand(5, 4, generator=draw) < 0.5, nn.Linear(3, 4).double()
    total = sum((raw[i, j] - g(z)[i, j]) ** 2 for i in range(5) for j in range(4) if hidden[i, j])
    value = masked_reconstruction(z, raw, hidden, g)
    assert value.item() == pytest.approx(total.item() / int(hidden.sum()), rel=1e-12)
    other = torch.where(hidden, raw, 1e6)
    assert masked_reconstruction(z, other, hidden, g).item() == value.item(), "what was seen is not asked"
    assert masked_reconstruction(z, raw, torch.zeros_like(hidden), g).item() == 0


def test_law_of_patches():
    torch.manual_seed(0)
    hidden = hidden_patches(200, 64, 0.75, "cpu")
    assert set(hidden.sum(1).tolist()) == {48}
    assert abs(hidden.float().mean(0) - 0.75).max() < 0.15
    assert hidden_patches(3, 5, 0.01, "cpu").sum(1).tolist() == [1, 1, 1]
    assert hidden_patches(3, 5, 0.99, "cpu").sum(1).tolist() == [4, 4, 4]
    one = torch.zeros(1, 64, dtype=torch.bool)
    one[0, 8 * 2 + 3] = True
    places = spread_out(one, 32, 16)[0].nonzero()
    assert places.min(0).values.tolist() == [8, 6]
    assert places.max(0).values.tolist() == [11, 7]


def test_a_picture_is_blank_where_its_thumbnail_is_hidden_and_nowhere_else():
    encoder = ConvNet(size=32, thumbnail=16).build({})
    inputs = encoder.prepare(PICTURES)
    torch.manual_seed(0)
    masked, hidden = encoder.masked(inputs, 0.5)
    assert hidden.shape == (12, encoder.raw_width)
    assert hidden.float().mean().item() == pytest.approx(0.5)
    before = encoder.raw(inputs)
    seen = encoder.raw({"pixels": 255 * masked["pixels"]})
    torch.testing.assert_close(seen[~hidden], before[~hidden], atol=1e-5, rtol=1e-5)
    assert seen[hidden].abs().max() < 1e-5, "middling grey"
    changed = {"pixels": inputs["pixels"].clone()}
    where = spread_out(torch.ones(1, 64, dtype=torch.bool), 32, 32)
    changed["pixels"][(masked["pixels"] == 0.5)] = 7
    torch.manual_seed(0)
    torch.testing.assert_close(encoder.masked(changed, 0.5)[0]["pixels"], masked["pixels"])
    assert where.all()


def test_a_sound_is_blank_where_its_slices_are_hidden_and_nowhere_else():
    sounds = [(np.random.default_rng(i).normal(0, 0.1, 8000 - 1500 * i).astype(np.float32), 16_000) for i in range(4)]
    spec = CRNN(seconds=1.0)
    encoder = spec.build(spec.learn(sounds))
    inputs = encoder.prepare(sounds)
    torch.manual_seed(0)
    masked, hidden = encoder.masked(inputs, 0.75)
    before, seen = encoder.raw(inputs), encoder.raw(masked)
    torch.testing.assert_close(seen[~hidden], before[~hidden], atol=2e-3, rtol=1e-3)
    assert seen[hidden].abs().max() < 2e-3
    assert hidden.float().mean().item() == pytest.approx(0.75)


def test_recovery_what_columns_share_is_inferred():
    views = Views({"x": low_rank()})
    towers = {"x": MLP(hidden=(64,), dropout=0.0)}
    options = {"dim": 16, "batch_size": 50, "lr": 5e-3}
    model = Learner(towers, MAE(0.5), epochs=60, **options).fit(views)
    assert model.history_[-1]["MAE.explained.x"] > 0.6
    assert model.history_[0]["MAE.explained.x"] < 0.3
    noise = Views({"x": np.random.default_rng(0).normal(size=(300, 12))})
    assert Learner(towers, MAE(0.5), epochs=20, **options).fit(noise).history_[-1]["MAE.explained.x"] < 0.1


def test_pictures_sounds_and_numbers_with_missing_cells_saved_and_resumed_to_the_bit(tmp_path):
    random = np.random.default_rng(0)
    n = 12
    sounds = [(random.normal(0, 0.1, 4000).astype(np.float32), 16_000) for _ in range(n)]
    views = Views(
        {"image": PICTURES, "sound": sounds, "x": random.normal(size=(n, 5)), "text": ["a few words"] * n},
        kinds={"image": "image", "sound": "audio", "text": "text"},
    )
    absent = np.arange(n) % 3 == 0
    views = views.replace(columns=dict(views.columns) | {"image": views["image"].without(absent)})
    towers = {"image": ConvNet(channels=4), "sound": CRNN(channels=2, width=4), "x": MLP(), "text": NGrams(width=8)}
    objective = MAE(hidden=16) + 0.1 * InfoNCE(pairs=(("x", "text"),))
    options = {"dim": 4, "epochs": 3, "batch_size": 6}
    whole = Learner(towers, objective, **options).fit(views)
    assert {name for name in whole.history_[-1] if "explained" in name} == {
        f"MAE.explained.{view}" for view in ("image", "sound", "x")
    }

    class Cut(Exception):
        pass

    def cut(row):
        raise Cut

    with pytest.raises(Cut):
        Learner(towers, objective, **options).fit(views, folder=tmp_path / "run", on_epoch=cut)
    again = Learner(towers, objective, **options).fit(views, folder=tmp_path / "run", resume=True)
    for name, value in whole.module_.state_dict().items():
        assert torch.equal(value, again.module_.state_dict()[name]), name
    whole.save(tmp_path / "model")
    copy = load(tmp_path / "model")
    assert copy.objective == objective
    for view in views.columns:
        assert np.array_equal(copy.embed(views)[view], whole.embed(views)[view])


def test_validated_by_what_is_hidden_and_chunks_change_nothing():
    views = Views({"x": low_rank(200)})
    towers = {"x": MLP(hidden=(16,), dropout=0.0)}
    fits = [
        Learner(towers, MAE(0.5), dim=4, epochs=3, batch_size=40, chunk_size=c).fit(views, validation=0.2)
        for c in (None, 9)
    ]
    one, other = ([row["validation"] for row in fit.history_] for fit in fits)
    assert one == pytest.approx(other, rel=1e-3)
    assert one[-1] < one[0]


def test_refusals():
    space = Space({"a": 4, "t": 4}, raw={"a": (3,), "t": (9,)}, masks=("a",))
    assert list(MAE().state(space)) == ["a"]
    with pytest.raises(ModalityError, match=r"MAE cannot hide a part of 't'.*views that have: 'a'"):
        MAE(views=("t",)).state(space)
    with pytest.raises(ModalityError, match="MAE names 'b'"):
        MAE(views=("b",)).state(space)
    with pytest.raises(ModalityError, match="views that have: none"):
        MAE().state(Space({"t": 4}, raw={"t": (9,)}))
    with pytest.raises(ModalityError, match="MAE cannot hide a part of 'image'"):
        Learner({"image": ConvNet(channels=4, components=3)}, MAE(), dim=4).fit(
            Views({"image": PICTURES}, kinds={"image": "image"})
        )
    with pytest.raises(UsageError, match="share is of the patches"):
        MAE(share=0.0).state(space)
    with pytest.raises(UsageError, match="hidden must be at least 1"):
        MAE(hidden=0).state(space)
    with pytest.raises(UsageError, match=r"one share that is masked, and the terms want 0.5 and 0.75"):
        (MAE(0.5) + MAE(0.75)).needs()
    assert (MAE() + BYOL(views=("a",))).needs().embeddings == ("a",)
    z = torch.ones(2, 3)
    with pytest.raises(UsageError, match="three of one shape"):
        masked_reconstruction(z, z, z[:, :2] > 0, nn.Identity())
    with pytest.raises(DataError, match="raw holds NaN"):
        masked_reconstruction(z, z * torch.nan, z > 0, nn.Identity())


def test_definition_of_the_term():
    draw = torch.Generator().manual_seed(0)
    space = Space({"a": 4, "b": 4}, raw={"a": (3,), "b": (5,)}, masks=("a", "b"))
    here = {view: torch.rand(8, generator=draw) < 0.6 for view in "ab"}
    masked = {view: torch.randn(8, 4, generator=draw) for view in "ab"}
    raw = {view: torch.randn(8, *space.raw[view], generator=draw) for view in "ab"}
    hidden = {view: torch.rand(8, *space.raw[view], generator=draw) < 0.5 for view in "ab"}
    batch = Batch({}, here, torch.arange(8), masked=masked, hidden=hidden, raw=raw)
    state = MAE().state(space)
    value, parts = MAE().loss(batch, state)
    each = [
        masked_reconstruction(masked[v][here[v]], raw[v][here[v]], hidden[v][here[v]], state[v]).item() for v in "ab"
    ]
    assert value.item() == pytest.approx(sum(each) / 2, rel=1e-6)
    assert set(parts) == {"explained.a", "explained.b"}


def test_it_mixes_with_a_contrast_of_two_views():
    model = Learner(objective=InfoNCE() + MAE(0.5), dim=4, epochs=1).fit(twin_vectors(40))
    assert {"InfoNCE", "MAE"} <= set(model.history_[0])
