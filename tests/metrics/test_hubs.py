"""Hubness: the corrections by their definitions, and what they are for."""

from __future__ import annotations

import numpy as np
import pytest

from bouba.errors import UsageError
from bouba.metrics.hubs import as_gallery, as_questions, csls_offsets, inverted_softmax


def test_offsets_are_the_mean_of_the_k_nearest():
    random = np.random.default_rng(0)
    gallery, asking = random.normal(size=(7, 4)), random.normal(size=(20, 4))
    similarities = gallery @ asking.T
    expected = np.sort(similarities, 1)[:, -5:].mean(1)
    np.testing.assert_allclose(csls_offsets(gallery, asking, k=5), expected)
    np.testing.assert_allclose(csls_offsets(gallery, asking, k=99), similarities.mean(1))


def test_one_question_is_ordered_as_csls_orders_it():
    random = np.random.default_rng(0)
    gallery, asking = random.normal(size=(30, 4)), random.normal(size=(50, 4))
    offsets = csls_offsets(gallery, asking)
    question = random.normal(size=(1, 4))
    scores = (as_questions(question) @ as_gallery(gallery, offsets).T)[0]
    np.testing.assert_allclose(2 * scores, 2 * (question @ gallery.T)[0] - offsets)


def test_a_hub_crowds_out_less_of_what_fits():
    angles = np.linspace(0, np.pi / 2, 20)
    asking = np.stack([np.cos(angles), np.sin(angles), np.zeros(20)], 1)
    middle = np.array([[np.sqrt(0.5), np.sqrt(0.5), 0.0]])  # near to all questions, and fits none
    gallery = np.concatenate([0.8 * asking + np.array([0, 0, 0.6]), middle])
    plain = (asking @ gallery.T).argmax(1)
    corrected = (as_questions(asking) @ as_gallery(gallery, csls_offsets(gallery, asking, k=3)).T).argmax(1)
    assert (plain == 20).sum() > (corrected == 20).sum() + 3
    assert (corrected == np.arange(20)).sum() > (plain == np.arange(20)).sum() + 3


def test_inverted_softmax_normalises_over_questions():
    similarities = np.random.default_rng(0).normal(size=(5, 8))
    probabilities = inverted_softmax(similarities, 0.5)
    np.testing.assert_allclose(probabilities.sum(0), 1)
    expected = np.exp(similarities / 0.5)
    np.testing.assert_allclose(probabilities, expected / expected.sum(0))


def test_refusals():
    with pytest.raises(UsageError, match="one known cell or more"):
        csls_offsets(np.eye(2), np.zeros((0, 2)))
    with pytest.raises(UsageError, match="k of 1 or more"):
        csls_offsets(np.eye(2), np.eye(2), k=0)
    with pytest.raises(UsageError, match="temperature must be above 0"):
        inverted_softmax(np.eye(2), 0)
