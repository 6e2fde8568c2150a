"""The cells of views as numbers: vectors as they are, all else by features that are learnt from them or known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from bouba.align.blocks import MANY, checked, features, some_of, spread, vectors
from bouba.align.features import SimpleFeatures
from bouba.data.alphabet import alphabet
from bouba.data.faults import decoded
from bouba.data.sparse import SparseRows
from bouba.data.views import Column
from bouba.device import running_on
from bouba.errors import DataError

log = logging.getLogger("bouba")


@dataclass(frozen=True)
class Cells:
    """Reads the views of a closed form.

    Args:
        reducers: view -> what its cells pass through, None for vectors as they are. alphabets: view -> its characters.
            Both are filled while learning.
        widths: view -> columns that it had when fitted. learn: the features that are learnt; None to use what is known.
        towers: view -> frozen encoder that reads it instead. random_state: of the cells that are learnt from.
        device: where encoders run. accepts: gives the sparse format that the method takes, or False.
    """

    reducers: dict[str, Any]
    alphabets: dict[str, str]
    widths: Mapping[str, int]
    learn: SimpleFeatures | None
    towers: Mapping[str, Any]
    random_state: int
    device: str = "auto"
    accepts: Callable[[], str | bool] = bool

    def numbers(self, name: str, column: Column) -> Any:
        """A column as numbers (n, d). Of more than MANY cells, features are learnt from so many by chance."""
        if not (present := column.present).any():
            return self._nothing(name, column)
        if column.kind == "vector" and name not in self.towers:
            accepts = self.accepts() if isinstance(column.values, SparseRows) else False
            return self.vectors(name, checked(name, vectors(column, accepts), accepts), present)
        with running_on(self.device):
            values = self._features(name, column, present)
        return self._nothing(name, column) if values is None else values

    def _nothing(self, name: str, column: Column) -> np.ndarray:
        """Zeros (n, d) for a column without a cell, or of which all broke while they were read."""
        if self.learn is not None:
            raise DataError(f"view {name!r} has no cell in these rows; leave it out or choose other rows")
        return np.zeros((len(column), self.widths[name]))

    def _features(self, name: str, column: Column, present: np.ndarray) -> Any:
        if self.learn is None:
            return features(name, column, self.reducers[name])
        learn = partial(self._learnt, name, column.kind)
        if len(column) <= MANY:
            return features(name, column, learn, singly=False)
        decoded(name, column, self._some(name, present), learn, singly=False)
        return features(name, column, self.reducers[name])

    def vectors(self, name: str, numbers: Any, present: np.ndarray) -> Any:
        """Numbers (n, d) as they are, or reduced where the method reduces them."""
        if self.reducers[name] is None if self.learn is None else self.learn.keeps(numbers):
            return numbers
        if len(present) <= MANY:
            there = numbers[present]
            return spread(
                self.reducers[name](there) if self.learn is None else self._learnt(name, "vector", there), present
            )
        if self.learn is not None:
            self._learnt(name, "vector", numbers[self._some(name, present)])
        return features(name, Column.of(numbers, "vector", present), self.reducers[name])

    def _some(self, name: str, present: np.ndarray) -> np.ndarray:
        rows = some_of(np.flatnonzero(present), self.random_state)
        log.info("features of %r are learnt from %s of its %s cells", name, f"{len(rows):,}", f"{present.sum():,}")
        return rows

    def _learnt(self, name: str, kind: str, cells: Sequence) -> Any:
        """Features of a view, learnt from its cells; their values (m, d)."""
        assert self.learn is not None, "only while learning"
        try:
            if name in self.towers:
                from bouba.align.encoded import Encoded

                self.reducers[name] = Encoded.of(name, self.towers, kind, cells)
                values = self.reducers[name](cells)
            else:
                self.reducers[name], values = self.learn.learn(kind, cells)
        except DataError as error:
            raise DataError(f"view {name!r}: {error}") from error
        if kind == "text":
            self.alphabets[name] = alphabet(cells)
        return values
