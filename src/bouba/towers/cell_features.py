"""What a network that does not learn makes of cells: equal cells are read once, and features are kept on disk."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from bouba.errors import DataError
from bouba.towers.content import content_key, digest
from bouba.towers.feature_cache import FeatureCache

log = logging.getLogger("bouba")
BATCH = 32  # cells that go through the network at once; a run that is killed loses no more
REPORT_EVERY = 10.0  # seconds


class CellFeatures:
    """Cells (n) -> features, float32 (n, width).

    Args:
        kind: of the cells. width: of the features.
        compute: cells that differ -> their features (n, width), by the network.
        fingerprint: gives a digest of the network and its settings, which names the file of its features; see
            FeatureCache.
        cache: whether to keep features on disk.
        around: gives a context in which many cells are computed.
    """

    def __init__(
        self,
        kind: str,
        width: int,
        compute: Callable[[list], np.ndarray],
        fingerprint: Callable[[], str],
        *,
        cache: bool = True,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ):
        self.kind, self.width, self.compute, self.fingerprint = kind, width, compute, fingerprint
        self.cache, self.around = cache, around
        self._encoded, self._reported_at = 0, time.monotonic()

    def __call__(self, cells: Sequence) -> np.ndarray:
        """Raises DataError where the network gives NaN or infinity for a cell."""
        keys = [content_key(self.kind, cell) for cell in cells]
        store = FeatureCache(self.fingerprint(), self.width) if self.cache else None
        features_by_key = {} if store is None else store.read(list(dict.fromkeys(keys)))
        todo = {key: cell for key, cell in zip(keys, cells, strict=True) if key not in features_by_key}
        with self.around() if len(todo) > BATCH else nullcontext():
            for batch in self._batches(todo):
                features = self._computed(list(batch.values()))
                new = dict(zip(batch, features, strict=True))
                if store is not None:
                    store.write(new)
                features_by_key |= new
        return np.stack([features_by_key[key] for key in keys])

    def _batches(self, todo: Mapping[bytes, Any]) -> Iterator[dict[bytes, Any]]:
        """BATCH cells at a time, texts of about the same length together, since they are padded to the longest."""
        keys = sorted(todo, key=lambda key: len(str(todo[key]))) if self.kind == "text" else list(todo)
        for start in range(0, len(keys), BATCH):
            batch = keys[start : start + BATCH]
            yield {key: todo[key] for key in batch}
            self._encoded += len(batch)
            if time.monotonic() - self._reported_at > REPORT_EVERY:
                log.info("encoded %d cells (%s) so far", self._encoded, self.kind)
                self._reported_at = time.monotonic()

    def _computed(self, cells: list) -> np.ndarray:
        features = np.asarray(self.compute(cells), np.float32)
        if not np.isfinite(features).all():
            cell = cells[int(np.flatnonzero(~np.isfinite(features).all(1))[0])]
            raise DataError(f"the frozen network gives NaN or infinity for the cell {cell!r:.80}; leave it out")
        return features


def fingerprint_of(facts: Mapping[str, Any], weights: Iterable[bytes] = ()) -> str:
    """Digest of all that features depend on, hexadecimal: facts as plain JSON, and weights where there are any."""

    def parts() -> Iterator[bytes]:
        yield json.dumps(facts, sort_keys=True).encode()
        yield from weights

    return digest(parts()).hex()
