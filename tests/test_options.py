"""An argument of another type, or out of range, is named in one sentence, wherever it is given."""

import copy
import pickle

import numpy as np
import pytest

from bouba import CCA, CLIP, FusionClassifier, KernelCCA, Learner, Views
from bouba.data.augment import Augment
from bouba.errors import UsageError
from bouba.nn.fusion import GatedFusion
from bouba.terms import DomainAdversarial, InfoNCE
from bouba.towers import MLP, ConvNet

random = np.random.default_rng(0)
VIEWS = Views(
    {"a": random.normal(size=(20, 3)), "b": random.normal(size=(20, 2))}, y={"kind": np.array(list("xy") * 10, object)}
)


@pytest.mark.parametrize(
    ("method", "options", "sentence"),
    [
        (CLIP, {"epochs": "2"}, r"CLIP: epochs='2' is not a whole number"),
        (CLIP, {"epochs": 1.5}, r"CLIP: epochs=1.5 is not a whole number"),
        (CLIP, {"dim": "x"}, "CLIP: dim='x' is not a whole number"),
        (CLIP, {"dim": True}, "CLIP: dim=True is not a whole number"),
        (CLIP, {"dim": 0}, "CLIP: dim=0 lies outside 1 to 1,048,576"),
        (CLIP, {"dim": 10**12}, "CLIP: dim=1000000000000 lies outside 1 to 1,048,576"),
        (CLIP, {"lr": None}, "CLIP: lr=None is not a number"),
        (CLIP, {"lr": -1.0}, "CLIP: lr=-1.0 is no learning rate, for example 0.002"),
        (CLIP, {"lr": float("nan")}, "lr=nan is no learning rate"),
        (CLIP, {"weight_decay": float("nan")}, "weight_decay=nan lies outside 0 to 1,000,000"),
        (CLIP, {"batch_size": 2.5}, "CLIP: batch_size=.* is not a whole number or None"),
        (CLIP, {"chunk_size": 0}, "chunk_size=0 lies outside 1 to"),
        (CLIP, {"patience": "x"}, "patience='x' is not a whole number or None"),
        (CLIP, {"random_state": -1}, "random_state=-1 lies outside 0 to 4,294,967,295"),
        (CLIP, {"random_state": 2**40}, "random_state=1099511627776 lies outside"),
        (CLIP, {"random_state": "a"}, "CLIP: random_state=.* is not a whole number"),
        (CLIP, {"domain_norm": "yes"}, "CLIP: domain_norm='yes' is not True or False"),
        (CLIP, {"fusion": "gated"}, "CLIP: fusion='gated' is not a Fusion or None"),
        (CLIP, {"towers": 5}, "CLIP takes towers by view"),
        (CLIP, {"towers": {3: MLP()}}, "got a tower of 3"),
        (CLIP, {"towers": {"a": 5}}, "the tower of 'a' is 5; give one of bouba.towers"),
        (CLIP, {"towers": {"a": MLP}}, r"the tower of 'a' is a class; make one of it: MLP\(\)"),
        (Learner, {"objective": 3}, "objective is a term or a sum of terms"),
        (Learner, {"objective": InfoNCE}, r"objective is a class; make a term of it: InfoNCE\(\)"),
        (Learner, {"objective": -1 * InfoNCE()}, r"a term weighs 0 or more, got -1.0 \* InfoNCE"),
        (Learner, {"objective": float("nan") * InfoNCE()}, "a term weighs 0 or more, got nan"),
        (FusionClassifier, {"alone": "x"}, "FusionClassifier: alone=.* is not a number"),
        (CCA, {"n_components": "x"}, "CCA: n_components=.* is not a whole number or None"),
        (CCA, {"ridge": "x"}, "CCA: ridge=.* is not a number or a list or a mapping"),
        (KernelCCA, {"gamma": "x"}, "KernelCCA: gamma=.* is not a number or a mapping or None"),
    ],
)
def test_an_estimator_names_the_argument(method, options, sentence):
    with pytest.raises(UsageError, match=sentence):
        method(**options).fit(VIEWS)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: MLP(hidden=8), "MLP: hidden=8 is not several values"),
        (lambda: MLP(dropout="x"), "MLP: dropout='x' is not a number"),
        (lambda: ConvNet(size=None), "ConvNet: size=None is not a whole number"),
        (lambda: Augment(zoom=3), "Augment: zoom=3 is not 2 values"),
        (lambda: GatedFusion(drop="x"), "GatedFusion: drop=.* is not a number"),
        (lambda: InfoNCE("x"), "InfoNCE: temperature='x' is not a number"),
        (lambda: DomainAdversarial(hidden="x"), "DomainAdversarial: hidden=.* is not a whole number"),
        (lambda: "x" * InfoNCE(), r"a term is weighed by a number, 0.3 \* InfoNCE\(\), got 'x'"),
    ],
)
def test_a_description_names_the_argument(make, sentence):
    with pytest.raises(UsageError, match=sentence):
        make()


def test_numbers_of_numpy_lists_for_tuples_and_numbers_for_switches_pass():
    assert MLP(hidden=[8, 8], dropout=np.float32(0.5)).dropout == 0.5
    assert ConvNet(size=np.int64(16)).size == 16
    CLIP(epochs=np.int64(1), dim=np.int64(4), verbose=0).fit(VIEWS)


@pytest.mark.parametrize("described", [MLP((8,)), InfoNCE(0.1), GatedFusion(0.2), Augment(turn=3.0)])
def test_descriptions_are_copied_and_pickled(described):
    assert copy.deepcopy(described) == pickle.loads(pickle.dumps(described)) == described
