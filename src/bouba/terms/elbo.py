"""Evidence lower bound of several views: one code a row, inferred from whichever views are present."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from bouba.batch import picked
from bouba.errors import ModalityError, UsageError
from bouba.nn.by_view import ByView
from bouba.nn.experts import belief, check_experts, divergence, log_density, product
from bouba.nn.fusion import kept_views
from bouba.nn.likelihood import Likelihood
from bouba.terms.checks import check_finite, check_views
from bouba.terms.term import Needs, Space, Term

if TYPE_CHECKING:
    from bouba.batch import Batch

MOST_VIEWS = 10
"""Of mopoe, which sums over all subsets."""
LogP = Mapping[int, Callable[[Tensor], Tensor]]
"""place of a view -> codes (B, k) to log p(x_v | z) (B,), 0 in rows that lack the view; of the views with a decoder."""


@dataclass(frozen=True)
class _Rows:
    """Beliefs of the views of B rows, and how their codes are scored.

    Args:
        mean, log_variance: (B, V, k), zeros where a row lacks the view. present: bool (B, V). log_p: see LogP.
        beta, alpha: see ELBO. noise: like a tensor, for draws.
    """

    mean: Tensor
    log_variance: Tensor
    present: Tensor
    log_p: LogP
    beta: float
    alpha: float
    noise: Callable[[Tensor], Tensor]

    def draw(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """A code for each row, with gradients to mean and log-variance."""
        return mean + (log_variance / 2).exp() * self.noise(mean)

    def likelihood(self, z: Tensor, present: Tensor, views: Iterable[int] | None = None) -> Tensor:
        """sum of log p(x_v | z) over the views v that are `present` (B, V), (B,); of some views alone, where named."""
        scores = [torch.where(present[:, v], self.log_p[v](z), 0) for v in (self.log_p if views is None else views)]
        return sum(scores, start=z.new_zeros(len(z)))

    def of_product(self) -> Tensor:
        """ELBO of the views that are present, and of each alone; with three or more also of a random subset."""
        views = self.present.shape[1]
        subsets: list[tuple[Tensor, Iterable[int] | None]] = [(self.present, None)]
        if views > 1:
            each = torch.arange(views, device=self.present.device)
            subsets += [(self.present & (each == view), (view,)) for view in self.log_p]
        if views > 2:
            subsets.append((kept_views(self.present, 0.5), None))
        total = self.mean.new_zeros(len(self.mean))
        for subset, decoded in subsets:
            mean, log_variance = product(self.mean, self.log_variance, subset, prior=True)
            z = self.draw(mean, log_variance)
            value = self.likelihood(z, subset, decoded) - self.beta * divergence(mean, log_variance)
            total = total + torch.where(subset.any(1), value, 0)
        return total

    def of_mixture(self) -> Tensor:
        """One draw from each expert in turn."""
        count = self.present.sum(1)  # (B,)
        total = self.mean.new_zeros(len(self.mean))
        for view in range(self.present.shape[1]):
            z = self.draw(self.mean[:, view], self.log_variance[:, view])  # (B, k)
            each = log_density(z[:, None], self.mean, self.log_variance)  # (B, V)
            mixed = each.masked_fill(~self.present, -math.inf)
            mixed = torch.where(count[:, None] > 0, mixed, 0).logsumexp(1) - count.clamp(min=1).log()
            value = self.likelihood(z, self.present) + self.beta * (log_density(z) - mixed)
            total = total + torch.where(self.present[:, view], value, 0)
        return total / count.clamp(min=1)

    def of_mopoe(self) -> Tensor:
        """One draw from a random subset's product; the mean of the divergences of all subsets."""
        views = self.present.shape[1]
        numbers = torch.arange(1, 2**views, device=self.present.device)
        subsets = (numbers[:, None] >> torch.arange(views, device=numbers.device)) % 2 == 1  # (S, V)
        allowed = ~(subsets & ~self.present[:, None]).any(2)  # (B, S): all of its views are present
        mean, log_variance = product(self.mean[:, None], self.log_variance[:, None], subsets, prior=False)  # (B, S, k)
        regret = torch.where(allowed, divergence(mean, log_variance), 0).sum(1) / allowed.sum(1).clamp(min=1)
        chosen = torch.rand(allowed.shape, device=allowed.device).masked_fill(~allowed, -1).argmax(1)
        each = torch.arange(len(chosen), device=chosen.device)
        z = self.draw(mean[each, chosen], log_variance[each, chosen])
        return self.likelihood(z, self.present) - self.beta * regret

    def of_mvtcae(self) -> Tensor:
        """The product of all that is present, kept near the prior and near what each view believes."""
        count = self.present.sum(1).clamp(min=1)
        mean, log_variance = product(self.mean, self.log_variance, self.present, prior=False)
        each = divergence(mean[:, None], log_variance[:, None], self.mean, self.log_variance)  # (B, V)
        surprise = torch.where(self.present, each, 0).sum(1) / count
        regret = (1 - self.alpha) * divergence(mean, log_variance) + self.alpha * surprise
        likelihood = self.likelihood(self.draw(mean, log_variance), self.present)
        return (count - self.alpha) / count * likelihood - self.beta * regret


