"""SimSiam: one embedding of a thing predicts the other, which stands still. No negatives, no second network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.errors import UsageError
from bouba.nn.by_view import ByView
from bouba.nn.predictor import Predictor
from bouba.nn.unit import unit_rows
from bouba.terms.checks import check_embeddings, check_finite, check_views
from bouba.terms.rows import averaged, matched
from bouba.terms.term import Needs, Parts, Space, Term

EPSILON = 1e-5  # added to a variance, as BatchNorm does


def predicted_cosine(z: Tensor, target: Tensor, predictor: nn.Module) -> Tensor:
    """How far what is predicted of B embeddings points away from those that were to be predicted.

        L = 1/B sum_i (1 - cos(h(u_i), v_i)),   u, v: z and target, standardised over the rows; v without gradient

    Args:
        z: (B, d) embeddings, B >= 2. target: (B, p) others of the same things. predictor: h, from (B, d) to (B, p).

    Returns:
        A scalar in [0, 2], of at least float32.

    Raises:
        UsageError: shapes that do not fit. DataError: NaN or infinity; names the argument and the row.

    Reference: Chen and He 2021, Exploring Simple Siamese Representation Learning, equation 1, plus 1; the BatchNorm
    that ends its projection stands here, without scale and shift.

    >>> z = torch.eye(3)
    >>> predicted_cosine(z, 2 * z, nn.Identity()).item(), predicted_cosine(z, -z, nn.Identity()).item()
    (0.0, 2.0)
    """
    check_finite("z", z)
    check_finite("target", target)
    if z.ndim != 2 or target.ndim != 2 or len(z) != len(target) or len(z) < 2:
        shapes = f"z {tuple(z.shape)} and target {tuple(target.shape)}"
        raise UsageError(f"predicted_cosine needs z (B, d) and target (B, p) of the same B >= 2 rows, got {shapes}")
    with torch.autocast(z.device.type, enabled=False):
        dtype = torch.promote_types(z.dtype, torch.float32)
        predicted, wanted = predictor(standardised(z.to(dtype))), standardised(target.detach().to(dtype))
        check_embeddings("predicted_cosine", predicted=predicted, target=wanted)
        return (unit_rows(predicted) - unit_rows(wanted)).square().sum(1).mean() / 2


def standardised(z: Tensor) -> Tensor:
    """(z - mean) / sqrt(Var + 1e-5) over the rows, as BatchNorm without scale and shift."""
    z = z - z.mean(0)
    return z / (z.square().mean(0) + EPSILON).sqrt()


def sim_siam(z: Tensor, twin: Tensor, predictor: nn.Module) -> Tensor:
    """Each of two embeddings of the same B things predicts the other, which stands still.

        L = 1/2 D(z, stop(z')) + 1/2 D(z', stop(z)),   D = predicted_cosine

    That nothing collapses is no property of L, whose least value constant embeddings have too; it comes of the
    predictor, of gradients that stop and of standardising. Where you want it stated, take `vicreg` or `barlow_twins`.

    Args:
        z, twin: (B, d) embeddings, B >= 2. predictor: h, from (B, d) to (B, d).

    Returns:
        A scalar in [0, 2], of at least float32.

    Raises:
        UsageError: shapes that do not fit. DataError: NaN or infinity; names the argument and the row.

    Reference: Chen and He 2021, equations 2 to 4, plus 1.

    >>> z = torch.eye(3)
    >>> sim_siam(z, z, nn.Identity()).item()
    0.0
    """
    return (predicted_cosine(z, twin, predictor) + predicted_cosine(twin, z, predictor)) / 2


@dataclass(frozen=True)
class SimSiam(Term):
    """Each random change of a cell is predicted from the other, by a small network, without negatives.

        L = 1/|V| sum over views v of sim_siam(z_v, twin_v, h_v)

    The cheapest of those without negatives: no second set of towers as BYOL, no matrix of moments as VICReg. It may
    collapse; watch `spread`. Between views it would make one predictable from the other, not alike: take VICReg.

    Args:
        hidden: width of each predictor, a quarter of the embedding's when None.
        views: which views; all when None.

    Logs `spread`: sqrt(d) times the deviation of z / |z| over the rows, a mean over numbers and views; 1 where
    embeddings fill the sphere, 0 where they have collapsed. A smaller loss does not mean a better model, so nothing is
    validated by it.

    Reference: Chen and He 2021, Exploring Simple Siamese Representation Learning. Departures: plus 1, so that 0 is
    solved; the projection's hidden layers are the learner's; any kind of view, several at once, masked missing cells.

    >>> SimSiam(hidden=32)
    SimSiam(hidden=32, views=None)
    """

    hidden: int | None = None
    views: tuple[str, ...] | None = None

    def needs(self) -> Needs:
        return Needs(embeddings=self.views, twins=True, validates=False)

    def state(self, space: Space) -> ByView:
        return predictors("SimSiam", space, self.views, self.hidden)

    def loss(self, batch, state):
        costs, spreads = [], []
        for view, _, z, twin in matched("SimSiam", batch, self.views, across=False, least=2):
            costs.append(sim_siam(z, twin, state[view]))
            spreads.append(spread(z))
        return averaged(costs), Parts(spread=averaged(spreads)) if spreads else Parts()  # type: ignore[arg-type]


def predictors(term: str, space: Space, views: tuple[str, ...] | None, hidden: int | None) -> ByView:
    """A predictor for each view. ModalityError for an unknown view, UsageError for a width below 1."""
    check_views(f"{term} names", views, space.dims)
    if hidden is not None and hidden < 1:
        raise UsageError(f"hidden is the width of a predictor, 1 or more, got {hidden}")
    dims = {view: space.dims[view] for view in views or space.dims}
    return ByView({view: Predictor(dim, hidden or max(1, dim // 4)) for view, dim in dims.items()})


def spread(z: Tensor) -> Tensor:
    """How much of the sphere B embeddings fill: sqrt(d) times the deviation of u = z / |z| over the rows, a mean over
    the d numbers; about 1 for directions drawn evenly, 0 for one direction."""
    u = unit_rows(z.detach())
    return u.std(0, correction=0).mean() * u.shape[1] ** 0.5
