"""The simple baseline of every result: linear CCA on features that need no training."""

from __future__ import annotations

import numpy as np

from bouba.align.blocks import Blocks
from bouba.align.canonical import Solution, most_components, solve
from bouba.align.choosing import FEWEST, folds
from bouba.align.closed_form import ClosedForm
from bouba.align.features import SimpleFeatures
from bouba.align.moments import Moments
from bouba.align.things import Things
from bouba.errors import DataError
from bouba.metrics.retrieval import mean_reciprocal_rank

RIDGES = (0.03, 0.1, 0.3, 0.6, 0.9)
USUAL = 0.3  # where rows are too few to choose
CHOOSING = 3000  # rows that the ridge is chosen on, at most


class LinearBaseline(ClosedForm):
    """Simple features of each view, reduced by PCA, aligned by CCA.

    Pictures: 16 x 16 RGB pixels. Text: TF-IDF of character n-grams up to 4. Sounds: statistics of log-mel energies.
    Clips: pixels of the mean frame. Vectors: unchanged. Tables: numbers and categories. Each is reduced to `features`
    columns, then CCA(dim, ridge), with as many components as there are.

    Args:
        dim: components, at most. features: columns a view is reduced to.
        ridge: see CCA; None takes the one of RIDGES by which rows held out of those that are fitted find each other
            best (mean reciprocal rank, cross-validated; what shows one thing is on one side of a fold), and USUAL where
            fewer than FEWEST things have two views.
        crop: cut the white margin of pictures and clips away first.
        random_state: of the PCA and of the folds.

    Attributes: `ridge_`, the one taken.

    Raises:
        DataError: fewer than three rows with two views.
    """

    def __init__(
        self,
        dim: int = 64,
        features: int = 200,
        ridge: float | None = None,
        *,
        crop: bool = False,
        random_state: int = 0,
    ):
        self.dim = dim
        self.features = features
        self.ridge = ridge
        self.crop = crop
        self.random_state = random_state

    def _fit(self, data: dict[str, np.ndarray], present: dict[str, np.ndarray]) -> None:
        self._fit_blocks(Blocks(data, present, dict))

    def _fit_blocks(self, blocks: Blocks) -> None:
        moments = Moments.of(blocks.data, blocks.present)
        if moments.counts.diagonal().max() < 3:
            raise DataError(f"the baseline needs three rows with two views, got {int(moments.counts.max())}")
        self.ridge_ = float(self._chosen_ridge(blocks) if self.ridge is None else self.ridge)
        self.solution_ = self._solved(moments, self.ridge_)

    def _solved(self, moments: Moments, ridge: float) -> Solution:
        return solve(moments, min(self.dim, most_components(moments.widths)), dict.fromkeys(moments.names, ridge))

    def _chosen_ridge(self, blocks: Blocks) -> float:
        """The one of RIDGES by which held-out rows find each other best, summed over folds; the larger of equals."""
        paired = np.flatnonzero(np.sum(list(blocks.present.values()), axis=0) > 1)
        rows = np.random.default_rng(self.random_state).permutation(paired)[:CHOOSING]
        things = Things.of(blocks)[rows]
        if things.apart < FEWEST:
            return USUAL
        found = np.zeros(len(RIDGES))
        for training, judged in folds(things.together, self.random_state):
            data, present = _rows(blocks, rows[training])
            moments = Moments.of(data, present)
            held_out, there = _rows(blocks, rows[judged])
            try:
                for place, ridge in enumerate(RIDGES):
                    sides = self._solved(moments, ridge).sides
                    z = {view: sides[view].project(values) * sides[view].emphasis for view, values in held_out.items()}
                    found[place] += mean_reciprocal_rank(z, there, things.shown[judged])
            except DataError:  # a view without a pair in this fold
                continue
        return RIDGES[len(RIDGES) - 1 - int(np.argmax(found[::-1]))] if found.any() else USUAL

    @property
    def correlations_(self) -> np.ndarray:
        """(k,) correlations of the variates."""
        return self.solution_.correlations

    def _project(self, name: str, values: np.ndarray) -> np.ndarray:
        return self.solution_.sides[name].project(values)

    def _emphasis(self, name: str) -> np.ndarray:
        return self.solution_.sides[name].emphasis

    def _features(self) -> SimpleFeatures:
        return SimpleFeatures(
            self.features, reduce_vectors=True, crop=self.crop, tables=True, random_state=self.random_state
        )


def _rows(blocks: Blocks, rows: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """`data` and `present` of some rows."""
    return (
        {view: values[rows] for view, values in blocks.data.items()},
        {view: mask[rows] for view, mask in blocks.present.items()},
    )
