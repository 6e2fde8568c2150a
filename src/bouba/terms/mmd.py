"""MMD: domains whose embeddings have the same mean in the space of a kernel have the same distribution."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bouba.errors import UsageError, nearest
from bouba.nn.gpu_tables import operand_dtype
from bouba.nn.mmd import gaussian_mmd
from bouba.terms.checks import check_domains, check_finite, check_tile, check_views
from bouba.terms.rows import averaged, by_domain
from bouba.terms.term import Needs, Parts, Space, Term

KERNELS = ("linear", "rbf", "multi")
SHARES = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the median squared distance, one kernel each
SAMPLE = 256  # rows whose distances have their median taken


def mmd(
    z_a: Tensor,
    z_b: Tensor,
    *,
    kernel: str = "rbf",
    bandwidths: Sequence[float] | None = None,
    unbiased: bool = True,
    tile: int | None = None,
) -> Tensor:
    """Squared maximum mean discrepancy: how far apart two samples are, 0 in the mean for two of one distribution.

        MMD^2 = | E phi(a) - E phi(b) |^2 = E k(a, a') + E k(b, b') - 2 E k(a, b),    k(x, y) = <phi(x), phi(y)>
        k(x, y) = mean over s of exp(-|x - y|^2 / 2 s^2), or x'y

    Expectations are means over pairs; unbiased, no row is paired with itself, and biased, every row is. The n x m
    matrix is never held, and the gradient is made on the way forward. Unlike `domain_adversarial` it has no classifier
    to train and nothing to balance; but it weighs a shift by its length against the spread in all directions, so that
    a short one along a direction of little variance, which a classifier finds at once, hardly moves it.

    Values to know. The unbiased estimate may be negative, and is half of the time where there is no shift. The
    biased one is at least 0, and (1 / n + 1 / m) (1 - E k) in the mean without any shift. Rows all alike give 0 and no
    gradient. A sample of one row has no pairs: its own mean is then k(x, x), 1 but for the linear kernel.
    Where the median distance is 0 the mean stands for it, and where all rows coincide the size of rounding errors.

    Args:
        z_a: (n, D), n >= 1. Any float type; half precision is computed in float32.
        z_b: (m, D), m >= 1.
        kernel: "rbf" is one Gaussian kernel; "multi" several, for when the right scale is unknown; "linear" compares
            means only, | mean a - mean b |^2.
        bandwidths: s of each Gaussian kernel, in the unit of z. By default from the median squared distance within
            both samples pooled, s^2 = median for "rbf", median * (1/4, 1/2, 1, 2, 4) for "multi": the value does not
            depend on the scale of z then. The median is taken over some 256 evenly spaced rows, without gradient.
        unbiased: leave out the pairs of a row with itself.
        tile: side of the tiles the kernels are computed in; None picks one. Changes time and memory only.

    Returns:
        A scalar, float32 (float64 for float64 input).

    Raises:
        UsageError: a shape, kernel, bandwidth or tile that makes no sense; and, on the way back, a second derivative
            of Gaussian kernels.
        DataError: NaN or infinity in a sample; names the argument and the row.

    Reference: Gretton, Borgwardt, Rasch, Schoelkopf and Smola 2012, A Kernel Two-Sample Test, Lemma 6: equation 3
    (unbiased) and the square of equation 5 (biased); section 8 (median heuristic, there of distances). Several kernels:
    Long, Cao, Wang and Jordan 2015, Learning Transferable Features with Deep Adaptation Networks; departure: all of
    equal weight. Every pair counts, unlike in the linear-time estimate (Gretton et al., Lemma 14).

    >>> a, b = torch.randn(2, 200, 3, generator=torch.Generator().manual_seed(0))
    >>> print(f"{mmd(a, b):.3f} {mmd(a, b + 1):.3f}")
    -0.001 0.202
    >>> round(mmd(a - a.mean(0), b - b.mean(0) + 1, kernel="linear", unbiased=False).item(), 4)  # 1 + 1 + 1
    3.0
    """
    _check(z_a, z_b, kernel, bandwidths, tile)
    operands = operand_dtype(z_a, z_b)
    dtype = torch.promote_types(torch.promote_types(z_a.dtype, z_b.dtype), torch.float32)
    z_a, z_b = z_a.to(dtype), z_b.to(dtype)
    with torch.autocast(z_a.device.type, enabled=False):
        if kernel == "linear":
            return _linear(z_a, z_b, unbiased)
        if bandwidths is None:
            spread = _median_squared_distance(z_a, z_b)
            variances = [spread * share for share in (SHARES if kernel == "multi" else (1.0,))]
        else:  # filled there: a copy to a GPU would wait for it
            variances = [torch.full((), s * s, dtype=torch.float64, device=_exact(z_a)) for s in bandwidths]
        return gaussian_mmd(z_a, z_b, torch.stack(variances), unbiased=unbiased, tile=tile, operands=operands)


def median_squared_distance(z_a: Tensor, z_b: Tensor) -> float:
    """The median of |x - y|^2 over pairs of about SAMPLE evenly spaced rows of both samples pooled.

    Where it is 0, half of the pairs or more coincide and the mean stands for it. It is at least what rounding makes of
    rows that are alike, and above 0.

    >>> median_squared_distance(torch.zeros(2, 1), torch.tensor([[1.0], [3.0]]))  # of 0, 1, 1, 4, 9, 9
    1.0
    """
    return _median_squared_distance(z_a, z_b).item()


def _median_squared_distance(z_a: Tensor, z_b: Tensor) -> Tensor:
    """The same as a float64 scalar on their device, which is not waited for."""
    step = -(-(len(z_a) + len(z_b)) // SAMPLE)
    rows = torch.cat([z_a.detach()[::step], z_b.detach()[::step]]).to(_exact(z_a), torch.float64)
    squares = torch.pdist(rows).square()
    median = squares.median()
    rounding = (100 * torch.finfo(z_a.dtype).eps) ** 2 * rows.square().sum(1).mean()
    spread = torch.maximum(torch.where(median > 0, median, squares.mean()), rounding)
    return torch.where(spread > 0, spread, 1.0)


def _exact(z: Tensor) -> torch.device:
    """Its device, or the CPU instead of one of Apple's GPUs, which have no float64."""
    return torch.device("cpu") if z.device.type == "mps" else z.device


