"""Partial least squares: directions in which two views covary most."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bouba.align.blocks import Blocks
from bouba.align.light import Correlated, Pairs
from bouba.align.maps import Map
from bouba.align.pairwise import Pairwise
from bouba.align.readout import Readout
from bouba.align.variance import predicted_view, reconstructed, shares_given_back
from bouba.errors import UsageError


class PLS(Pairwise):
    """The singular vectors of the covariance between two views.

        S_ab = U diag(s) V';   z_a = (x - mean) U s^p,  z_b = (y - mean) V s^p

    It is CCA with a ridge of 1: no direction is favoured for varying little, so it is steady with very few pairs, and
    finds less where there are many.

    Args:
        n_components: directions of the shared space, at most; None for all.
        power: p, what a direction weighs by its covariance; 0 weighs all alike.
        towers: view -> a frozen encoder that reads it. device: where that runs, "auto" for
            a GPU where there is one.
        features: columns that pictures and texts without a tower are
            reduced to. random_state: of that reduction.

    Attributes: `maps_` view -> Map; `correlations_` (k,), k at most 256; `kinds_`.

    Raises:
        UsageError: more than two views, a power below 0. DataError: fewer than two rows with both.

    Reference: Wold 1975; Bookstein 1994 (as a singular value decomposition).

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(50, 3))
    >>> PLS().fit([x, x[:, ::-1]]).correlations_.round(6).tolist()
    [1.0, 1.0, 1.0]
    """

    reconstructs = True
    predict, reconstruct, explained = predicted_view, reconstructed, shares_given_back

    def __init__(
        self,
        n_components: int | None = None,
        *,
        power: float = 0.5,
        towers: Mapping[str, Any] | None = None,
        device: str = "auto",
        features: int = 200,
        random_state: int = 0,
    ):
        super().__init__(n_components, towers=towers, device=device, features=features, random_state=random_state)
        self.power = power

    def _read_out(self, blocks: Blocks) -> None:
        variates = {name: self._variates(blocks, name) for name in blocks.data}
        self.readout_ = Readout.of(variates, blocks.data, blocks.present)

    def _solve(self, pairs: Pairs) -> tuple[Map, Map]:
        if self.power < 0:
            raise UsageError(f"power must be 0 or above, got {self.power}")
        return Correlated(1.0, self.power).solve(pairs)
