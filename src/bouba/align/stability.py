"""Which columns two views share, with a bound on how many of those named are wrong: stability selection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import index

import numpy as np

from bouba.align.moments import Moments
from bouba.align.penalised import Counted, sparse_weights
from bouba.align.sparse_cca import SparseCCA, units_of
from bouba.align.variance import names_of_columns
from bouba.errors import DataError, ModalityError, UsageError, nearest


@dataclass(frozen=True)
class StabilitySelection:
    """Of `stability_selection`; prints the columns that are stable.

    Args:
        columns: view -> d names. frequencies: view -> (d,), the share of half-samples in which a column was selected.
        threshold: from which frequency on a column is stable.
        selected: view -> columns that a half-sample selected, mean.
        expected_false: view -> bound on how many of its stable columns are expected to be false.
    """

    columns: Mapping[str, tuple[str, ...]]
    frequencies: Mapping[str, np.ndarray]
    threshold: float
    selected: Mapping[str, float]
    expected_false: Mapping[str, float]

    def stable(self, view: str) -> list[tuple[str, float]]:
        """The columns (name, frequency) of a view that are stable, the most frequent first.

        Raises:
            ModalityError: no such view.
        """
        if view not in self.frequencies:
            raise ModalityError(f"no view {view!r}{nearest(view, self.frequencies)}")
        frequencies = self.frequencies[view]
        order = np.argsort(-frequencies, kind="stable")
        names = self.columns[view]
        return [(names[i], float(frequencies[i])) for i in order.tolist() if frequencies[i] >= self.threshold]

    def __str__(self) -> str:
        lines = []
        for view, bound in self.expected_false.items():
            named = self.stable(view)
            lines.append(
                f"{view}: {len(named)} of {len(self.columns[view])} columns in {self.threshold:.0%} of half-samples or "
                f"more, at most {bound:.2g} of them expected to be false"
            )
            lines += [f"  {share:.2f}  {name}" for name, share in named]
        return "\n".join(lines)


def stability_selection(
    X,
    y=None,
    *,
    n_components: int = 1,
    expected_false: float = 1.0,
    threshold: float = 0.75,
    halves: int = 100,
    random_state: int = 0,
) -> StabilitySelection:
    """Columns that SparseCCA selects in most halves of the rows, so few at a time that few of them are false.

        half-samples  pairs of disjoint halves; each half gives a component q columns of a view
        stable        columns selected in a share pi of the halves or more, pi the threshold
        bound         E(false) <= q^2 / ((2 pi - 1) p),  p columns in all; q is the largest for which it holds

    One fit of SparseCCA names other columns when the rows change a little. This asks which ones do not depend on them,
    and needs no penalty: the bound decides how many columns a half selects. For `q` other than this, give
    `expected_false` or `threshold` another value.

    The bound is Meinshausen and Buehlmann's. It holds where columns that have no part in what views share are
    exchangeable and a half does no worse than guessing. Columns that correlate with one that has a part
    are no noise: they may be selected in its place, or share its frequency. With pairs of
    halves the same number bounds, without these assumptions, how many columns are stable that a half selects with a
    probability of q / p at most (Shah and Samworth).

    Args:
        X, y: views as in SparseCCA; missing cells as there.
        n_components: columns count that are selected by any of so many components; q is shared out among them.
        expected_false: bound E(false) for each view, above 0. threshold: pi, above .5 and up to 1.
        halves: half-samples, an even number. Rows with equal keys or groups are in one half.
        random_state: of the halves.

    Raises:
        DataError: as SparseCCA; fewer than four rows, keys or groups. UsageError: an argument outside of its
        range, or a bound so low that a half could select no column.

    Reference: Meinshausen & Buehlmann 2010, Stability selection, theorem 1; Shah & Samworth 2013, Variable selection
    with error control, theorem 1, for pairs of halves.

    >>> from bouba import samples
    >>> views, truth = samples.correlated(200, (0.9,), widths={"genes": 50, "drugs": 40}, nonzero=2)
    >>> print(stability_selection(views, halves=20))
    genes: 2 of 50 columns in 75% of half-samples or more, at most 1 of them expected to be false
      1.00  genes_18
      1.00  genes_23
    drugs: 2 of 40 columns in 75% of half-samples or more, at most 0.8 of them expected to be false
      1.00  drugs_7
      1.00  drugs_36
    """
    _refuse(expected_false, threshold, halves)
    reader = SparseCCA(n_components)
    blocks = reader._read(X, y, fit=True)
    k = reader._k(blocks.data)
    units = np.unique(units_of(blocks), return_inverse=True)[1]
    if (distinct := int(units.max()) + 1) < 4:
        raise DataError(f"{distinct} rows, keys or groups are too few to be halved; four are needed")
    each = {
        view: _columns_of_a_half(values.shape[1], expected_false, threshold, k) for view, values in blocks.data.items()
    }
    random = np.random.default_rng(random_state)
    counts = {view: np.zeros(values.shape[1]) for view, values in blocks.data.items()}
    for _ in range(halves // 2):
        order = random.permutation(distinct)
        for half in (order[: distinct // 2], order[distinct - distinct // 2 :]):
            rows = np.isin(units, half)
            present = {view: there[rows] for view, there in blocks.present.items()}
            moments = Moments.of({view: values[rows] for view, values in blocks.data.items()}, present)
            weights = sparse_weights(moments, k, {view: Counted(count) for view, count in each.items()})
            for view, w in weights.items():
                counts[view] += w.any(axis=1)
    selected = {view: float(count.sum() / halves) for view, count in counts.items()}
    return StabilitySelection(
        {view: names_of_columns(reader, view) for view in counts},
        {view: count / halves for view, count in counts.items()},
        threshold,
        selected,
        {view: selected[view] ** 2 / ((2 * threshold - 1) * len(count)) for view, count in counts.items()},
    )


def _columns_of_a_half(p: int, expected_false: float, threshold: float, k: int) -> int:
    """How many of p columns each of k components selects."""
    q = np.sqrt(expected_false * (2 * threshold - 1) * p)
    if q < k:
        raise UsageError(
            f"with expected_false={expected_false:g} and threshold={threshold:g}, {k} components could select "
            f"{q:.1f} of {p} columns; raise one of the two, or take fewer components"
        )
    return min(int(q) // k, p)


def _refuse(expected_false: float, threshold: float, halves: int) -> None:
    if not 0.5 < threshold <= 1:
        raise UsageError(f"threshold is above 0.5 and up to 1, got {threshold}; 0.75 is usual")
    if not expected_false > 0:
        raise UsageError(f"expected_false is above 0, got {expected_false}; 1 is usual")
    if index(halves) < 2 or halves % 2:
        raise UsageError(f"halves are an even number, 2 or more, got {halves}; 100 is usual")
