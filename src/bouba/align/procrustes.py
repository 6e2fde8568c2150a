"""Orthogonal Procrustes after whitening: the rotation that lays one view onto the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bouba.align.light import Correlated, Pairs
from bouba.align.maps import Map
from bouba.align.pairwise import Pairwise, refuse_share


class Procrustes(Pairwise):
    """Both views whitened, and one rotated onto the other.

        whiten    x~ = S_a^-1/2 (x - mean),  y~ likewise, S shrunk by the ridge as in CCA
        rotate    U V' of x~' y~ = U diag(s) V' minimises |x~ U - y~ V|

    It trusts every direction alike, which suits spaces of the same shape (one encoder in two languages); CCA weighs
    directions by how well they correlate, and finds more between pictures and words.

    Args:
        n_components: directions of the shared space, at most; None for all.
        ridge: shrinkage of the covariances, from 0 to 1.
        towers: view -> a frozen encoder that reads it. device: where that runs, "auto" for
            a GPU where there is one.
        features: columns that pictures and texts without a tower are
            reduced to. random_state: of that reduction.

    Attributes: `maps_` view -> Map; `correlations_` (k,), k at most 256; `kinds_`.

    Raises:
        UsageError: more than two views, a ridge outside [0, 1]. DataError: fewer than two rows with both.

    Reference: Schonemann 1966; Artetxe et al. 2018, A robust self-learning method (whitening).

    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> x, turn = random.normal(size=(60, 4)), np.linalg.qr(random.normal(size=(4, 4)))[0]
    >>> z = Procrustes(ridge=0.0).fit([x, x @ turn]).embed([x, x @ turn])
    >>> bool(np.allclose(z["view0"], z["view1"], atol=1e-5))
    True
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        ridge: float = 0.5,
        towers: Mapping[str, Any] | None = None,
        device: str = "auto",
        features: int = 200,
        random_state: int = 0,
    ):
        super().__init__(n_components, towers=towers, device=device, features=features, random_state=random_state)
        self.ridge = ridge

    def _solve(self, pairs: Pairs) -> tuple[Map, Map]:
        refuse_share("ridge", self.ridge)
        return Correlated(self.ridge, 0.0).solve(pairs)
