"""How well given pairs go together, by the user's own model."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bouba.data.kinds import FILES
from bouba.data.read import read
from bouba.data.views import Views
from bouba.errors import DataError, ModalityError, UsageError, nearest
from bouba.metrics import clip_score
from bouba.runs.asking import kind_of
from bouba.runs.taught import fitted
from bouba.runs.texts import encoder_of

log = logging.getLogger("bouba")
CUTS = ("refuse", "warn")


def pair_score(
    model: Any,
    a: Sequence,
    b: Sequence,
    *,
    views: tuple[str, str] | None = None,
    weight: float = 2.5,
    cut: str = "refuse",
) -> np.ndarray:
    """CLIPScore of each pair of cells: w max(cos(f(a), g(b)), 0), by the towers of your own model.

    Use it to rank captions of a picture, made pictures, or the pairs of a new table, where nothing is to be retrieved.
    Scores of one model compare pairs; scores of two models do not compare. For the pairs of a table that may be wrong
    `Run.suspicious` is better, as it judges each by models that did not see it.

    Args:
        model: a Run, the path of one, or a fitted model whose views share a space.
        a, b: n cells each, a picture's path and a caption: whatever the views hold; None where there is none.
        views: which views they are. When None they are told by their kinds, where the model has one view of each.
        weight: w; 2.5 as published, 100 as torchmetrics has it.
        cut: what is done with texts that are longer than their encoder reads: "refuse" raises, and "warn" scores what
            is read of them and says how many they are.

    Returns:
        (n,) from 0 to `weight`; NaN where a cell is missing or cannot be read.

    Raises:
        UsageError: no pairs, views that cannot be told or share no space. ModalityError: no such view.
        DataError: texts that would be cut; the message names the first.

    Reference: Hessel et al. 2021, CLIPScore, equation 1. Departures: any two views; no text is cut in silence.
    """
    if cut not in CUTS:
        raise UsageError(f"cut is refuse or warn{nearest(str(cut), CUTS)}")
    if isinstance(a, str) or isinstance(b, str) or len(a) != len(b) or not len(a):
        raise UsageError("pair_score takes two lists of as many cells, one or more: pair_score(run, [picture], [text])")
    model = fitted(model)
    if not model.aligns:
        raise UsageError(f"the views of this {type(model).__name__} share no space; fit CLIP, FewPairs or CCA")
    names = _views_of(model, a, b) if views is None else tuple(views)
    unknown = next((name for name in names if name not in model.kinds_), None)
    if unknown is not None or len(set(names)) != 2:
        raise ModalityError(f"views are two of {', '.join(model.kinds_)}, got {names}")
    pairs = _read(model, dict(zip(names, (a, b), strict=True)))
    for name in names:
        _tell_cut(model, pairs, name, cut)
    z = model.embed(pairs)
    both = np.logical_and(*(pairs[name].present for name in names))  # after embedding: cells may have broken
    scores = np.full(len(pairs), np.nan)
    if both.any():
        scores[both] = clip_score(z[names[0]][both], z[names[1]][both], weight=weight)
    return scores


def _views_of(model: Any, a: Sequence, b: Sequence) -> tuple[str, str]:
    """The views that cells are of, by their kinds; of two views of one kind in the order of the model."""
    kinds = model.kinds_
    firsts = [next((cell for cell in cells if cell is not None), None) for cells in (a, b)]
    of_kind = [[name for name, kind in kinds.items() if kind == _kind_of(cell)] for cell in firsts]
    if of_kind[0] == of_kind[1] and len(of_kind[0]) == 2:
        return of_kind[0][0], of_kind[0][1]
    if [len(names) for names in of_kind] != [1, 1] or of_kind[0] == of_kind[1]:
        there = ", ".join(f"{name} ({kind})" for name, kind in kinds.items())
        raise UsageError(f"which views are these? the model has {there}; say views=(FIRST, SECOND)")
    return of_kind[0][0], of_kind[1][0]


def _kind_of(cell: Any) -> str:
    """The kind of a cell; text that is called as a file is, is one."""
    is_file = isinstance(cell, str) and cell.lower().endswith(tuple(end for ends in FILES.values() for end in ends))
    return kind_of(Path(cell) if is_file else cell)


def _read(model: Any, columns: dict[str, Sequence]) -> Views:
    """Cells as views of the model."""
    named: dict[str, list[str]] = {}
    for name in columns:
        named.setdefault(model.kinds_[name], []).append(name)
    cells = {name: [os.fspath(c) if isinstance(c, os.PathLike) else c for c in of] for name, of in columns.items()}
    return read(cells, **named)  # type: ignore[arg-type]


def _tell_cut(model: Any, pairs: Views, name: str, cut: str) -> None:
    """DataError, or a warning, for texts of which the end would not be read."""
    encoder = encoder_of(model, name) if pairs.modalities.get(name) == "text" else None
    rows = np.flatnonzero(pairs[name].present)
    if encoder is None or not len(rows):
        return
    texts = [str(pairs[name][int(row)]) for row in rows]
    is_cut = np.asarray(encoder.is_cut(texts), bool)
    if not is_cut.any():
        return
    first = int(rows[int(is_cut.argmax())])
    what = (
        f"{is_cut.sum():,} of {len(texts):,} texts of {name!r} are longer than their encoder reads, first row {first}"
    )
    if cut == "refuse":
        raise DataError(f"{what}; shorten them, or score what is read of them with cut='warn'")
    log.warning("%s; their ends are not scored", what)
