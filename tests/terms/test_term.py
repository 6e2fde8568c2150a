"""The algebra: a term is a description, an objective is a weighted sum."""

from dataclasses import dataclass

import pytest
import torch

from bouba.batch import Batch
from bouba.terms import DomainAdversarial, InfoNCE, Objective, Space, Term


@dataclass(frozen=True)
class Mean(Term):
    """The mean of all numbers, times `by`."""

    by: float = 1.0

    def loss(self, batch, state):
        return self.by * torch.stack([z.mean() for z in batch.z.values()]).mean(), {"by": self.by}


@dataclass(frozen=True)
class Hinder(Mean):
    """A term whose smaller value says nothing about the model."""

    validates = False


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