def elbo(
    mean: Tensor,
    log_variance: Tensor,
    present: Tensor,
    log_p: LogP,
    *,
    experts: str = "mvtcae",
    beta: float = 1.0,
    alpha: float = 0.9,
    noise: Callable[[Tensor], Tensor] = torch.randn_like,
) -> Tensor:
    """The evidence lower bound of each row, in nats, estimated by one draw.

    For a row with the set P of n views, q_A = prod_{v in A} q_v normalised, and p(z) = N(0, 1):

        product   sum over A = P, {v} for v in P    E_{q_A p} sum_{v in A} log p(x_v|z) - beta KL(q_A p || p)
        mixture   1/n sum_v E_{q_v}  sum_{w in P} log p(x_w|z) + beta (log p(z) - log 1/n sum_w q_w(z))
        mopoe     1/S sum_A [ E_{q_A} sum_{v in P} log p(x_v|z) - beta KL(q_A || p) ],  A over all S = 2^n - 1 subsets
        mvtcae    (n - alpha)/n E_{q_P} sum_{v in P} log p(x_v|z)
                  - beta [ (1 - alpha) KL(q_P || p) + alpha/n sum_{v in P} KL(q_P || q_v) ]

    With beta = 1 mixture and mopoe are lower bounds of log p(x_P), and so is each A of product.

    Args:
        mean, log_variance: (B, V, k) of q_v, what each view believes. present: bool (B, V); nothing else is read.
        log_p: place of a view -> log p(x_v | z) of codes (B, k), (B,); views without one are read but not decoded.
        experts: "product" (MVAE), "mixture" (MMVAE), "mopoe" or "mvtcae". beta, alpha: see ELBO.
        noise: standard normal numbers like a tensor.

    Returns:
        (B,) to be maximised; 0 in a row without a view.

    References: Wu and Goodman 2018, Multimodal Generative Models for Scalable Weakly-Supervised Learning, equations 4
    and 5; Shi et al. 2019, Variational Mixture-of-Experts Autoencoders, equation 3 with one draw; Sutter et al. 2021,
    Generalized Multimodal ELBO, equations 6 and 8; Hwang et al. 2021, Multi-View Representation Learning via Total
    Correlation Objective, equation 8. Departures: experts and prior are Gaussian throughout (Shi et al.: Laplace, and
    30 importance-weighted draws); of product one random subset where there are three views or more; mopoe draws from
    one subset a row at random, without the prior among its factors; n and the subsets are those of the views that a row
    has.

    >>> q, here = torch.zeros(1, 2, 3), torch.ones(1, 2, dtype=torch.bool)
    >>> elbo(q, q, here, {0: lambda z: z.sum(1) * 0 - 5.0}, experts="mixture")  # log p(x) is -5, q is the prior
    tensor([-5.])
    """
    check_experts(experts)
    here = present[:, :, None]
    rows = _Rows(torch.where(here, mean, 0), torch.where(here, log_variance, 0), present, log_p, beta, alpha, noise)
    how = {"product": rows.of_product, "mixture": rows.of_mixture, "mopoe": rows.of_mopoe, "mvtcae": rows.of_mvtcae}
    return torch.where(present.any(1), how[experts](), 0)


