"""Domain-adversarial training: embeddings from which no classifier can tell the domain."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from bouba.errors import ModalityError, UsageError, nearest
from bouba.nn.by_view import ByView
from bouba.nn.reversal import reverse_gradient
from bouba.nn.unit import unit_rows
from bouba.terms.rows import nothing
from bouba.terms.term import Space, Term


def adaptation_strength(progress: float, gamma: float = 10.0) -> float:
    """lambda_p = 2 / (1 + exp(-gamma p)) - 1, from 0 to 1 over training (Ganin et al. 2016, section 5.2.2)."""
    return 2.0 / (1.0 + math.exp(-gamma * progress)) - 1.0


def domain_adversarial(z: Tensor, domain: Tensor, classifier: nn.Module, *, strength: float = 1.0):
    """Cross-entropy of a domain classifier behind a gradient reversal.

        L = mean over domains of mean over their rows of -log softmax(C(R(z / |z|)))[domain],   R reverses gradients

    Every domain weighs the same, whatever its share of the batch.

    Args:
        z: (B, d) embeddings; only their direction is judged, as only it enters a cosine similarity.
        domain: (B,) int64 domain codes.
        classifier: maps (B, d) to logits (B, K) over K domains.
        strength: lambda, how much of the reversed gradient reaches z.

    Returns:
        The scalar loss, and the classifier's logits (B, K).
    """
    direction = unit_rows(z) * math.sqrt(z.shape[1])  # unit variance a coordinate
    logits = classifier(reverse_gradient(direction, strength)).float()
    share = F.one_hot(domain, logits.shape[1]).to(logits.dtype).mean(0)  # (K,)
    cost = F.cross_entropy(logits, domain, reduction="none") / share[domain]
    return cost.mean() / (share > 0).sum(), logits


@dataclass(frozen=True)
class DomainAdversarial(Term):
    """A domain classifier and embeddings that fool it (DANN), one classifier a view.

        min_C max_f  L = -1/K sum_k  mean_{i in domain k} log C(z_i)[k]

    The gradient reversal makes this one scalar that both sides minimise. Use it when a source with pairs or
    labels must carry over to a target without them, and the two differ in look rather than in content. When
    the gap is small it gains nothing and can cost precision: measure on your own data.

    Args:
        views: which views to adapt; all views in which two domains or more occur by default.
        hidden: width of the classifier's two hidden layers.
        gamma: how steeply the paper's schedule raises the strength from 0 to 1.

    Logs `accuracy.<view>`, how often the classifier is right: near 1 / K where adaptation succeeded, if the
    classifier still trains well.

    Reference: Ganin et al. 2016, Domain-Adversarial Training of Neural Networks, equation 9. Departures: K domains
    instead of two, each weighing the same; the classifier sees directions, since embeddings are compared by them.

    >>> DomainAdversarial(hidden=64)
    DomainAdversarial(views=None, hidden=64, gamma=10.0)
    """

    validates: ClassVar[bool] = False

    views: tuple[str, ...] | None = None
    hidden: int = 256
    gamma: float = 10.0

    def state(self, space: Space) -> nn.Module:
        if isinstance(self.views, str):
            raise UsageError(f"views is a tuple of names, got {self.views!r}; write ({self.views!r},)")
        if len(space.domains) < 2:
            raise UsageError(
                f"DomainAdversarial needs two domains or more, got {len(space.domains)}; name the domain column "
                "(domain=...) and the target (fit(..., target=...))"
            )
        for view in self.views or ():
            if view not in space.dims:
                raise ModalityError(f"DomainAdversarial names {view!r}, but no such view{nearest(view, space.dims)}")
        h = self.hidden
        return ByView(
            {
                view: nn.Sequential(
                    nn.Linear(space.dims[view], h),
                    nn.ReLU(),
                    nn.Linear(h, h),
                    nn.ReLU(),
                    nn.Linear(h, len(space.domains)),
                )
                for view in self.views or space.dims
            }
        )

    def loss(self, batch, state):
        total, parts, used = nothing(batch, state), {}, 0
        strength = adaptation_strength(batch.progress, self.gamma)
        for view, classifier in state.items():
            known = batch.present[view] & (batch.domain >= 0)
            domain = batch.domain[known]
            if len(domain.unique()) < 2:  # nothing to tell apart: a view the target does not have
                continue
            value, logits = domain_adversarial(batch.z[view][known], domain, classifier, strength=strength)
            total, used = total + value, used + 1
            parts[f"accuracy.{view}"] = (logits.argmax(1) == domain).float().mean()
        return total / max(used, 1), parts | {"strength": strength}
