"""What the methods share that give every view back from whichever views a row has."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from bouba.data.views import Views
from bouba.errors import DataError, UsageError
from bouba.learner.base import BaseLearner
from bouba.towers.text import SubwordEncoder

if TYPE_CHECKING:
    from torch import Tensor

    from bouba.batch import Batch


class Decoding(BaseLearner):
    """One code a row, and every view decoded from it; see MultimodalAutoencoder and MultimodalVAE."""

    aligns: ClassVar[bool] = False
    reconstructs: ClassVar[bool] = True

    @abstractmethod
    def _decode(self, batch: Batch) -> dict[str, Tensor]:
        """view -> (B, p), what is decoded from the code of each row of a batch, in raw numbers."""

    def _check_readable(self, views: Views) -> None:
        """DataError naming the first row that has no view: there is nothing to make a code of."""
        empty = ~np.any(list(views.present.values()), axis=0)
        if empty.any():
            raise DataError(
                f"{int(empty.sum())} of {len(views)} rows have none of {', '.join(views.columns)}, first row "
                f"{views.rows[int(empty.argmax())]}; leave them out: views[rows]"
            )

    def reconstruct(self, X) -> dict[str, np.ndarray]:
        """Every view of the model, from whichever views each row has.

        Returns:
            view -> (n, ...): vectors in their own unit, pictures as uint8 (n, side, side, 3), text as which words
            occur, hashed or by subword (n, width), sounds as log energies (n, 16, mels).

        Raises:
            DataError: a row without any view. ModalityError: a view the model was not trained on.
        """
        views = self.read(X)
        self._check_readable(views)
        return {name: self._encoders()[name].restore(raw) for name, raw in self._decoded(views).items()}

    def words(self, X, *, most: int = 5) -> dict[str, list[list[str]]]:
        """The most likely subwords, view -> for each row up to `most` of them, for views read by LSTM or
        Transformer; NGrams hashes its words, which cannot be undone.

        Raises:
            As `reconstruct`.
        """
        items = self.reconstruct(X)
        readers = {name: encoder for name, encoder in self._encoders().items() if isinstance(encoder, SubwordEncoder)}
        return {name: encoder.likely(items[name], most) for name, encoder in readers.items()}

    def _decoded(self, views: Views) -> dict[str, np.ndarray]:
        """view -> float32 (n, p), what its decoder gives."""
        return self._fitted().run(views, self._decode)

    def explained(self, X, truth: Views | None = None) -> dict[str, float]:
        """How much of each view comes back, view -> 1 - squared error / variance, over the rows that have it.

        Errors and variance are summed over the numbers of `Encoder.raw`, so that standardised numbers count alike and
        pixels by how much they vary; 0 is what the mean of these rows would give.

        Args:
            X: n rows that are read. truth: Views of the same rows that are to come back; X itself when None. With other
                views than X it measures how well views come back that were not read.

        Raises:
            DataError: a row of X without any view. ModalityError: a view the model was not trained on. UsageError:
            other rows.
        """
        views = self.read(X)
        self._check_readable(views)
        truth = views if truth is None else self.read(truth)
        if len(truth) != len(views):
            raise UsageError(f"truth must be the same rows as X, got {len(truth)} and {len(views)}")
        decoded = self._decoded(views)
        shares = {}
        for name in (name for name in decoded if name in truth.modalities):
            present = truth[name].present
            raw = self._raw(name, truth)
            spread = np.square(raw - raw.mean(0)).sum() if len(raw) else 0.0
            if spread > 0:
                shares[name] = float(1 - np.square(decoded[name][present] - raw).sum() / spread)
        return shares

    def _raw(self, name: str, views: Views) -> np.ndarray:
        """What decoders of a view must give back for the cells that are present, (m, p)."""
        rows, network = np.flatnonzero(views[name].present), self._fitted()
        raw = lambda batch: {name: network.encoders[name].raw(batch.inputs[name])}  # noqa: E731
        return network.run(views[rows].select(name), raw).get(name, np.zeros((0, 1), np.float32))

    def _own_score(self, views: Views, y) -> float:
        """`explained`, averaged over the views that X has. DataError where no view has rows that differ."""
        shares = self.explained(views)
        if not shares:
            raise DataError("no view has two rows that differ; a score needs some")
        return float(np.mean(list(shares.values())))
