"""What holds for every term that bouba.terms exports, found by looking, not listed. See bouba.terms.contract."""

import dataclasses
import inspect

import pytest
import torch

import bouba.terms
from bouba import persist
from bouba.terms import (
    BYOL,
    DINO,
    ELBO,
    MAE,
    MMD,
    Adversarial,
    BarlowTwins,
    CentroidLabels,
    Distil,
    DistilSimilarities,
    DomainAdversarial,
    ExplicitNegatives,
    FlowMatching,
    FuseMix,
    InfoNCE,
    MaskedView,
    Nested,
    NTXent,
    Objective,
    Prediction,
    PseudoPairs,
    Reconstruction,
    Regression,
    SelfTraining,
    SigmoidPairs,
    SimSiam,
    Structure,
    SupervisedContrastive,
    Term,
    TransportPlans,
    Triplet,
    VICReg,
)
from bouba.terms.contract import CHECKS, SPACE, a_batch

CLASSES = [
    thing
    for thing in (getattr(bouba.terms, name) for name in bouba.terms.__all__)
    if isinstance(thing, type) and issubclass(thing, Term) and not inspect.isabstract(thing)
]
ARGUMENTS = {  # of those that cannot be made without
    Adversarial: ("a", "b"),
    Distil: ("taught",),
    DistilSimilarities: ("taught",),
    ExplicitNegatives: ("a", "b", ("c",)),
    FlowMatching: ("a", "b"),
    Nested: (InfoNCE(), (1, 3)),
    Regression: ("a", "b"),
}
VARIANTS = [  # options that take another way through a term
    InfoNCE(pairs="a"),
    MaskedView(("a",), learn=False),
    MaskedView(raw=True, hidden=8),
    SigmoidPairs(pairs="b"),
    Triplet(mining="hardest", similarity="euclidean"),
    Triplet(mining="all"),
    NTXent(learn=True, views=("a",)),
    SupervisedContrastive(by="key", twins=True, learn=True),
    ExplicitNegatives("a", "b", ("c",), in_batch=True),
    Reconstruction(hidden=8, cross=True),
    Reconstruction(hidden=8, fused=True),
    MMD(kernel="linear", unbiased=False),
    DomainAdversarial(hidden=8, condition="kind", entropy_weight=True),
    SelfTraining(threshold=0.3),
    SelfTraining(threshold=0.3, twins=False),
    PseudoPairs(threshold=0.1),
    FuseMix(alpha=0.3, learn=False),
    Structure(("a",), temperature=1.0),
    TransportPlans((("a", "b"),), least=1),
    PseudoPairs((("a", "b"),), threshold=0.1, twins=False),
    Prediction(apart=True, weighting="uncertainty", class_weight="balanced"),
    Prediction(("size",), hidden=8),
    Regression("b", "a", raw=True, hidden=8),
    FlowMatching("b", "a", raw=True, hidden=8),
    Adversarial("b", "a", raw=True, hidden=8, mismatched=True, pull=1.0),
    ELBO("product", hidden=8, likelihoods=(("a", "laplace"),)),
    ELBO("mixture", hidden=8, scale=0.5),
    ELBO("mopoe", hidden=8, beta=2.5),
    Distil("taught", views=("b",)),
    DistilSimilarities("taught", views=("a", "c"), temperature=0.5),
    Nested(Distil("taught"), (2,)),
    Nested(Prediction(), (2, 4)),
    Nested(NTXent(), (2,)),
    Nested(Nested(Triplet(), (2,)), (3,)),
    VICReg(1.0, 2.0, 0.5, ("a",)),
    VICReg(across=True),
    MAE(0.4, views=("b",), hidden=8),
    SimSiam(8, views=("c",)),
    BYOL(0.5, 8, ("a",)),
    DINO(3, views=("b",)),
    BarlowTwins(0.1, ("b", "c"), across=True),
]
TERMS = [cls(*ARGUMENTS.get(cls, ())) for cls in CLASSES] + VARIANTS
every_term = pytest.mark.parametrize("term", TERMS, ids=repr)


def test_every_term_of_the_room_is_exported():
    def below(cls):
        return {cls}.union(*map(below, cls.__subclasses__()))

    made_here = {cls for cls in below(Term) if cls.__module__.startswith("bouba.") and not inspect.isabstract(cls)}
    assert made_here == set(CLASSES)
    assert len(CLASSES) >= 18


@every_term
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_contract(check, term):
    check(term, SPACE)


@every_term
def test_a_term_survives_saving(term):
    assert persist.rebuild(persist.describe(term)) == term


@every_term
def test_needs_are_one_frozen_value(term):
    needs = term.needs()
    assert needs == dataclasses.replace(term).needs()
    with pytest.raises(dataclasses.FrozenInstanceError):
        needs.pairs = True


OTHER_GRADIENTS = (Adversarial, CentroidLabels, DomainAdversarial, MMD, Prediction, SimSiam)
"""Players with opposite ends; labels that jump; a bandwidth without gradient; what is computed in float32; a target
that stands still."""
DIFFERENTIABLE = [
    t for t in TERMS if not isinstance(getattr(t, "inner", t), OTHER_GRADIENTS) and t.needs().embeddings != ()
]


@pytest.mark.parametrize("term", DIFFERENTIABLE, ids=repr)
def test_the_gradient_is_that_of_the_value(term):
    """Along a random direction, by central differences in float64."""
    objective = Objective.of(term)
    torch.manual_seed(0)
    state = objective.state(SPACE).double()
    batch = a_batch(term, SPACE, size=6, present=0.9)
    batch = batch.map(lambda x: x.detach().double().requires_grad_(x.requires_grad) if x.is_floating_point() else x)
    moved = [
        *batch.z.values(),
        *batch.twin.values(),
        *batch.masked.values(),
        *([] if batch.fused is None else [batch.fused]),
    ]
    directions = [torch.randn_like(x) for x in moved]

    def cost(step=0.0):
        steps = {id(x): x + step * d for x, d in zip(moved, directions)}
        torch.manual_seed(1)
        return objective.loss(batch.map(lambda x: steps.get(id(x), x)), state)[0]

    cost().backward()
    slope = sum((x.grad * d).sum() for x, d in zip(moved, directions)).item()
    with torch.no_grad():
        differences = ((cost(1e-5) - cost(-1e-5)) / 2e-5).item()
    assert slope == pytest.approx(differences, rel=1e-5, abs=1e-8)
