"""Texts found by the letters they share: TF-IDF of character n-grams, kept as arrays."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.characters import one_form
from bouba.errors import DataError

IN_WORDS, WITHOUT_BLANKS = (2, 5), (1, 4)  # letters of an n-gram
COLUMNS = 1 << 20  # that n-grams are hashed into
REMEMBERED = 1 << 16  # n-grams whose column is
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
        weights: (entries,) of all texts, one after the other; those of a text have length one together.
        columns: (entries,) of the n-grams, below COLUMNS. starts: (n + 1,) the first entry of each text, and the end.
        rarity: (COLUMNS,) the second factor.

    Reference: Salton & Buckley 1988, Term-weighting approaches in automatic text retrieval. Departure: n-grams of
    letters, hashed, for words.
    """

    weights: np.ndarray
    columns: np.ndarray
    starts: np.ndarray
    rarity: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str]) -> Letters:
        """Read the texts (n,); one without letters is like nothing."""
        from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

        options: dict[str, Any] = {"n_features": COLUMNS, "alternate_sign": False, "norm": None}
        counts = HashingVectorizer(analyzer=ngrams, **options).transform(texts)
        transformer = TfidfTransformer(sublinear_tf=True).fit(counts)
        table = transformer.transform(counts).astype(np.float32)
        return cls(table.data, table.indices, table.indptr, transformer.idf_.astype(np.float32))

    def similarities(self, words: str) -> np.ndarray:
        """(n,) in [0, 1]: how alike the letters of each text and the words are."""
        counts = Counter(column_of(ngram) for ngram in ngrams(words))
        columns = np.array(sorted(counts), int)
        weights = (1 + np.log([counts[column] for column in columns.tolist()])) * self.rarity[columns]
        weights = weights / (float(np.linalg.norm(weights)) or 1.0)
        entries, shares = self._entries(columns, weights)
        texts = np.searchsorted(self.starts, entries, side="right") - 1
        alike = np.bincount(texts, self.weights[entries] * shares, minlength=len(self.starts) - 1)
        return np.clip(alike, 0, 1).astype(np.float32)

    def _entries(self, columns: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The entries in some columns, ascending, and the weight of the column of each."""
        if "by_column" not in vars(self):  # to sort them takes longer than to look through them once
            query = np.zeros(COLUMNS)
            query[columns] = weights
            shared = query[self.columns]
            entries = np.flatnonzero(shared)
            return entries, shared[entries]
        order, ordered = self.by_column
        first, last = np.searchsorted(ordered, columns), np.searchsorted(ordered, columns, side="right")
        entries = np.concatenate(
            [order[a:b] for a, b in zip(first.tolist(), last.tolist(), strict=True)] or [order[:0]]
        )
        ascending = np.argsort(entries)
        return entries[ascending], np.repeat(weights, last - first)[ascending]

    @cached_property
    def by_column(self) -> tuple[np.ndarray, np.ndarray]:
        """The entries by their column, and these columns: once it has been made, `similarities` reads only what it
        needs."""
        order = np.argsort(self.columns, kind="stable")
        return order, self.columns[order]

    def save(self, path: Path) -> None:
        """Write one file of arrays."""
        np.savez_compressed(path, data=self.weights, indices=self.columns, indptr=self.starts, rarity=self.rarity)

    @classmethod
    def load(cls, path: Path) -> Letters:
        """What `save` wrote. DataError for another file."""
        try:
            with np.load(path) as kept:
                letters = cls(kept["data"], kept["indices"], kept["indptr"], kept["rarity"])
            if len(letters.weights) != len(letters.columns) or letters.starts[-1] != len(letters.columns):
                raise ValueError("its parts do not fit together")
            return letters
        except (OSError, ValueError, KeyError, IndexError) as error:
            raise DataError(f"{path} is damaged ({error!s:.80}); make the run again") from error


@lru_cache(REMEMBERED)
def column_of(ngram: str) -> int:
    """The column that an n-gram is hashed into, as scikit-learn's HashingVectorizer does, which takes a second to
    import.

    Reference: Appleby 2011, MurmurHash3 (x86, 32 bits, seed 0).
    """
    data, mask = ngram.encode(), 0xFFFFFFFF
    value, length = 0, len(data)
    for start in range(0, length, 4):
        block = data[start : start + 4]
        mixed = int.from_bytes(block, "little") * 0xCC9E2D51 & mask
        value ^= (mixed << 15 | mixed >> 17) * 0x1B873593 & mask
        if len(block) == 4:
            value = ((value << 13 | value >> 19) & mask) * 5 + 0xE6546B64 & mask
    value ^= length
    value = (value ^ value >> 16) * 0x85EBCA6B & mask
    value = (value ^ value >> 13) * 0xC2B2AE35 & mask
    value ^= value >> 16
    signed = value - (1 << 32) if value >> 31 else value
    return ((1 << 31) - COLUMNS if signed == -(1 << 31) else abs(signed)) % COLUMNS
