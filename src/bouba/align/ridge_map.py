"""A linear map from one view's features to the other's, by ridge regression."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bouba.align.light import Pairs, Regressed
from bouba.align.maps import Map
from bouba.align.pairwise import Pairwise, refuse_share


class RidgeMap(Pairwise):
    """One view predicted from the other; a cell is compared with what is predicted of its partner.

        W = S_a^-1 S_ab, S_a shrunk by the ridge;   z_a = (x - mean) W,  z_b = y - mean

    Take it where one view holds what the other is about (numbers behind a text), or to move embeddings of one encoder
    into the space of another.

    Args:
        n_components: directions of the shared space, at most; None for all.
        ridge: shrinkage of the covariance that is inverted, from 0 to 1.
        backward: predict the first view from the second.
        towers: view -> a frozen encoder that reads it. device: where that runs, "auto" for
            a GPU where there is one.
        features: columns that pictures and texts without a tower are
            reduced to. random_state: of that reduction.

    Attributes: `maps_` view -> Map; `correlations_` (k,); `kinds_`.

    Raises:
        UsageError: more than two views, a ridge outside [0, 1]. DataError: fewer than two rows with both.

    Reference: Hoerl & Kennard 1970; Mikolov et al. 2013, Exploiting similarities among languages (as an alignment).

    >>> import numpy as np
    >>> x = np.random.default_rng(0).normal(size=(60, 3))
    >>> RidgeMap(ridge=0.0).fit([x, x @ [[1.0], [2.0], [0.0]]]).correlations_.round(6).tolist()
    [1.0]
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        ridge: float = 0.5,
        backward: bool = False,
        towers: Mapping[str, Any] | None = None,
        device: str = "auto",
        features: int = 200,
        random_state: int = 0,
    ):
        super().__init__(n_components, towers=towers, device=device, features=features, random_state=random_state)
        self.ridge = ridge
        self.backward = backward

    def _solve(self, pairs: Pairs) -> tuple[Map, Map]:
        refuse_share("ridge", self.ridge)
        return Regressed(self.ridge, self.backward).solve(pairs)
