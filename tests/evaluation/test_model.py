"""as_model: our estimators as they are, anybody else's with what it can do."""

import copy

import numpy as np
import pytest

from bouba import CCA, CLIP, ConditionalGAN, FusionClassifier, InfoNCE, Learner, Prediction, Views
from bouba.evaluation.model import (
    Embeds,
    ForeignModel,
    Fuses,
    Model,
    PredictsLabels,
    Reconstructs,
    Translates,
    as_model,
)
from bouba.fuse import MultimodalAutoencoder

ABILITIES = {"fuses": Fuses, "predicts": PredictsLabels, "reconstructs": Reconstructs, "translates": Translates}


def rows(n=24):
    z = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    return Views({"a": z, "b": z + 1}, y={"kind": np.where(z[:, 0] > 0, "up", "down").astype(object)})


@pytest.mark.parametrize(
    "model",
    [
        CCA(2),
        CLIP(epochs=1, dim=4),
        FusionClassifier(epochs=1, dim=4),
        MultimodalAutoencoder(epochs=1, dim=4),
        ConditionalGAN(epochs=1, dim=4),
        Learner(objective=InfoNCE() + Prediction(), epochs=1, dim=4),
    ],
    ids=lambda model: type(model).__name__,
)
def test_estimators_stay_themselves_and_have_the_methods_of_what_they_say(model):
    model.fit(rows())
    assert isinstance(model, Model)
    assert as_model(model) is model
    assert set(model.searchable) <= set(model.kinds_)
    for ability, protocol in ABILITIES.items():
        assert not getattr(model, ability) or isinstance(model, protocol), ability


class Embedder:
    """A model of somebody else's, which says one thing of itself."""

    compared_by = "euclidean"
    temperature = 3

    def embed(self, X):
        return {name: np.stack(list(column)) for name, column in X.columns.items()}


class Predictor:
    """A model of somebody else's that only predicts."""

    def outputs(self, X, subsets=None):
        return {}

    def classes(self, label):
        return np.array([])


def test_a_foreign_model_keeps_what_it_says_and_gets_defaults_for_the_rest():
    model = as_model(Embedder())
    assert isinstance(model, ForeignModel)
    assert (model.compared_by, model.aligns, model.kinds_, model.searchable) == ("euclidean", True, {}, ())
    assert not any(getattr(model, ability) for ability in ABILITIES)
    assert model.embed(rows()).keys() == {"a", "b"}
    assert model.temperature == 3  # whatever else it has


def test_methods_are_abilities_and_attributes_overrule_them():
    assert as_model(Predictor()).predicts
    assert not isinstance(Predictor(), Embeds)
    silent = Predictor()
    silent.predicts = False
    assert not as_model(silent).predicts


def test_a_wrapped_model_is_wrapped_once_and_can_be_copied():
    model = as_model(Embedder())
    assert as_model(model) is model
    assert copy.copy(model) == model
    with pytest.raises(AttributeError, match="nothing"):
        model.nothing  # noqa: B018
