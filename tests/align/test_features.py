"""Simple features: pixels, n-grams and numbers, the same as scikit-learn's own pipelines."""

import numpy as np
import pytest
from PIL import Image
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from bouba import persist
from bouba.align.features import SimpleFeatures
from bouba.align.plain import plain_numbers
from bouba.errors import DataError
from bouba.towers.audio import log_mel

TEXTS = ["a red apple", "a green apple", "two pears", "红苹果", "ein Apfel", "a pear tree", "red red red", "tea"]


def pictures(n=30):
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 255, (16, 16, 3), dtype=np.uint8)) for _ in range(n)]


def test_definition_of_text():
    features, values = SimpleFeatures(width=3).learn("text", TEXTS)
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, max_features=20_000)
    by_hand = TruncatedSVD(3, random_state=0).fit(grams.fit_transform(TEXTS))
    new = ["green tea", "nothing like it", ""]
    np.testing.assert_allclose(features(new), by_hand.transform(grams.transform(new)), atol=1e-12)
    np.testing.assert_allclose(features(TEXTS), values, atol=1e-12)


def test_text_may_stay_sparse():
    features, values = SimpleFeatures(sparse_text=True).learn("text", TEXTS)
    assert values.shape == (8, len(features.vocabulary))
    np.testing.assert_allclose(features(TEXTS).toarray(), values.toarray(), atol=1e-12)
    np.testing.assert_allclose(np.sqrt(values.power(2).sum(1)), 1)


def test_definition_of_pictures():
    cells = pictures()
    features, values = SimpleFeatures(width=5).learn("image", cells)
    pixels = np.stack([np.asarray(cell, float).ravel() / 255 for cell in cells])
    by_hand = PCA(5, random_state=0).fit(pixels)
    np.testing.assert_allclose(np.abs(values), np.abs(by_hand.transform(pixels)), atol=1e-3)
    np.testing.assert_allclose(features(cells[:2]), values[:2], atol=1e-6)


def test_vectors_are_reduced_where_they_are_too_wide():
    wide = np.random.default_rng(0).normal(size=(40, 12))
    spec = SimpleFeatures(width=4, reduce_vectors=True)
    assert not spec.keeps(wide)
    assert spec.keeps(wide[:, :4])
    assert SimpleFeatures(width=4).keeps(wide)
    features, values = spec.learn("vector", wide)
    np.testing.assert_allclose(np.abs(values), np.abs(PCA(4).fit_transform(wide)), atol=1e-5)
    with pytest.raises(DataError, match="vectors have 11 columns, the model was fitted on 12"):
        features(wide[:, :11])


@pytest.mark.parametrize("kind", ["image", "text", "vector"])
def test_what_was_learnt_is_packed_to_the_bit(kind):
    cells = {"image": pictures(), "text": TEXTS, "vector": np.random.default_rng(0).normal(size=(9, 5))}[kind]
    features, _ = SimpleFeatures(width=3, reduce_vectors=True).learn(kind, cells)
    copy = persist.unpack(*persist.pack({"it": features}))["it"]
    np.testing.assert_array_equal(copy(cells), features(cells))


def test_definition_of_sounds():
    random = np.random.default_rng(0)
    sounds = [random.normal(size=9000).astype(np.float32) * volume for volume in (0.01, 0.1, 0.5)]
    values = plain_numbers("audio", [(sound, 16_000) for sound in sounds])
    assert values.shape == (3, 2 * 40 + 2 * 13 + 2 * 13)
    energies = log_mel(sounds[1], 16_000, 40).numpy().astype(float)
    np.testing.assert_allclose(values[1, :40], energies.mean(0), rtol=1e-4)
    angles = np.pi / 40 * np.outer(np.arange(13), np.arange(40) + 0.5)
    scale = np.where(np.arange(13) == 0, np.sqrt(1 / 40), np.sqrt(2 / 40))
    cepstra = energies @ (np.cos(angles) * scale[:, None]).T  # DCT-II, orthonormal
    np.testing.assert_allclose(values[1, 93:106], cepstra.std(0), rtol=1e-3)
    np.testing.assert_allclose(values[1, 119:], np.diff(cepstra, axis=0).std(0), rtol=1e-3)
    assert plain_numbers("audio", [(np.zeros(10, np.float32), 16_000)]).shape == (1, 132)


def test_definition_of_clips():
    random = np.random.default_rng(0)
    frames = random.integers(0, 255, (3, 16, 16, 3), dtype=np.uint8)
    values = plain_numbers("video", [frames, frames[:1]])
    np.testing.assert_allclose(values[0, :768], frames.mean(0).ravel() / 255, atol=1e-6)
    change = np.abs(np.diff(frames.astype(float), axis=0)).mean(0).ravel() / 255
    np.testing.assert_allclose(values[0, 768:], change, atol=1e-6)
    assert not values[1, 768:].any()


def test_definition_of_tables():
    rows = [{"age": 10.0, "city": "Bonn"}, {"age": 30.0, "city": "Lyon"}, {"city": "Bonn"}, {"age": 20.0}]
    features, values = SimpleFeatures(tables=True).learn("table", rows)
    step = np.sqrt(1.5)
    np.testing.assert_allclose(values, [[-step, 1, 0], [step, 0, 1], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_allclose(features([{"age": 20.0, "city": "Rome"}, {"age": "old"}]), np.zeros((2, 3)))
    copy = persist.unpack(*persist.pack({"it": features}))["it"]
    np.testing.assert_array_equal(copy(rows), values)


def test_few_cells_give_few_columns():
    assert SimpleFeatures().learn("image", pictures(3))[1].shape == (3, 2)
    assert SimpleFeatures().learn("text", TEXTS[:3])[1].shape == (3, 2)


def test_refusals():
    with pytest.raises(DataError, match="there are no simple features of smells; embed it first and give the vectors"):
        SimpleFeatures().learn("smells", ["a", "b"])
    with pytest.raises(DataError, match="simple features need two cells or more, got 1"):
        SimpleFeatures().learn("text", ["one"])
