"""What the light alignments of two views share as estimators: one solution on the rows that have both."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np

from bouba.align.closed_form import ClosedForm
from bouba.align.features import SimpleFeatures
from bouba.align.light import Coordinates, Pairs
from bouba.align.maps import Map, Narrowed, main_directions, pearson
from bouba.errors import DataError, UsageError


class Pairwise(ClosedForm):
    """A closed form between two views; `_solve` gives their maps.

    Attributes: `maps_` view -> Map; `correlations_` (k,), of the embedded pairs; `kinds_`.
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        towers: Mapping[str, Any] | None = None,
        device: str = "auto",
        features: int = 200,
        random_state: int = 0,
    ):
        self.n_components = n_components
        self.towers = towers
        self.device = device
        self.features = features
        self.random_state = random_state

    @abstractmethod
    def _solve(self, pairs: Pairs) -> tuple[Map, Map]:
        """Maps of coordinates."""

    def _fit(self, data: dict[str, np.ndarray], present: dict[str, np.ndarray]) -> None:
        if len(data) != 2:
            raise UsageError(f"{type(self).__name__} aligns two views, got {len(data)}; CCA and FewPairs take more")
        both = np.flatnonzero(np.all(list(present.values()), axis=0))
        if len(both) < 2:
            raise DataError(f"{len(both)} rows have both views; aligning needs two or more")
        first, second = (Coordinates.linear(np.asarray(values[both], float)) for values in data.values())
        every = np.arange(len(both))
        found = self._solve(Pairs(first, second, every, every))
        self.maps_: dict[str, Map] = {
            view: side.on_features(each) for view, side, each in zip(data, (first, second), found, strict=True)
        }
        a, b = (self.maps_[view](np.asarray(values[both], float)) for view, values in data.items())
        if self.n_components is not None and self.n_components < 1:
            raise UsageError(f"n_components is 1 or more, got {self.n_components}")
        if self.n_components is not None and self.n_components < a.shape[1]:
            projection = self._main(a, b, self.n_components)
            self.maps_ = {view: Narrowed(found, projection) for view, found in self.maps_.items()}
            a, b = a @ projection, b @ projection
        self.correlations_ = pearson(a, b)

    def _main(self, a: np.ndarray, b: np.ndarray, k: int) -> np.ndarray:
        """(d, k) the directions of the shared space that stay."""
        return main_directions(a, b, k)

    def _project(self, name: str, values: np.ndarray) -> np.ndarray:
        return self.maps_[name](np.asarray(values, float)).astype(values.dtype)

    def _emphasis(self, name: str) -> np.ndarray:
        return np.ones(len(self.correlations_))

    def _features(self) -> SimpleFeatures:
        return SimpleFeatures(self.features, random_state=self.random_state)


def refuse_share(name: str, value: float) -> None:
    """UsageError for a ridge that is no share."""
    if not 0 <= value <= 1:
        raise UsageError(f"{name} is a shrinkage between 0 and 1, got {value}")
