"""The algebra: a term is a description, an objective is a weighted sum."""

from dataclasses import dataclass

import pytest
import torch

from bouba.batch import Batch
from bouba.terms import (
    Correlation,
    DomainAdversarial,
    InfoNCE,
    Needs,
    Objective,
    Prediction,
    Reconstruction,
    Regression,
    Space,
    Term,
)


@dataclass(frozen=True)
class Mean(Term):
    """The mean of all numbers, times `by`."""

    by: float = 1.0

    def loss(self, batch, state):
        return self.by * torch.stack([z.mean() for z in batch.z.values()]).mean(), {"by": self.by}


@dataclass(frozen=True)
class Hinder(Mean):
    """A term whose smaller value says nothing about the model."""

    def needs(self):
        return Needs(validates=False)


def batch(value=2.0):
    z = {"a": torch.full((3, 2), value), "b": torch.full((3, 2), value)}
    return Batch({}, {name: torch.ones(3, dtype=torch.bool) for name in z}, torch.arange(3), z=z)


SPACE = Space({"a": 2, "b": 2})


def test_definition_weighted_sum():
    objective = Mean() + 0.5 * Mean(by=3.0) * 2
    value, parts = objective.loss(batch(), objective.state(SPACE))
    assert float(value) == pytest.approx(2.0 + 0.5 * 2 * 6.0)
    assert float(parts["Mean"]) == 2.0
    assert float(parts["Mean-2"]) == 6.0
    assert parts["Mean-2.by"] == 3.0


def test_law_order_and_distribution():
    a, b, c = Mean(1.0), Mean(2.0), Mean(3.0)
    assert (a + b) + c == a + (b + c)
    assert 2 * (a + b) == 2 * a + 2 * b
    assert 0.3 * a == a * 0.3


def test_it_prints_as_the_sentence_that_made_it():
    objective = InfoNCE(temperature=0.1) + 0.3 * DomainAdversarial()
    assert repr(objective).startswith("InfoNCE(temperature=0.1, ")
    assert " + 0.3 * DomainAdversarial(views=None" in repr(objective)
    assert eval(repr(objective)) == objective


def test_terms_that_fight_do_not_judge():
    objective = Mean() + Hinder()
    state = objective.state(SPACE)
    assert float(objective.loss(batch(), state)[0]) == 4.0
    value, parts = objective.validation_loss(batch(), state)
    assert float(value) == 2.0
    assert "Hinder" not in parts


def test_one_term_is_an_objective_of_weight_one():
    assert Objective.of(Mean()) == Objective(((1.0, Mean()),))


def test_needs_of_an_objective_are_those_of_its_terms_together():
    both = (InfoNCE(similarity="dot") + Reconstruction(fused=True)).needs()
    assert both == Needs(raw=True, fused=True, aligns=True, similarity="dot")
    assert (InfoNCE() + Correlation()).needs() == Needs(pairs=True, unpaired=False, aligns=True, similarity="cosine")
    assert (Regression("a", "b") + Regression("c", "b")).needs().embeddings == ("a", "c")
    assert (Regression("a", "b") + Prediction()).needs().embeddings is None
    assert (Mean() + Hinder()).judges() == Objective.of(Mean())
    assert not Objective.of(Hinder()).judges().terms
    assert Objective.of(Reconstruction(fused=True)).requires_fusion
    assert not Objective.of(Prediction()).requires_fusion


def test_rows_that_fit():
    present = {"a": torch.tensor([1, 1, 0, 1, 0]) > 0, "b": torch.tensor([1, 0, 1, 0, 0]) > 0}
    y = {"kind": torch.tensor([-1, -1, 2, -1, 1]), "size": torch.tensor([float("nan")] * 5)}
    rows = Batch({}, present, torch.arange(5), y=y, key=torch.tensor([-1, -1, -1, 4, 4]))
    assert Needs().fitting_rows(rows).tolist() == [True, True, True, True, False]
    assert Needs(unpaired=False).fitting_rows(rows).tolist() == [True, False, True, True, False]
    assert Needs(pairs=True, unpaired=False).fitting_rows(rows).tolist() == [True, False, False, False, False]


@dataclass(frozen=True)
class Careless(Term):
    """A term that keeps no contract where it finds no row."""

    answer: str

    def loss(self, batch, state):
        if self.answer == "raise":
            raise RuntimeError("stack expects a non-empty list")
        answers = {"nan": batch.z["a"][:0].mean(), "constant": torch.tensor(0.0), "number": 0.0, "none": None}
        return answers[self.answer], {}


@pytest.mark.parametrize(
    ("answer", "present"), [("raise", 0), ("nan", 0), ("none", 0), ("none", 1), ("constant", 1), ("number", 1)]
)
def test_an_objective_without_rows_is_a_zero_with_a_gradient(answer, present):
    """Whatever the term does where its needs leave no row; and where rows fit, if it returns None or a constant."""
    state = torch.nn.ModuleList([torch.nn.Linear(2, 1)])
    batch = Batch(
        {}, {"a": torch.tensor([present, 0]) > 0}, torch.arange(2), z={"a": torch.randn(2, 2).requires_grad_()}
    )
    value, parts = Objective.of(Careless(answer)).loss(batch, state)
    value.backward()
    assert value.item() == parts["Careless"].item() == 0
    for tensor in (batch.z["a"], *state.parameters()):
        assert tensor.grad is not None
        assert not tensor.grad.count_nonzero()


def test_what_diverges_is_not_taken_for_a_batch_without_rows():
    broken = batch(float("nan"))
    assert Objective.of(Mean()).loss(broken, Objective.of(Mean()).state(SPACE))[0].isnan()
