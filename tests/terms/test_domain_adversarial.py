"""DomainAdversarial, the term and its function."""

import doctest
import importlib
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bouba.batch import Batch
from bouba.errors import ModalityError, UsageError
from bouba.nn.domain_classifier import DomainClassifier
from bouba.terms import DomainAdversarial, Space, domain_adversarial
from bouba.terms.domain_adversarial import adaptation_strength, certainty


def test_definition_mean_over_domains_of_mean_over_rows():
    torch.manual_seed(0)
    z, domain, classifier = torch.randn(7, 3), torch.tensor([0, 0, 0, 0, 1, 1, 2]), nn.Linear(3, 3)
    value, _ = domain_adversarial(z, domain, classifier)
    unit = math.sqrt(3) * z / z.norm(dim=1, keepdim=True)
    cost = [-F.log_softmax(classifier(unit[i]), dim=0)[domain[i]] for i in range(7)]
    by_domain = [sum(cost[:4]) / 4, sum(cost[4:6]) / 2, cost[6]]
    assert float(value.detach()) == pytest.approx(float((sum(by_domain) / 3).detach()), abs=1e-6)


def test_definition_conditional_and_weighted():
    torch.manual_seed(0)
    z, domain = torch.randn(7, 3), torch.tensor([0, 0, 0, 0, 1, 1, 2])
    log_p = torch.randn(7, 2).log_softmax(1)
    classifier = DomainClassifier(3, 3, hidden=5, classes=2)
    weight = certainty(log_p)
    value, _ = domain_adversarial(z, domain, classifier, given=log_p.exp(), weight=weight)
    costs = []
    for i in range(7):
        unit = math.sqrt(3) * z[i] / z[i].norm()
        joint = torch.stack([unit[a] * log_p[i, c].exp() for a in range(3) for c in range(2)])
        costs.append(float(-classifier.layers(joint).log_softmax(0)[domain[i]].detach()))
    w = [1 + math.exp(sum(v * math.log(v) for v in row)) for row in log_p.exp().tolist()]
    mean = lambda rows: sum(w[i] * costs[i] for i in rows) / sum(w[i] for i in rows)  # noqa: E731
    expected = (mean([0, 1, 2, 3]) + mean([4, 5]) + mean([6])) / 3
    assert value.item() == pytest.approx(expected, abs=1e-5)


def test_law_probabilities_and_weights_get_no_gradient():
    z, log_p = torch.randn(4, 3, requires_grad=True), torch.randn(4, 2).log_softmax(1).requires_grad_()
    classifier = DomainClassifier(3, 2, hidden=5, classes=2)
    domain = torch.tensor([0, 1, 0, 1])
    domain_adversarial(z, domain, classifier, given=log_p.exp(), weight=certainty(log_p))[0].backward()
    assert log_p.grad is None
    assert z.grad.count_nonzero()


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
    assert value is None
    assert "accuracy.a" not in parts


def test_refusal_one_domain():
    with pytest.raises(UsageError, match="DomainAdversarial needs two domains or more, got 1; name the domain column"):
        DomainAdversarial().state(Space({"a": 3}, domains=("here",)))


def test_recovery_what_agrees_as_a_whole_and_not_class_by_class_is_told_by_the_conditional_classifier_alone():
    """Domains swap the places of two classes: z is distributed alike in both, z given the class is not."""
    torch.manual_seed(0)
    domain, code = torch.arange(400) % 2, torch.arange(400) // 2 % 2
    place = torch.where(domain == 0, code, 1 - code)
    z = torch.eye(4)[place] + 0.1 * torch.randn(400, 4)
    predicted = {"kind": (torch.eye(2)[code] * 0.9 + 0.05).log()}
    space = Space({"a": 4}, domains=("p", "q"), classes={"kind": ("x", "y")}, predicted=("kind",))
    accuracy = {}
    for condition in (None, "kind"):
        term = DomainAdversarial(hidden=32, condition=condition, entropy_weight=condition is not None)
        state = term.state(space)
        optimizer = torch.optim.Adam(state.parameters(), lr=0.01)
        for _ in range(60):
            value, parts = term.loss(batch(z, domain).replace(predicted=predicted), state)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        accuracy[condition] = parts["accuracy.a"].item()
    assert accuracy[None] < 0.65
    assert accuracy["kind"] > 0.95


def test_refusals():
    space = Space({"a": 3}, domains=("p", "q"), classes={"kind": ("x", "y")}, predicted=("kind",))
    with pytest.raises(ModalityError, match="DomainAdversarial names 'b', but no such view"):
        DomainAdversarial(("b",)).state(space)
    with pytest.raises(UsageError, match=r"DomainAdversarial names 'a' where a tuple of views is expected"):
        DomainAdversarial("a").state(space)
    with pytest.raises(UsageError, match=r"DomainAdversarial reads class probabilities of 'kid', .*mean 'kind'"):
        DomainAdversarial(condition="kid").state(space)
    with pytest.raises(UsageError, match="entropy_weight needs condition"):
        DomainAdversarial(entropy_weight=True).state(space)


def test_examples():
    assert doctest.testmod(importlib.import_module("bouba.terms.domain_adversarial")).failed == 0
