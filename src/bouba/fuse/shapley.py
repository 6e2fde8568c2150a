"""Shapley values: how much each player of a game adds, whatever the order in which they come."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import factorial

import numpy as np
from numpy.typing import NDArray

from bouba.errors import UsageError

EXACT = 6  # players up to which every subset is evaluated
ORDERS = 64  # drawn above


@dataclass(frozen=True)
class Game:
    """The subsets of m players whose worth must be evaluated, and the Shapley values that follow.

        phi_i = sum over subsets S without i of |S|! (m - |S| - 1)! / m! * (v(S + i) - v(S))

    which is what i adds to the players before it, averaged over all orders. The values add up to v(all) - v(none).
    Up to six players all 2^m subsets are evaluated; above, orders are drawn, each with its reverse, and the average is
    over those: the sum stays exact, and each value has a standard error.

    Args:
        masks: bool (K, m), the subsets; the first is none, the last is all.
        places: int (orders, m, 2), the mask before and after each player joins; None where all 2^m are evaluated.

    Reference: Shapley 1953, A value for n-person games; Castro, Gomez and Tejada 2009 for sampling orders; Mitchell,
    Cooper, Frank and Holmes 2022 for the reverse ones.

    >>> game = Game.of(2)
    >>> worth = game.masks @ np.array([1.0, 2.0]) + 6.0 * game.masks.all(1)  # they add 1, 2, and 6 together
    >>> game.values(worth[None])[0].tolist()
    [[4.0, 5.0]]
    """

    masks: NDArray[np.bool_]
    places: NDArray[np.intp] | None = None

    @classmethod
    def of(cls, players: int, *, orders: int | None = None, random_state: int = 0) -> Game:
        """A game of so many players.

        Args:
            players: m, one or more.
            orders: how many to draw, an even number from 4 up; by default none up to six players and 64 above.
            random_state: seed of the orders.

        Raises:
            UsageError: no player, or another number of orders.
        """
        if players < 1:
            raise UsageError(f"a game needs one player or more, got {players}")
        if orders is None and players <= EXACT:
            return cls((np.arange(2**players)[:, None] >> np.arange(players) & 1).astype(bool))
        orders = ORDERS if orders is None else orders
        if orders < 4 or orders % 2:
            raise UsageError(f"orders are drawn in pairs, an even number from 4 up, got {orders}")
        random = np.random.default_rng(random_state)
        half = np.array([random.permutation(players) for _ in range(orders // 2)])
        return cls._in_orders(np.stack([half, half[:, ::-1]], 1).reshape(orders, players))

    @classmethod
    def _in_orders(cls, orders: NDArray[np.intp]) -> Game:
        players = orders.shape[1]
        joined = np.zeros((len(orders), players + 1, players), bool)  # the subset after so many players of an order
        for step in range(players):
            joined[:, step + 1] = joined[:, step]
            np.put_along_axis(joined[:, step + 1], orders[:, step : step + 1], True, axis=1)
        flat = joined.reshape(-1, players)
        key = [(int(mask.sum()), tuple(mask)) for mask in flat]
        place_of_mask = {mask: place for place, mask in enumerate(sorted(set(key)))}
        prefixes = np.array([place_of_mask[mask] for mask in key]).reshape(len(orders), players + 1)
        places = np.empty((len(orders), players, 2), np.intp)
        for step, (before, after) in enumerate(pairwise(prefixes.T)):
            places[np.arange(len(orders)), orders[:, step]] = np.stack([before, after], 1)
        return cls(np.array([mask for _, mask in place_of_mask]), places)

    def values(self, worth: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Shapley values (n, m) of n games, and their standard errors (n, m), 0 where all subsets were evaluated.

        Args:
            worth: (n, K), v of each mask.
        """
        worth = np.asarray(worth, np.float64)
        if self.places is None:
            return worth @ self._weights(), np.zeros((len(worth), self.masks.shape[1]))
        added = worth[:, self.places[..., 1]] - worth[:, self.places[..., 0]]  # (n, orders, m)
        pairs = (added[:, ::2] + added[:, 1::2]) / 2  # an order and its reverse are one draw
        return pairs.mean(1), pairs.std(1, ddof=1) / np.sqrt(pairs.shape[1])

    def _weights(self) -> NDArray[np.float64]:
        """(2^m, m): what v of a mask counts for each player, with those who are in and against those who are out."""
        m = self.masks.shape[1]
        size = self.masks.sum(1)
        within = np.array([factorial(s - 1) * factorial(m - s) / factorial(m) if s else 0.0 for s in size])
        without = np.array([factorial(s) * factorial(m - s - 1) / factorial(m) if s < m else 0.0 for s in size])
        return np.where(self.masks, within[:, None], -without[:, None])
