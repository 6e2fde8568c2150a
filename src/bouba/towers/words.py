"""The words of a text, as lists of word vectors have them."""

from __future__ import annotations

import re

WORD = re.compile(r"\w+")
UNSPACED = re.compile("[぀-ヿ㐀-鿿]")  # kana and Chinese characters: no blanks between words
LONGEST_PIECE = 6  # characters of a word in such a script


def known_words(text: str, words) -> list[str]:
    """The words of a text that are in `words`, in order.

    >>> known_words("Red 红苹果", {"red", "苹果"})
    ['red', '苹果']
    """
    in_order = []
    for run in WORD.findall(text):
        if run in words or run.lower() in words:
            in_order.append(run if run in words else run.lower())
        elif UNSPACED.search(run):
            start = 0
            while start < len(run):
                pieces = (run[start : start + size] for size in range(LONGEST_PIECE, 0, -1))
                piece = next((piece for piece in pieces if piece in words), None)
                in_order += [piece] if piece else []
                start += len(piece) if piece else 1
    return in_order


def candidates(text: str) -> set[str]:
    """Every word that `known_words` may look up."""
    runs = set(WORD.findall(text))
    pieces = {
        run[start : start + size]
        for run in runs
        if UNSPACED.search(run)
        for start in range(len(run))
        for size in range(1, LONGEST_PIECE + 1)
    }
    return runs | {run.lower() for run in runs} | pieces
