"""DomainAdversarial, the term and its function."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bouba.batch import Batch
from bouba.errors import UsageError
from bouba.terms import DomainAdversarial, Space, domain_adversarial
from bouba.terms.domain_adversarial import adaptation_strength


def test_definition_mean_over_domains_of_mean_over_rows():
    torch.manual_seed(0)
    z, domain, classifier = torch.randn(7, 3), torch.tensor([0, 0, 0, 0, 1, 1, 2]), nn.Linear(3, 3)
    value, _ = domain_adversarial(z, domain, classifier)
    unit = math.sqrt(3) * z / z.norm(dim=1, keepdim=True)
    cost = [-F.log_softmax(classifier(unit[i]), dim=0)[domain[i]] for i in range(7)]
    by_domain = [sum(cost[:4]) / 4, sum(cost[4:6]) / 2, cost[6]]
    assert float(value.detach()) == pytest.approx(float((sum(by_domain) / 3).detach()), abs=1e-6)


def test_law_the_embedding_gets_minus_strength_times_what_the_classifier_would_give():
    torch.manual_seed(0)
    z = torch.randn(6, 3, requires_grad=True)
    domain, classifier = torch.tensor([0, 1, 0, 1, 0, 1]), nn.Linear(3, 2)
    plain = torch.autograd.grad(
        F.cross_entropy(classifier(F.normalize(z, dim=1) * math.sqrt(3)), domain), [z, *classifier.parameters()]
    )
    value, _ = domain_adversarial(z, domain, classifier, strength=0.4)
    ours = torch.autograd.grad(value, [z, *classifier.parameters()])
    torch.testing.assert_close(ours[0], -0.4 * plain[0])
    for mine, theirs in zip(ours[1:], plain[1:]):
        torch.testing.assert_close(mine, theirs)


def test_law_schedule_of_the_paper():
    assert adaptation_strength(0.0) == 0
    assert adaptation_strength(1.0) == pytest.approx(0.9999, abs=1e-4)
    assert all(adaptation_strength(p / 10) < adaptation_strength((p + 1) / 10) for p in range(10))


def batch(z, domain, present=None):
    here = torch.ones(len(z), dtype=torch.bool) if present is None else present
    return Batch({}, {"a": here}, torch.arange(len(z)), z={"a": z}, domain=domain, progress=1.0)


def test_recovery_removes_a_shift():
    """A bias that tells the domain is unlearnt; without the term it stays."""
    torch.manual_seed(0)
    x = torch.randn(200, 5)
    domain = torch.arange(200) % 2
    x[:, 0] = 3.0 * domain - 1.5
    tower = nn.Linear(5, 5)
    nn.init.eye_(tower.weight)
    term = DomainAdversarial(hidden=32)
    state = term.state(Space({"a": 5}, domains=("here", "there")))
    optimizer = torch.optim.Adam([*tower.parameters(), *state.parameters()], lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        value, parts = term.loss(batch(tower(x), domain), state)
        value.backward()
        optimizer.step()
    gap = F.normalize(tower(x), dim=1)
    assert (gap[domain == 0].mean(0) - gap[domain == 1].mean(0)).norm() < 0.3
    before = F.normalize(x, dim=1)
    assert (before[domain == 0].mean(0) - before[domain == 1].mean(0)).norm() > 0.9
    assert parts["accuracy.a"] < 0.75


def test_a_view_that_only_one_domain_has_is_left_alone():
    z = torch.randn(4, 3, requires_grad=True)
    term = DomainAdversarial()
    state = term.state(Space({"a": 3}, domains=("here", "there")))
    value, parts = term.loss(batch(z, torch.tensor([0, 0, 1, 1]), torch.tensor([True, True, False, False])), state)
    assert float(value) == 0
    assert "accuracy.a" not in parts


def test_refusal_one_domain():
    with pytest.raises(UsageError, match="DomainAdversarial needs two domains or more, got 1; name the domain column"):
        DomainAdversarial().state(Space({"a": 3}, domains=("here",)))
