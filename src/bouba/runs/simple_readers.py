"""How the simple baselines read a view: cells -> rows of numbers, learnt from training cells without a label."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from bouba.align.features import SimpleFeatures
from bouba.data.characters import one_form
from bouba.data.faults import decoded
from bouba.data.views import Column, Views
from bouba.errors import DataError

GRAMS = 50_000  # columns of each vocabulary, at most
WIDTH = 200  # columns of simple features
LEAST = 1e-6  # deviation below which a column says nothing


@dataclass(frozen=True)
class Reader:
    """One view as numbers, rows of a length of about 1, so that views count alike; zeros where a cell is missing.

    Args:
        features: cells -> (n, d) array or sparse matrix. mean, scale: (d,) of dense columns; None for sparse ones,
            whose rows have length 1 as they come. width: d.
    """

    features: Callable[[Sequence], Any]
    mean: np.ndarray | None
    scale: np.ndarray | None
    width: int

    @classmethod
    def of(cls, features: Callable[[Sequence], Any], values: Any) -> Reader:
        """From learnt features and what they give of the training cells."""
        if sparse.issparse(values):
            return cls(features, None, None, values.shape[1])
        deviation = values.std(0)
        scale = np.where(deviation > LEAST, deviation, np.inf) * np.sqrt(values.shape[1])  # one that is constant is 0
        return cls(features, values.mean(0), scale, values.shape[1])

    def __call__(self, name: str, column: Column) -> Any:
        """Every row of a column (n, d)."""
        rows, values = decoded(name, column, range(len(column)), self.features, singly=False)
        if self.mean is None:
            place = sparse.csr_matrix((np.ones(len(rows)), (rows, np.arange(len(rows)))), (len(column), len(rows)))
            return place @ values if rows else sparse.csr_matrix((len(column), self.width))
        out = np.zeros((len(column), self.width), np.float32)
        if rows:
            out[rows] = (np.asarray(values) - self.mean) / self.scale
        return out


def tf_idf_readers(views: Views) -> dict[str, Reader]:
    """view -> TF-IDF of its character n-grams within words, 2 to 5 long, and of its words and pairs of words, sparse.

    Raises:
        DataError: texts without a word.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_union
    from sklearn.preprocessing import normalize

    readers = {}
    for view in (view for view, kind in views.modalities.items() if kind == "text"):
        settings = {"sublinear_tf": True, "max_features": GRAMS, "preprocessor": lambda text: one_form(text).lower()}
        grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), **settings)
        words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"(?u)\b\w+\b", **settings)
        union = make_union(grams, words)
        texts = [str(cell) for cell in _cells(views, view)]
        try:
            union.fit(texts)
        except ValueError as error:
            raise DataError(f"view {view!r}: no word in {len(texts)} texts ({error})") from error
        read = lambda cells, union=union: normalize(union.transform([str(cell) for cell in cells]))  # noqa: E731
        readers[view] = Reader.of(read, read(texts[:1]))
    return readers


def simple_readers(views: Views, *, crop: bool, random_state: int, width: int = WIDTH) -> dict[str, Reader]:
    """view -> its simple features, standardised, at most `width` of them. See `bouba.align.features.SimpleFeatures`.

    Raises:
        DataError: a kind that has none, fewer than two cells.
    """
    spec = SimpleFeatures(width, reduce_vectors=True, crop=crop, tables=True, random_state=random_state)
    return {view: _learnt(views, view, lambda kind, cells: spec.learn(kind, cells)) for view in views.columns}


def frozen_readers(views: Views, towers: Mapping[str, Any], *, crop: bool, random_state: int) -> dict[str, Reader]:
    """view -> features of its frozen encoder, standardised; simple features of views that have none."""
    from bouba.align.encoded import Encoded

    readers = {}
    for view in towers:

        def learn(kind: str, cells: Sequence, view: str = view) -> tuple[Any, Any]:
            encoded = Encoded.of(view, towers, kind, cells)
            return encoded, encoded(cells)

        readers[view] = _learnt(views, view, learn)
    others = [view for view in views.columns if view not in towers]
    return readers | (simple_readers(views.select(*others), crop=crop, random_state=random_state) if others else {})


def _learnt(views: Views, view: str, learn: Callable[[str, Sequence], tuple[Any, Any]]) -> Reader:
    """A reader of dense features from the cells that are present."""
    column = views[view]
    read = lambda cells: learn(column.kind, cells)  # noqa: E731
    _, learnt = decoded(view, column, range(len(column)), read, singly=False)
    if learnt is None:
        raise DataError(f"view {view!r} has no cell in these rows")
    return Reader.of(*learnt)


def _cells(views: Views, view: str) -> list:
    return [cell for cell, present in zip(views[view], views[view].present, strict=True) if present]
