"""Domain-adversarial training: embeddings from which no classifier can predict the domain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bouba.batch import picked
from bouba.errors import UsageError
from bouba.nn.by_view import ByView
from bouba.nn.domain_classifier import DomainClassifier
from bouba.nn.reversal import reverse_gradient
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_domains, check_predicted, check_views
from bouba.terms.rows import averaged, of_a_domain
from bouba.terms.term import Needs, Parts, Space, Term


def adaptation_strength(progress: float, gamma: float = 10.0) -> float:
    """lambda_p = 2 / (1 + exp(-gamma p)) - 1, from 0 to 1 over training (Ganin et al. 2016, section 5.2.2)."""
    return 2.0 / (1.0 + math.exp(-gamma * progress)) - 1.0


def domain_adversarial(
    z: Tensor,
    domain: Tensor,
    classifier: nn.Module,
    *,
    strength: float = 1.0,
    given: Tensor | None = None,
    weight: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of a domain classifier behind a gradient reversal.

        L = mean over domains of the weighted mean over their rows of -log softmax(C(R(z / |z|), given))[domain],

    R reverses gradients. Every domain weighs the same, whatever its share of the batch.

    Args:
        z: (B, d) embeddings; only their direction is judged, as only it enters a cosine similarity.
        domain: (B,) int64 domain codes.
        classifier: maps (B, d) to logits (B, K) over K domains; (B, d) and (B, C) where `given` is.
        strength: lambda, how much of the reversed gradient reaches z.
        given: (B, C) class probabilities that the classifier reads too; no gradient reaches them.
        weight: (B,) how much a row counts among those of its domain, above 0; all alike when None.

    Returns:
        The scalar loss, and the classifier's logits (B, K).
    """
    direction = unit_rows(z) * math.sqrt(z.shape[1])  # unit variance a coordinate
    direction = reverse_gradient(direction, strength)
    logits = (classifier(direction) if given is None else classifier(direction, given.detach())).float()
    weight = torch.ones_like(logits[:, 0]) if weight is None else weight.detach().to(logits.dtype)
    share = weight.new_zeros(logits.shape[1]).index_add(0, domain, weight)  # of the weight, (K,)
    cost = F.cross_entropy(logits, domain, reduction="none") * weight / share[domain]
    return cost.sum() / (share > 0).sum(), logits


def certainty(log_p: Tensor) -> Tensor:
    """w = 1 + exp(-H(p)), (B,): 2 where a prediction is sure, 1 + 1 / C where it is not (Long et al. 2018, equation 8).

    >>> certainty(torch.tensor([[1.0, 1e-12], [0.5, 0.5]]).log()).tolist()
    [2.0, 1.5]
    """
    return 1 + (log_p.exp() * log_p).sum(1).exp()


@dataclass(frozen=True)
class DomainAdversarial(Term):
    """A domain classifier and embeddings that fool it (DANN), one classifier a view.

        min_C max_f  L = -1/K sum_k  mean_{i in domain k} log C(z_i)[k]

    The gradient reversal makes this one scalar that both sides minimise. Use it when a source with pairs or
    labels must carry over to a target without them, and the two differ in look rather than in content. When
    the gap is small it gains nothing and can cost precision: measure on your own data.

    With `condition` the classifier reads z_i p_i', the products with the predicted class probabilities (CDAN), so that
    the domains must agree class by class and not only as a whole: better where there are several classes and
    predictions on the target are right more often than not. It needs a Prediction of that label in the objective.

    Args:
        views: which views to adapt; all views in which two domains or more occur by default.
        hidden: width of the classifier's two hidden layers.
        gamma: how steeply the paper's schedule raises the strength from 0 to 1.
        condition: the label column whose predicted probabilities the classifier reads.
        entropy_weight: rows that are predicted surely count more, w = 1 + exp(-H(p)); needs `condition`.

    Logs `accuracy.<view>`, how often the classifier is right: near 1 / K where adaptation succeeded, if the
    classifier still trains well.

    References: Ganin et al. 2016, Domain-Adversarial Training of Neural Networks, equation 9; Long et al. 2018,
    Conditional Adversarial Domain Adaptation, equations 5 to 8. Departures: K domains instead of two, each weighing the
    same; the classifier reads directions, since embeddings are compared by them; probabilities and weights are taken as
    given, without gradient, as in the authors' programs for the probabilities.

    >>> DomainAdversarial(hidden=64)
    DomainAdversarial(views=None, hidden=64, gamma=10.0, condition=None, entropy_weight=False)
    """

    views: tuple[str, ...] | None = None
    hidden: int = 256
    gamma: float = 10.0
    condition: str | None = None
    entropy_weight: bool = False

    def needs(self) -> Needs:
        return Needs(predictions=self.condition is not None, validates=False)

    def state(self, space: Space) -> nn.Module:
        check_views("DomainAdversarial names", self.views, space.dims)
        check_domains("DomainAdversarial", space)
        classes = None
        if self.condition is not None:
            check_predicted("DomainAdversarial", (self.condition,), space)
            classes = len((space.classes or {})[self.condition])
        elif self.entropy_weight:
            raise UsageError("entropy_weight needs condition, the label column whose probabilities weigh the rows")
        domains = len(space.domains)
        return ByView(
            {
                view: DomainClassifier(space.dims[view], domains, hidden=self.hidden, classes=classes)
                for view in self.views or space.dims
            }
        )

    def loss(self, batch, state):
        costs, parts = [], Parts()
        strength = adaptation_strength(batch.progress, self.gamma)
        for view, classifier in state.items():
            known = batch if batch.known is None else batch.known
            if len(known.domain[of_a_domain(view, known)].unique()) < 2:  # nothing to classify: the target lacks it
                continue
            rows = batch.rows_where(partial(of_a_domain, view))
            domain = picked(batch.domain, rows)
            log_p = None if self.condition is None else picked(batch.predicted[self.condition], rows).detach()
            value, logits = domain_adversarial(
                picked(batch.z[view], rows),
                domain,
                classifier,
                strength=strength,
                given=None if log_p is None else log_p.exp(),
                weight=certainty(log_p) if log_p is not None and self.entropy_weight else None,
            )
            costs.append(value)
            parts[f"accuracy.{view}"] = (logits.argmax(1) == domain).float().mean()
        return averaged(costs), parts | {"strength": strength}