@dataclass(frozen=True)
class ELBO(Term):
    """Every view likely under a code inferred from the views that are present: a multimodal variational autoencoder.

        L = - mean over rows of elbo(q_v(z | x_v), log p(x_v | z)) / sum_v p_v

    An embedding of 2k numbers is a belief about k: mean, then log-variance. p_v numbers are decoded of view v, so that
    the cost is in nats a number, of order 1 as other terms. Take it where views shall be drawn, not only given back;
    Reconstruction(fused=True) where the mean of what is possible will do: it trains faster and gives less blurred
    copies of the views that it is given.

    Args:
        experts: how beliefs become one.
            "product" (MVAE): sure where views agree; each view alone is trained too.
            "mixture" (MMVAE): any view must do for all views; what only one view shows gets blurred.
            "mopoe": between both, any subset must do.
            "mvtcae": the product, near to what each view believes: sharp items that still agree.
        beta: weight of the divergence; more makes codes simpler and items blurred, and views agree more.
        alpha: of mvtcae: 0 is the ELBO of the product alone, towards 1 each view has to know what all know.
        likelihoods: pairs of a view and "gaussian", "laplace" or "bernoulli"; laplace of pictures, gaussian of others.
        scale: deviation around what is decoded, in raw units; trained a view when None. See Likelihood.
        hidden: width of each decoder's hidden layer, as in Reconstruction.

    Logs `nats`, the bound a row, and `scale.<view>`.

    References: see elbo.

    >>> ELBO("mopoe", beta=2.5).alpha
    0.9
    """

    experts: str = "mvtcae"
    beta: float = 1.0
    alpha: float = 0.9
    likelihoods: tuple[tuple[str, str], ...] = ()
    scale: float | None = None
    hidden: int = 256

    def __post_init__(self) -> None:
        check_experts(self.experts)
        object.__setattr__(self, "likelihoods", tuple((view, family) for view, family in self.likelihoods))
        if not self.beta >= 0 or not 0 <= self.alpha < 1 or self.hidden < 1 or (self.scale or 1) <= 0:
            raise UsageError(
                "ELBO needs beta of 0 or more, alpha in [0, 1), hidden of 1 or more and a scale above 0, got "
                f"{self.beta}, {self.alpha}, {self.hidden} and {self.scale}"
            )

    def needs(self) -> Needs:
        return Needs(raw=True)

    def state(self, space: Space) -> ByView:
        families, width = dict(self.likelihoods), next(iter(space.dims.values()))
        check_views("ELBO has a likelihood of", families, space.dims)
        if width % 2 or len(set(space.dims.values())) > 1:
            raise UsageError(f"ELBO reads means and log-variances, an even width for all views, got {dict(space.dims)}")
        if self.experts == "mopoe" and len(space.dims) > MOST_VIEWS:
            raise UsageError(f"mopoe sums over 2^{len(space.dims)} subsets; take mvtcae for over {MOST_VIEWS} views")
        if closed := [view for view in families if view not in space.raw] or (
            list(space.dims) if not space.raw else []
        ):
            raise ModalityError(
                f"ELBO cannot decode {', '.join(map(repr, closed))}: the encoder has no raw form; views that can be: "
                f"{', '.join(map(repr, space.raw)) or 'none'}"
            )
        options: dict[str, Any] = {"hidden": self.hidden, "scale": self.scale}
        return ByView(
            {v: Likelihood(width // 2, shape, family=families.get(v), **options) for v, shape in space.raw.items()}
        )

    def loss(self, batch, state):
        views = [view for view in batch.z if view in batch.present]
        decodable = [view for view in views if view in state.names and view in batch.raw]
        with_one = batch.rows_where(lambda rows: torch.stack([rows.present[v] for v in state.names]).any(0))
        if not decodable or (with_one is not None and not len(with_one)) or not len(batch):
            return None, {}
        present = torch.stack([batch.present[view] for view in views], 1)
        z = torch.stack([torch.where(batch.present[view][:, None], batch.z[view], 0) for view in views], 1)
        check_finite("z", z)
        log_p = {views.index(view): partial(_log_p, batch, view, state[view]) for view in decodable}
        options: dict[str, Any] = {"experts": self.experts, "beta": self.beta, "alpha": self.alpha}
        bound = picked(elbo(*belief(z), present, log_p, **options), with_one).mean()
        widths = sum(batch.raw[view].shape[1] for view in decodable)
        scales = {f"scale.{v}": torch.as_tensor(state[v].log_scale).detach().exp() for v in decodable}
        return -bound / widths, {"nats": bound.detach(), **scales}


def _log_p(batch: Batch, view: str, likelihood: Likelihood, z: Tensor) -> Tensor:
    """log p(x_v | z), (B,), 0 in rows that lack the view."""
    rows = batch.rows_with(view)
    if rows is not None and not len(rows):
        return z.new_zeros(len(z))
    value = likelihood(picked(z, rows), picked(batch.raw[view], rows))
    return value if rows is None else value.new_zeros(len(z)).index_put((rows,), value)
