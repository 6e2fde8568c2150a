"""ASIF: cells described by their similarities to known pairs, without any training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bouba.align.light import Anchored, Pairs
from bouba.align.maps import Map
from bouba.align.pairwise import Pairwise
from bouba.errors import UsageError


class ASIF(Pairwise):
    """Relative representations: a picture that is like the pictures of certain pairs fits a text that is like theirs.

        r(x) = unit(topk(cos(x - mean, anchors_a))^p),   r(y) = unit(topk(cos(y - mean, anchors_b))^p)
        similarity(x, y) = r(x) . r(y),   anchors: the pairs, 1,000 at most, evenly taken

    Nothing is fitted but means, so pairs are added and taken away at once. It holds as many numbers a cell as there are
    anchors; CCA and KernelCCA are smaller and, from some hundred pairs, as good.

    Args:
        n_components: directions of the shared space, at most; None for all.
        largest: k, similarities that stay. power: p, how much the largest of them count.
        towers: view -> a frozen encoder that reads it. device: where that runs, "auto" for
            a GPU where there is one.
        features: columns that pictures and texts without a tower are
            reduced to. random_state: of that reduction.

    Attributes: `maps_` view -> Map; `correlations_` (k,); `kinds_`.

    Raises:
        UsageError: more than two views, k below 1 or a power that is not above 0. DataError: fewer than two rows with
            both.

    Reference: Norelli et al. 2023, ASIF: Coupled data turns unimodal models to multimodal without training.

    >>> import numpy as np
    >>> x = np.eye(4)
    >>> ASIF(largest=1).fit([x, x[:, ::-1]]).embed([x, x[:, ::-1]])["view1"].argmax(1).tolist()
    [0, 1, 2, 3]
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        largest: int = 32,
        power: float = 4.0,
        towers: Mapping[str, Any] | None = None,
        device: str = "auto",
        features: int = 200,
        random_state: int = 0,
    ):
        super().__init__(n_components, towers=towers, device=device, features=features, random_state=random_state)
        self.largest = largest
        self.power = power

    def _solve(self, pairs: Pairs) -> tuple[Map, Map]:
        if self.largest < 1 or self.power <= 0:
            raise UsageError(f"largest is 1 or more and power above 0, got {self.largest} and {self.power}")
        return Anchored(self.largest, self.power).solve(pairs)
