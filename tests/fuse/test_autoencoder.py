"""One code a row from whichever views are there, and every view back from it."""

import numpy as np
import pytest
import torch
from made import SIZES, related, with_holes
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import bouba
from bouba import LSTM, MLP, ConvNet, GatedFusion, Learner, Reconstruction, SumFusion, Views
from bouba.errors import DataError, ModalityError, UsageError
from bouba.fuse.autoencoder import MultimodalAutoencoder

QUICK = {"dim": 16, "epochs": 25, "batch_size": 40, "lr": 5e-3, "hidden": 64}


@pytest.fixture(scope="module")
def model():
    return MultimodalAutoencoder(**QUICK).fit(related())


def array(column):
    return np.stack(list(column))


def test_definition_of_reconstruct_and_explained(model):
    """Tower by tower, the sum of the views that are there, each decoder, back into the unit of the view."""
    views = related(9, seed=2).select("a", "c")
    with torch.no_grad():
        code = 0
        for name in ("a", "c"):
            tower = model.module_.towers[name].eval()
            code = code + tower(tower.encoder.prepare(list(views[name])))
        encoder = model.module_.towers["b"].encoder
        expected = model.module_.state[0]["b"](code).numpy() * encoder.scale.numpy() + encoder.mean.numpy()
    found = model.reconstruct(views)
    assert list(found) == ["a", "b", "c"]
    np.testing.assert_allclose(found["b"], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.transform(views), code.numpy(), rtol=1e-4, atol=1e-5)
    whole = related(9, seed=2)
    truth, scale = array(whole["b"]), encoder.scale.numpy()
    error, spread = ((found["b"] - truth) / scale) ** 2, ((truth - truth.mean(0)) / scale) ** 2
    assert model.explained(views, whole)["b"] == pytest.approx(1 - error.sum() / spread.sum(), abs=1e-4)
    assert model.score(views) == pytest.approx(np.mean(list(model.explained(views).values())))
    assert set(model.explained(views)) == {"a", "c"}


def test_recovery_hidden_views_come_back_from_the_others(model):
    """Better than the mean of the view, from both others and from one, and better than one copied to the other."""
    whole = related(300, seed=3)
    for hidden, _ in SIZES:
        others = [name for name in whole.columns if name != hidden]
        assert model.explained(whole.select(*others), whole)[hidden] > 0.8
        for one in others:
            assert model.explained(whole.select(one), whole)[hidden] > 0.5
    assert model.score(whole) > 0.9
    shuffled = whole[np.random.default_rng(0).permutation(300)]
    assert model.explained(whole.select("a"), shuffled)["b"] < 0, "it says what this row's view is, not any row's"


def test_hiding_views_in_training_is_what_teaches_to_do_without(model):
    whole = related(300, seed=3)
    plain = MultimodalAutoencoder(**QUICK, fusion=SumFusion()).fit(related())
    assert plain.score(whole) > 0.9
    for hidden, _ in SIZES:
        rest = whole.select(*(name for name in whole.columns if name != hidden))
        assert model.explained(rest, whole)[hidden] > plain.explained(rest, whole)[hidden] + 0.1


def test_a_code_for_any_estimator_with_cells_missing():
    train, test = with_holes(related()), with_holes(related(300, seed=4), seed=5)
    pipeline = make_pipeline(MultimodalAutoencoder(**{**QUICK, "epochs": 12}), LogisticRegression())
    assert pipeline.fit(train, train.y["side"]).score(test, test.y["side"]) > 0.85


def test_saved_and_loaded_equal_to_the_bit(model, tmp_path):
    views = with_holes(related(20, seed=6))
    model.save(tmp_path / "model")
    other = bouba.load(tmp_path / "model")
    assert type(other) is MultimodalAutoencoder
    np.testing.assert_array_equal(other.transform(views), model.transform(views))
    for name, values in model.reconstruct(views).items():
        np.testing.assert_array_equal(other.reconstruct(views)[name], values)


def test_it_is_the_learner_it_says_it_is():
    views, how = related(80), {"dim": 8, "epochs": 2}
    model = MultimodalAutoencoder(hidden=32, **how).fit(views)
    same = Learner(objective=Reconstruction(hidden=32, fused=True), fusion=SumFusion(drop=0.3), **how).fit(views)
    np.testing.assert_array_equal(same.transform(views), model.transform(views))


def test_pictures_words_and_numbers_come_back_in_their_own_form():
    """Which of two colours a square has decides the picture, the sentence and the numbers."""
    random = np.random.default_rng(0)
    red = random.random(60) < 0.5
    pictures = [np.full((12, 12, 3), (230, 30, 30) if r else (30, 30, 230), np.uint8) for r in red]
    texts = ["a red square" if r else "one blue box" for r in red]
    numbers = np.where(red, 10.0, -10.0)[:, None] + random.normal(size=(60, 3))
    views = Views({"photo": pictures, "said": texts, "sizes": numbers}, kinds={"photo": "image", "said": "text"})
    towers = {"photo": ConvNet(size=12, channels=4, augment=None, thumbnail=10), "said": LSTM(width=16)}
    towers["sizes"] = MLP((16,))
    model = MultimodalAutoencoder(towers, **{**QUICK, "batch_size": 15, "epochs": 35}).fit(views)
    found = model.reconstruct(views.select("said"))
    assert found["photo"].shape == (60, 10, 10, 3)
    assert found["photo"].dtype == np.uint8
    middle = found["photo"].mean((1, 2))
    assert np.array_equal(middle[:, 0] > middle[:, 2], red)
    assert np.abs(middle[red].mean(0) - (230, 30, 30)).max() < 40
    np.testing.assert_allclose(found["sizes"].mean(1), np.where(red, 10, -10), atol=4)
    encoder = model.module_.towers["said"].encoder
    from_numbers = model.reconstruct(views.select("sizes"))["said"]
    assert from_numbers.shape == (60, encoder.raw_width)
    place = encoder.tokenizer.token_to_id("red")
    assert from_numbers[red, place].min() > from_numbers[~red, place].max()
    words = model.words(views.select("sizes"), most=3)
    assert list(words) == ["said"]
    assert [("red" in row, "blue" in row, len(row)) for row in words["said"]] == [(r, not r, 3) for r in red.tolist()]
    assert set(model.explained(views)) == {"photo", "said", "sizes"}


def test_another_fusion():
    model = MultimodalAutoencoder(**{**QUICK, "epochs": 3}, fusion=GatedFusion(drop=0.3)).fit(related(80))
    assert model.transform(related(5)).shape == (5, 16)
    assert model.aligns is False


def test_refusals(model):
    views = related(6)
    gone = np.arange(6) == 4
    empty = views.replace(columns={name: views[name].without(gone) for name in views.columns})
    for asks in (model.transform, model.reconstruct, model.score):
        with pytest.raises(DataError, match="1 of 6 rows have none of a, b, c, first row 4; leave them out"):
            asks(empty)
    with pytest.raises(DataError, match="no view has two rows that differ"):
        model.score(views[:1])
    with pytest.raises(UsageError, match="truth must be the same rows as X, got 5 and 6"):
        model.explained(views, views[:5])
    with pytest.raises(ModalityError, match="no view 'other'"):
        model.reconstruct(Views({"other": np.ones((2, 3))}))
    with pytest.raises(UsageError, match=r"Reconstruction\(fused=True\) needs a fusion"):
        MultimodalAutoencoder(fusion=None).fit(views)
