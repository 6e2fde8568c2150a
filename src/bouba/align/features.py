"""Simple features: columns of numbers from cells of any kind, learnt in seconds and without labels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bouba.align.plain import plain_numbers
from bouba.data import decode
from bouba.data.characters import FORMS, one_form
from bouba.errors import DataError

VOCABULARY = 20_000
CATEGORIES = 50  # of a column of a table, the commonest; the others count as none
READ = ("image", "text", "audio", "video", "vector")
"""Kinds of which there are simple features without being asked for; rows of a table are the one more."""


class Features(ABC):
    """The fitted reduction of one view. Subclasses are frozen dataclasses of arrays, so that models save them."""

    @abstractmethod
    def __call__(self, cells: Sequence) -> Any:
        """Cells that are present -> (n, d) array, or sparse matrix."""


@dataclass(frozen=True)
class Reduced(Features):
    """Principal components of plain columns: (x - mean) V'.

    Args:
        kind: of the cells, and thereby their columns; see `plain_numbers`.
        mean: (d,). components: (k, d). crop: whether pictures lose their white margin first.
    """

    kind: str
    mean: np.ndarray
    components: np.ndarray
    crop: bool = False

    def __call__(self, cells: Sequence) -> np.ndarray:
        plain = plain_numbers(self.kind, cells, crop=self.crop)
        if plain.shape[1] != len(self.mean):
            raise DataError(f"vectors have {plain.shape[1]} columns, the model was fitted on {len(self.mean)}")
        return (plain - self.mean) @ self.components.T


@dataclass(frozen=True)
class CharacterGrams(Features):
    """TF-IDF of character n-grams within words, n up to 4.

    Args:
        vocabulary: v n-grams. idf: (v,) their inverse document frequencies.
        components: (k, v) directions of a truncated SVD; None leaves the n-grams sparse.
        form: one of `data.characters.FORMS`, in which texts are read.
    """

    vocabulary: tuple[str, ...]
    idf: np.ndarray
    components: np.ndarray | None
    form: str = "composed"

    def __post_init__(self) -> None:
        width = len(self.idf) if self.components is None else self.components.shape[1]
        if not len(set(self.vocabulary)) == len(self.vocabulary) == len(self.idf) == width:
            raise DataError(f"{len(self.vocabulary)} n-grams with {len(self.idf)} frequencies, for {width} columns")

    def __call__(self, cells: Sequence) -> Any:
        grams = self._vectorizer.transform([FORMS[self.form](str(cell)) for cell in cells])
        return grams if self.components is None else grams @ self.components.T

    @cached_property
    def _vectorizer(self):
        vectorizer = _tf_idf(vocabulary=self.vocabulary)
        vectorizer.idf_ = self.idf
        return vectorizer


@dataclass(frozen=True)
class TableColumns(Features):
    """Rows of a table: numbers standardised, 0 where there is none; and a 1 for the category that a column has.

    Args:
        numbers: name -> (mean, standard deviation). categories: name -> those that have a column.
    """

    numbers: dict[str, tuple[float, float]]
    categories: dict[str, tuple[str, ...]]

    @classmethod
    def of(cls, cells: Sequence[Mapping]) -> TableColumns:
        """Learnt from rows (n); a column that holds one text or more is one of categories."""
        rows = [decode.record(cell) for cell in cells]
        columns: dict[str, list] = {}
        for row in rows:
            for name, value in row.items():
                columns.setdefault(name, []).append(value)
        named = {name for name, values in columns.items() if any(isinstance(value, str) for value in values)}
        numbers = {n: (float(np.mean(v)), float(np.std(v)) or 1.0) for n, v in columns.items() if n not in named}
        common = {n: Counter(map(str, columns[n])).most_common(CATEGORIES) for n in columns if n in named}
        return cls(numbers, {name: tuple(sorted(value for value, _ in counts)) for name, counts in common.items()})

    def __call__(self, cells: Sequence[Mapping]) -> np.ndarray:
        rows = [decode.record(cell) for cell in cells]
        return np.array([self._of(row) for row in rows], np.float64).reshape(len(rows), -1)

    def _of(self, row: Mapping[str, Any]) -> list[float]:
        values = [_standard(row.get(name), mean, scale) for name, (mean, scale) in self.numbers.items()]
        return values + [float(str(row.get(name)) == one) for name, all_ in self.categories.items() for one in all_]


def _standard(value: Any, mean: float, scale: float) -> float:
    return 0.0 if value is None or isinstance(value, str) else (value - mean) / scale


@dataclass(frozen=True)
class SimpleFeatures:
    """Columns for a closed form where there is no trained network.

        pictures    16 x 16 RGB pixels on white, PCA
        text        TF-IDF of character n-grams, truncated SVD
        sounds      statistics of log-mel energies and cepstral coefficients, PCA; see `plain_numbers`
        clips       pixels of the mean frame and of the mean change, PCA
        vectors     as they are; or PCA where they are wider than `width`
        tables      standardised numbers and a column for each category, with `tables`

    Towers (`ConvNet`, `NGrams`) learn better features in minutes; a frozen network's vectors are better still.

    Args:
        width: columns a view is reduced to, at most.
        sparse_text: keep the n-grams as a sparse matrix of up to 20,000 columns, for methods that take one.
        reduce_vectors: reduce wide vectors too.
        crop: cut the white margin of pictures and clips away first.
        tables: read rows of a table too, a missing number as the mean.
        random_state: seed of the randomised decompositions.
    """

    width: int = 200
    sparse_text: bool = False
    reduce_vectors: bool = False
    crop: bool = False
    tables: bool = False
    random_state: int = 0

    def keeps(self, vectors) -> bool:
        """Whether vectors (n, d) are taken as they are."""
        return not self.reduce_vectors or vectors.shape[1] <= self.width

    def learn(self, kind: str, cells: Sequence) -> tuple[Features, Any]:
        """What to do with cells of this kind, and what it makes of these.

        Args:
            kind: one of READ; "table" with `tables`.
            cells: n cells, none missing.

        Returns:
            The learnt features, and their values for `cells`: (n, d) array, or sparse matrix.

        Raises:
            DataError: another kind, fewer than two cells, or texts without a letter.
        """
        if kind == "table" and not self.tables:
            raise DataError("rows of a table may lack numbers; read them with vector=[...], which lists those that do")
        if kind not in (*READ, "table"):
            raise DataError(f"there are no simple features of {kind}; embed it first and give the vectors")
        if len(cells) < 2:
            raise DataError(f"simple features need two cells or more, got {len(cells)}")
        if kind == "table":
            columns = TableColumns.of(cells)
            return columns, columns(cells)
        return self._grams(cells) if kind == "text" else self._reduced(kind, cells)

    def _reduced(self, kind: str, cells: Sequence) -> tuple[Features, np.ndarray]:
        from sklearn.decomposition import PCA

        plain = plain_numbers(kind, cells, crop=self.crop)
        pca = PCA(min(self.width, len(plain) - 1, plain.shape[1]), random_state=self.random_state).fit(plain)
        reduced = Reduced(
            kind, pca.mean_, np.ascontiguousarray(pca.components_), self.crop
        )  # a loaded model multiplies alike
        return reduced, (plain - reduced.mean) @ reduced.components.T

    def _grams(self, cells: Sequence) -> tuple[Features, Any]:
        from sklearn.decomposition import TruncatedSVD

        vectorizer = _tf_idf(max_features=VOCABULARY)
        try:
            grams = vectorizer.fit_transform([one_form(str(cell)) for cell in cells])
        except ValueError as error:
            raise DataError(f"no n-gram in {len(cells)} texts ({error}); name another column") from error
        vocabulary = tuple(vectorizer.get_feature_names_out().tolist())
        if self.sparse_text:
            return CharacterGrams(vocabulary, vectorizer.idf_, None, "one"), grams
        n, v = grams.shape
        svd = TruncatedSVD(max(1, min(self.width, n - 1, v - 1)), random_state=self.random_state).fit(grams)
        components = np.ascontiguousarray(svd.components_)
        return CharacterGrams(vocabulary, vectorizer.idf_, components, "one"), grams @ components.T


def _tf_idf(**settings):
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True, **settings)
