"""Texts found by the letters they share: TF-IDF of character n-grams, kept as arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.characters import one_form
from bouba.errors import DataError

IN_WORDS, WITHOUT_BLANKS = (2, 5), (1, 4)  # letters of an n-gram
COLUMNS = 1 << 20  # that n-grams are hashed into
# scripts that put no blank between words: Thai to Myanmar, Khmer, Chinese, Japanese
_NO_BLANKS = "\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_PIECES = re.compile(rf"([{_NO_BLANKS}]+)|([^\W{_NO_BLANKS}]+)")


def ngrams(text: str) -> Iterator[str]:
    """The n-grams of a text in one form and lower case: 2 to 5 letters of each word, with blanks at its ends; 1 to 4
    where a script has no blanks.

    >>> list(ngrams("Ox"))
    [' o', 'ox', 'x ', ' ox', 'ox ', ' ox ']
    >>> list(ngrams("苹果"))
    ['苹', '果', '苹果']
    """
    for run, word in _PIECES.findall(one_form(text).lower()):
        letters, (least, most) = (run, WITHOUT_BLANKS) if run else (f" {word} ", IN_WORDS)
        for n in range(least, min(most, len(letters)) + 1):
            for start in range(len(letters) - n + 1):
                yield letters[start : start + n]


@dataclass(frozen=True)
class Letters:
    """Texts, ready to be compared with words by their letters.

        w(g, t) = (1 + log count) * (1 + log((1 + n) / (1 + texts with g))),   similarity = cosine of the w

    Use it for names, spellings and words nobody learnt; a text encoder where other words may mean the same.

    Args:
        table: sparse (n, COLUMNS), a row of length one a text. rarity: (COLUMNS,) the second factor.

    Reference: Salton & Buckley 1988, Term-weighting approaches in automatic text retrieval. Departure: n-grams of
    letters, hashed, for words.
    """

    table: Any
    rarity: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str]) -> Letters:
        """Read the texts (n,); one without letters is like nothing."""
        from sklearn.feature_extraction.text import TfidfTransformer

        counts = _counter().transform(texts)
        transformer = TfidfTransformer(sublinear_tf=True).fit(counts)
        return cls(transformer.transform(counts).astype(np.float32), transformer.idf_.astype(np.float32))

    def similarities(self, words: str) -> np.ndarray:
        """(n,) in [0, 1]: how alike the letters of each text and the words are."""
        counts = _counter().transform([words])
        weights = (1 + np.log(counts.data)) * self.rarity[counts.indices]
        length = float(np.linalg.norm(weights)) or 1.0
        query = np.zeros(COLUMNS, np.float32)
        query[counts.indices] = weights / length
        return np.clip(self.table @ query, 0, 1)

    def save(self, path: Path) -> None:
        """Write one file of arrays."""
        table = self.table
        parts = {"data": table.data, "indices": table.indices, "indptr": table.indptr}
        np.savez_compressed(path, **parts, rarity=self.rarity)

    @classmethod
    def load(cls, path: Path) -> Letters:
        """What `save` wrote. DataError for another file."""
        from scipy.sparse import csr_array

        try:
            with np.load(path) as kept:
                shape = (len(kept["indptr"]) - 1, COLUMNS)
                return cls(csr_array((kept["data"], kept["indices"], kept["indptr"]), shape), kept["rarity"])
        except (OSError, ValueError, KeyError) as error:
            raise DataError(f"{path} is damaged ({error!s:.80}); make the run again") from error


@cache
def _counter() -> Any:
    """Texts -> counts of hashed n-grams."""
    from sklearn.feature_extraction.text import HashingVectorizer

    options: dict[str, Any] = {"n_features": COLUMNS, "alternate_sign": False, "norm": None}
    return HashingVectorizer(analyzer=ngrams, **options)
