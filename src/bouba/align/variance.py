"""What linear methods say of the columns themselves: loadings, factors, variance explained, views that are absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.align.readout import ReadsOut
from bouba.errors import ModalityError, UsageError, nearest
from bouba.estimator import check_is_fitted

if TYPE_CHECKING:
    from bouba.align.blocks import Blocks
    from bouba.align.closed_form import ClosedForm


@dataclass(frozen=True)
class Loadings:
    """Of `loadings`; prints the largest as a table.

    Args:
        view: name. columns: d names. values: (d, k).
    """

    view: str
    columns: tuple[str, ...]
    values: np.ndarray

    def top(self, component: int = 0, n: int = 10) -> list[tuple[str, float]]:
        """The n columns (name, loading) of one component that are furthest from 0, the furthest first."""
        order = np.argsort(-np.abs(self.values[:, component]), kind="stable")[:n]
        return [(self.columns[i], float(self.values[i, component])) for i in order]

    def __str__(self) -> str:
        lines = [f"loadings of {self.view}, the 5 furthest from 0"]
        for component in range(self.values.shape[1]):
            cells = ", ".join(f"{name} {value:.2f}" for name, value in self.top(component, 5))
            lines.append(f"component {component + 1}: {cells}")
        return "\n".join(lines)


@dataclass(frozen=True)
class VarianceExplained:
    """Of `variance_explained`; prints as a table.

    Args:
        views: M names. shares: (M, k), of each component alone. total: (M,), of all together. rows: (M,), how many
            have the view.
    """

    views: tuple[str, ...]
    shares: np.ndarray
    total: np.ndarray
    rows: np.ndarray

    def __str__(self) -> str:
        width = max(9, *(len(view) for view in self.views))
        heads = [f"component {c + 1}" for c in range(self.shares.shape[1])]
        lines = ["  ".join(["view".ljust(width), *heads, "  total", "   rows"])]
        for view, shares, total, n in zip(self.views, self.shares, self.total, self.rows, strict=True):
            cells = [f"{share:.4f}".rjust(len(head)) for head, share in zip(heads, shares, strict=True)]
            lines.append("  ".join([view.ljust(width), *cells, f"{total:.4f}".rjust(7), f"{n}".rjust(7)]))
        return "\n".join(lines)


def loadings(model: ClosedForm, view: str) -> Loadings:
    """How much each column of a view has to do with each component, by the names of the columns.

        loading_jc = correlation of column j with the view's variate c, over the fitted rows

    Of ProbabilisticCCA it is the correlation with the factor itself. Unlike a weight, a loading says nothing of the
    other columns: where ten genes say the same, each has a large one.

    Args:
        model: a fitted linear method: CCA, PLS, SparseCCA, MatrixFreeCCA or ProbabilisticCCA.
        view: one of its views; of pictures and texts the columns are those of their features, with numbers for names.

    Raises:
        ModalityError: no such view. UsageError: a method that is not linear.

    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> from bouba import PLS
    >>> loadings(PLS(1).fit([x, x[:, :1]]), "view0").top(n=1)[0][0]
    '0'
    """
    readout = _readout(model)
    return Loadings(view, names_of_columns(model, view), readout.loadings(view))


def names_of_columns(model: ClosedForm, view: str) -> tuple[str, ...]:
    """Of a view that was read; numbers where its columns have no names.

    Raises:
        ModalityError: no such view.
    """
    if view not in model.kinds_:
        raise ModalityError(f"no view {view!r}{nearest(view, model.kinds_)}")
    names, width = () if model.schema_ is None else model.schema_.columns.get(view, ()), model.widths_[view]
    return tuple(names) if len(names) == width else tuple(map(str, range(width)))


def factors(model: ClosedForm, X: Any) -> np.ndarray:
    """One row of numbers a row of X, from whichever views it has: what the variates of its views share.

        f_c = sum over views v of e_vc z_vc / sd(z_vc), over its deviation;   e_c the leading eigenvector of how the
        variates of component c correlate. Where a row lacks views, what least squares on the sum of its others gives.
        Of ProbabilisticCCA: the posterior mean of the factors.

    Take it for plots, clusters and later models, as the factors of MOFA; `transform` keeps one variate a view.

    Args:
        model: a fitted linear method. X: views as in `transform`.

    Returns:
        (n, k), of deviation 1 over rows with all views; zeros, the mean, for a row without a view.

    Raises:
        UsageError: a method that is not linear. Otherwise as `transform`.
    """
    readout, blocks = _readout(model), model._read(X)
    return readout.factors(_variates(model, blocks), blocks.present)


def variance_explained(model: ClosedForm, X: Any, *, from_others: bool = False) -> VarianceExplained:
    """The share of each view's variance that each component explains in some rows, as MOFA's table of R2.

        R2_vc = 1 - sum (x_v - x^_v)^2 / sum (x_v - mean)^2,   x^_v by least squares on factor c of the row

    Regressions are those of the fitted rows; sums go over the columns of v and the rows of X that have it. In rows that
    were not fitted a share may fall below 0: then the component does worse than the mean. Columns count by their
    variance: scale them first where each shall count alike.

    Args:
        model: a fitted linear method. X: views as in `transform`.
        from_others: read the other views alone, as where v is absent. Without, v itself is read too.

    Raises:
        UsageError: a method that is not linear, or `from_others` with one view. Otherwise as `transform`.

    Reference: Argelaguet et al. 2018, Multi-Omics Factor Analysis, variance decomposition. Departure: the factor
    of a row is that of `factors`, from the views that are read.

    >>> x = np.random.default_rng(0).normal(size=(60, 2))
    >>> from bouba import CCA
    >>> print(variance_explained(CCA(1).fit([x, x[:, :1]]), [x, x[:, :1]]))
    view       component 1    total     rows
    view0           0.4990   0.4990       60
    view1           1.0000   1.0000       60
    """
    readout, blocks = _readout(model), model._read(X)
    z = _variates(model, blocks)
    shares, total, rows = [], [], []
    for view, values in blocks.data.items():
        sources = {name: of for name, of in z.items() if name != view} if from_others else z
        if not sources:
            raise UsageError(f"{view!r} is not predicted from itself; give another view as well")
        has = blocks.present[view]
        shares.append([_share(readout, view, values, has, sources, blocks.present, c) for c in range(readout.k)])
        total.append(_share(readout, view, values, has, sources, blocks.present))
        rows.append(int(has.sum()))
    return VarianceExplained(tuple(blocks.data), np.array(shares), np.array(total), np.array(rows))


def predicted_view(model: ClosedForm, X: Any, *, to: str | None = None) -> np.ndarray:
    """The best linear prediction of one view from the variates of others; `predict` of linear methods.

        E[x_to] + S_to,g S_gg^-1 g,   g the factors of a row from its other views; see `factors`

    With all components, ridge 0 and two views this is ordinary least squares; fewer components regularise it. A row
    that has none of the views is predicted as the mean.

    Args:
        X: views as in `transform`.
        to: the view to predict; None takes the only one that X lacks. It is never predicted from itself.

    Returns:
        (n, d) numbers, for pictures and texts their simple features.

    Raises:
        ModalityError: no such view. UsageError: nothing to predict from, several views to predict, a method that is
        not linear.
    """
    readout, blocks = _readout(model), model._read(X)
    if to is None:
        others = [name for name in model.kinds_ if name not in blocks.data]
        if len(others) != 1:
            raise UsageError(f"which view is to be predicted? Say to=, one of {', '.join(map(repr, model.kinds_))}")
        to = others[0]
    if to not in model.kinds_:
        raise ModalityError(f"no view {to!r}{nearest(to, model.kinds_)}")
    sources = {name: z for name, z in _variates(model, blocks).items() if name != to}
    if not sources:
        raise UsageError(f"{to!r} is not predicted from itself; give another view as well")
    return readout.predicted(to, sources, blocks.present)


def reconstructed(model: ClosedForm, X: Any) -> dict[str, np.ndarray]:
    """Every view of numbers (n, d), by least squares on the variates of those that a row has; `reconstruct` of linear
    methods. `bouba.impute` fills in with it what is missing."""
    readout, blocks = _readout(model), model._read(X)
    z = _variates(model, blocks)
    return {name: readout.predicted(name, z, blocks.present) for name in _of_numbers(model)}


def shares_given_back(model: ClosedForm, X: Any, truth: Any = None) -> dict[str, float]:
    """How much comes back of each view of numbers in `truth`, 1 - squared error / variance over the rows that have it;
    `explained` of linear methods. With views in `truth` that X lacks, it is the R2 of absent views.

    Args:
        X: views as in `transform`. truth: the same rows; X itself when None.

    Raises:
        UsageError: other rows. Otherwise as `transform`.
    """
    if model.readout_ is None:
        return {}
    blocks = model._read(X)
    given = blocks if truth is None else model._read(truth)
    if len(given) != len(blocks):
        raise UsageError(f"truth must be the same rows as X, got {len(given)} and {len(blocks)}")
    z = _variates(model, blocks)
    shares: dict[str, float] = {}
    for view in (name for name in _of_numbers(model) if name in given.data):
        share = _share(model.readout_, view, given.data[view], given.present[view], z, blocks.present)
        shares |= {view: share} if np.isfinite(share) else {}
    return shares


def _share(
    readout: ReadsOut,
    view: str,
    values: Any,
    has: np.ndarray,
    sources: Mapping[str, np.ndarray],
    present: Mapping[str, np.ndarray],
    component: int | None = None,
) -> float:
    """1 - squared error / variance of a view over the rows that have it; NaN where these do not differ."""
    at = np.flatnonzero(has)
    if not len(at):
        return np.nan
    of = lambda arrays: {name: arrays[name][at] for name in sources}  # noqa: E731
    predicted = readout.predicted(view, of(sources), of(present), component)
    true = values[at] if isinstance(values, np.ndarray) else values[at].toarray()
    spread = np.square(true - true.mean(0, dtype=float)).sum(dtype=float)
    return float(1 - np.square(predicted - true).sum(dtype=float) / spread) if spread > 0 else np.nan


def _readout(model: ClosedForm) -> ReadsOut:
    check_is_fitted(model)
    if model.readout_ is None:
        raise UsageError(
            f"{type(model).__name__} keeps no regressions of columns on variates; take CCA, PLS, SparseCCA, "
            "MatrixFreeCCA or ProbabilisticCCA, or fit again where it was saved by an earlier version"
        )
    return model.readout_


def _variates(model: ClosedForm, blocks: Blocks) -> dict[str, np.ndarray]:
    return {name: np.asarray(model._variates(blocks, name), float) for name in blocks.data}


def _of_numbers(model: ClosedForm) -> list[str]:
    """The views whose columns are the cells themselves, not features of them."""
    return [name for name, kind in model.kinds_.items() if kind == "vector" and model.reducers_[name] is None]
