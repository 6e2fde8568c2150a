"""Texts that say the same: equal but for case, spaces and marks, or of nearly the same pieces of three characters.

    J(A, B) = sum of w over A and B / sum of w over A or B,   w(piece) = log(2 + texts / texts that have it)

Rare pieces weigh more, so that a template ("a photo of a ...") does not make all that follow it alike. Numbers are
never near: "page 12" is not "page 13".
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from bouba.data import scratch

PIECE = 3  # characters
ALIKE = 0.8  # J from which two texts are near-duplicates
ESTIMATE = 0.6  # share of equal minima from which J is computed
HASHES, BAND = 120, 5  # minima a text, and how many of them must be equal for a candidate: J = 0.8 is met at 0.9999
NEIGHBOURS = 3  # texts of a bucket, in alphabetical order, that each is compared with
LONGEST = 2000  # characters that are compared; equal texts are equal as a whole
BLOCK = 1 << 21  # characters at once
PRIME = np.uint64((1 << 61) - 1)
_MARKS = re.compile(r"[^\w]|_", re.UNICODE)
_NUMBER = re.compile(r"\d+")


def normalised(text: str) -> str:
    """A text in one form for comparing: compatible characters as one (NFKC), no case, only letters and digits, single
    spaces; of a text of signs alone, the signs.

    >>> normalised("  A dog, running! ") == normalised("a DOG running")
    True
    >>> normalised("🙂") == normalised("🙁")
    False
    """
    one = unicodedata.normalize("NFKC", text).casefold()
    words = " ".join(_MARKS.sub(" ", one).split())
    return words or " ".join(one.split())


def near_texts(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of near-duplicates among different normalised texts, in alphabetical order.

    Found by equal minima of hashes (MinHash with bands), and each computed; of a bucket of many texts only neighbours
    are compared, so that time and memory grow as the number of texts.

    Returns:
        First and second (m,), first < second, each pair once.

    Reference: Broder, "On the resemblance and containment of documents", SEQUENCES 1997; Leskovec et al., Mining of
        Massive Datasets, 3.4, for the bands.
    """
    n = len(texts)
    if n < 2:
        return np.zeros(0, int), np.zeros(0, int)
    minima, done = scratch.zeros((n, HASHES), np.uint32), 0
    for block in _blocks(texts):
        minima[done : (done := done + len(block))] = _minima(block)
    encoded = [_candidates(minima[:, start : start + BAND]) for start in range(0, HASHES, BAND)]
    first, second = np.divmod(np.unique(np.concatenate(encoded)), n)
    likely = np.concatenate(
        [
            (minima[first[start : start + BLOCK // HASHES]] == minima[second[start : start + BLOCK // HASHES]]).mean(1)
            >= ESTIMATE
            for start in range(0, len(first), BLOCK // HASHES)
        ]
        or [np.zeros(0, bool)]
    )
    first, second = first[likely], second[likely]
    if not len(first):
        return first, second
    weights = _Weights(texts)
    alike = np.array([weights.alike(texts[a], texts[b]) for a, b in zip(first.tolist(), second.tolist())], bool)
    return first[alike], second[alike]


def _blocks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts, some at a time."""
    ends = np.cumsum([min(len(text), LONGEST) for text in texts]) // BLOCK
    starts = [0, *(np.flatnonzero(np.diff(ends)) + 1).tolist(), len(texts)]
    yield from (texts[start:stop] for start, stop in pairwise(starts))


def _padded(text: str) -> str:
    return f" {text[:LONGEST]} "


def _minima(texts: Sequence[str]) -> np.ndarray:
    """uint32 (n, HASHES): of each hash the least value among the pieces of a text."""
    padded = [_padded(text) for text in texts]
    lengths = np.array([len(text) for text in padded])
    codes = np.frombuffer("".join(padded).encode("utf-32-le"), np.uint32).astype(np.uint64)
    pieces = np.zeros(len(codes), np.uint64)
    for place in range(PIECE):  # across the end of a text too: these are left out below
        pieces = pieces * np.uint64(1_000_003) + np.roll(codes, -place)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    counts = np.maximum(lengths - PIECE + 1, 1)
    inside = np.repeat(starts - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts) + np.arange(counts.sum())
    pieces, heads = pieces[inside], np.concatenate([[0], np.cumsum(counts)[:-1]])
    random = np.random.default_rng(0)
    factors = random.integers(1, 1 << 63, HASHES, np.uint64) * np.uint64(2) + np.uint64(1)
    offsets = random.integers(0, 1 << 63, HASHES, np.uint64)
    minima = np.empty((len(texts), HASHES), np.uint32)
    for place, (factor, offset) in enumerate(zip(factors, offsets)):
        hashed = pieces * factor + offset
        hashed ^= hashed >> np.uint64(29)
        minima[:, place] = np.minimum.reduceat((hashed * factor) >> np.uint64(32), heads)
    return minima


def _candidates(band: np.ndarray) -> np.ndarray:
    """Pairs of texts with an equal band, first * n + second; of many, neighbours."""
    n = len(band)
    key = np.zeros(n, np.uint64)
    for column in band.T:
        key = (key ^ column.astype(np.uint64)) * np.uint64(0x9E3779B97F4A7C15)
        key ^= key >> np.uint64(31)
    order = np.argsort(key, kind="stable")  # texts of one bucket stay in alphabetical order
    key = key[order]
    pairs = []
    for step in range(1, NEIGHBOURS + 1):
        same = key[step:] == key[:-step]
        pairs.append(order[:-step][same] * n + order[step:][same])
    return np.concatenate(pairs)


class _Weights:
    """What pieces weigh: the rarer among the texts, the more."""

    def __init__(self, texts: Sequence[str]):
        self.n = len(texts)
        self.counts: Counter[str] = Counter()
        for text in texts:
            self.counts.update(_pieces(text))

    def alike(self, a: str, b: str) -> bool:
        """Whether two texts are near-duplicates."""
        if _NUMBER.findall(a) != _NUMBER.findall(b):
            return False
        one, other = _pieces(a), _pieces(b)
        both, either = self._total(one & other), self._total(one | other)
        return both >= ALIKE * either

    def _total(self, pieces: set[str]) -> float:
        return sum(float(np.log(2 + self.n / self.counts[piece])) for piece in pieces)


def _pieces(text: str) -> set[str]:
    padded = _padded(text)
    return {padded[place : place + PIECE] for place in range(max(1, len(padded) - PIECE + 1))}