def _linear(z_a: Tensor, z_b: Tensor, unbiased: bool) -> Tensor:
    """|mean a - mean b|^2, less what the means' own variance adds to it."""
    offset = z_a.detach().mean(0)
    z_a, z_b = z_a - offset, z_b - offset
    value = (z_a.mean(0) - z_b.mean(0)).square().sum()
    for z in (z_a, z_b):
        if unbiased and len(z) > 1:
            value = value - z.var(0).sum() / len(z)
    return value


def _check(z_a, z_b, kernel, bandwidths, tile) -> None:
    if z_a.ndim != 2 or z_b.ndim != 2 or z_a.shape[1] != z_b.shape[1] or 0 in (len(z_a), len(z_b)):
        shapes = f"z_a {tuple(z_a.shape)} and z_b {tuple(z_b.shape)}"
        raise UsageError(f"mmd needs two samples (n, D) and (m, D) of one width D, n and m >= 1, got {shapes}")
    check_kernel(kernel, bandwidths)
    check_tile(tile)
    check_finite("z_a", z_a)
    check_finite("z_b", z_b)


def check_kernel(kernel: str, bandwidths: Sequence[float] | None) -> None:
    """UsageError for a kernel that does not exist, or bandwidths that do not suit it."""
    if kernel not in KERNELS:
        raise UsageError(f"no kernel {kernel!r}{nearest(kernel, KERNELS)}")
    if bandwidths is None:
        return
    if kernel == "linear":
        raise UsageError("the linear kernel has no bandwidths; leave them out, or take kernel='rbf'")
    if not isinstance(bandwidths, Sequence) or not bandwidths or not all(0 < s < torch.inf for s in bandwidths):
        raise UsageError(f"bandwidths holds finite numbers above 0, for example (0.5, 1.0), got {bandwidths!r}")
    if kernel == "rbf" and len(bandwidths) > 1:
        raise UsageError(f"kernel='rbf' has one bandwidth, got {len(bandwidths)}; take kernel='multi'")


@dataclass(frozen=True)
class MMD(Term):
    """Embeddings of which every domain has the same distribution, by the mean embedding of a kernel.

        L = 1/|V| sum over views in V of  mean over pairs of domains (p, q) of  mmd(z_p / |z_p|, z_q / |z_q|)

    Every two domains are compared and all pairs count the same, whatever the domains' shares of the batch; V are the
    views that two domains or more have. Rows without the view, or of an unknown domain, are left out, and a domain
    with one row, which has no distribution to compare.

    Use it when a source with pairs or labels must carry over to a target without them. It learns nothing of its own and
    has no adversary to keep in balance, unlike `DomainAdversarial`; that one sees also a short shift along a direction
    of little variance, which a kernel hardly does. Neither is always better: measure both on your own data. It needs
    other terms with it, as embeddings that are all alike cost it nothing, and some 50 rows a domain: in 64 dimensions
    n rows a domain measure 0 with a standard deviation of 0.09 / n, and one standard deviation's shift of one
    coordinate as 0.004.

    It does not judge held-out rows: those of the target, without which there is nothing to compare, are not among them.

    Args:
        views: which views to adapt; all of them when None.
        kernel: "multi", "rbf" or "linear", as in `mmd`.
        bandwidths: s of each Gaussian kernel between directions, whose distances lie in [0, 2]; from the median of
            each pair of domains in each batch when None.
        unbiased: leave out the pairs of a row with itself; the value then has mean 0 without shift.

    Logs `squared.<view>`, the squared MMD: near 0 where domains look alike, and then as often below 0 as above (not
    with unbiased=False).

    Reference: Gretton et al. 2012, A Kernel Two-Sample Test, equation 3; Long et al. 2015, Learning Transferable
    Features with Deep Adaptation Networks, for its use. Departures: directions instead of embeddings, since embeddings
    are compared by them; any number of domains; all pairs of rows instead of a linear-time estimate.

    >>> MMD(kernel="rbf")
    MMD(views=None, kernel='rbf', bandwidths=None, unbiased=True)
    """

    views: tuple[str, ...] | None = None
    kernel: str = "multi"
    bandwidths: tuple[float, ...] | None = None
    unbiased: bool = True

    def needs(self) -> Needs:
        return Needs(validates=False)

    def state(self, space: Space) -> nn.Module:
        check_views("MMD names", self.views, space.dims)
        check_kernel(self.kernel, self.bandwidths)
        check_domains("MMD", space)
        return nn.Module()

    def loss(self, batch, state):
        costs, parts = [], Parts()
        for view in self.views or batch.z:
            pairs = [
                mmd(z_p, z_q, kernel=self.kernel, bandwidths=self.bandwidths, unbiased=self.unbiased)
                for z_p, z_q in itertools.combinations(by_domain(batch, view), 2)
            ]
            if pairs:
                costs.append(torch.stack(pairs).mean())
                parts[f"squared.{view}"] = costs[-1].detach()
        return averaged(costs), parts
