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
        (CLIP, {"epochs": "2"}, r"CLIP takes a whole number as epochs, got '2' \(str\)"),
        (CLIP, {"epochs": 1.5}, r"CLIP takes a whole number as epochs, got 1.5 \(float\)"),
        (CLIP, {"dim": "x"}, "CLIP takes a whole number as dim, got 'x'"),
        (CLIP, {"dim": True}, "CLIP takes a whole number as dim, got True"),
        (CLIP, {"dim": 0}, "CLIP takes dim from 1 to 1,048,576, got 0"),
        (CLIP, {"dim": 10**12}, "CLIP takes dim from 1 to 1,048,576"),
        (CLIP, {"lr": None}, "CLIP takes a number as lr, got None"),
        (CLIP, {"lr": -1.0}, "learning rate of 0 or more as lr, for example 0.002, got -1.0"),
        (CLIP, {"lr": float("nan")}, "got nan"),
        (CLIP, {"weight_decay": float("nan")}, "weight_decay from 0 to 1,000,000, got nan"),
        (CLIP, {"batch_size": 2.5}, "CLIP takes a whole number or None as batch_size"),
        (CLIP, {"chunk_size": 0}, "chunk_size from 1"),
        (CLIP, {"patience": "x"}, "whole number or None as patience"),
        (CLIP, {"random_state": -1}, "random_state from 0 to 4,294,967,295, got -1"),
        (CLIP, {"random_state": 2**40}, "random_state from 0"),
        (CLIP, {"random_state": "a"}, "CLIP takes a whole number as random_state"),
        (CLIP, {"domain_norm": "yes"}, "CLIP takes True or False as domain_norm, got 'yes'"),
        (CLIP, {"fusion": "gated"}, "CLIP takes a Fusion or None as fusion, got 'gated'"),
        (CLIP, {"towers": 5}, "CLIP takes towers by view"),
        (CLIP, {"towers": {3: MLP()}}, "got a tower of 3"),
        (CLIP, {"towers": {"a": 5}}, "the tower of 'a' is 5; give one of bouba.towers"),
        (CLIP, {"towers": {"a": MLP}}, r"the tower of 'a' is a class; make one of it: MLP\(\)"),
        (Learner, {"objective": 3}, "objective is a term or a sum of terms"),
        (Learner, {"objective": InfoNCE}, r"objective is a class; make a term of it: InfoNCE\(\)"),
        (Learner, {"objective": -1 * InfoNCE()}, r"a term weighs 0 or more, got -1.0 \* InfoNCE"),
        (Learner, {"objective": float("nan") * InfoNCE()}, "a term weighs 0 or more, got nan"),
        (FusionClassifier, {"alone": "x"}, "FusionClassifier takes a number as alone"),
        (CCA, {"n_components": "x"}, "CCA takes a whole number or None as n_components"),
        (CCA, {"ridge": "x"}, "CCA takes a number or a list or a mapping as ridge"),
        (KernelCCA, {"gamma": "x"}, "KernelCCA takes a number or a mapping or None as gamma"),
    ],
)
def test_an_estimator_names_the_argument(method, options, sentence):
    with pytest.raises(UsageError, match=sentence):
        method(**options).fit(VIEWS)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: MLP(hidden=8), "MLP takes several values as hidden, got 8"),
        (lambda: MLP(dropout="x"), "MLP takes a number as dropout, got 'x'"),
        (lambda: ConvNet(size=None), "ConvNet takes a whole number as size, got None"),
        (lambda: Augment(zoom=3), "Augment takes 2 values as zoom, got 3"),
        (lambda: GatedFusion(drop="x"), "GatedFusion takes a number as drop"),
        (lambda: InfoNCE("x"), "InfoNCE takes a number as temperature, got 'x'"),
        (lambda: DomainAdversarial(hidden="x"), "DomainAdversarial takes a whole number as hidden"),
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
