"""What a model reads of texts: which are cut, and which words it hardly met."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.align.closed_form import ClosedForm
from bouba.align.encoded import Encoded
from bouba.data.views import Views
from bouba.search.words import Words
from bouba.towers import SameAs

if TYPE_CHECKING:
    from bouba.towers.tower import Encoder

FILE = "words.json"
LOOKED_AT = 20_000  # texts of a view whose length is looked at, at most


def encoder_of(model: Any, view: str) -> Encoder | None:
    """What reads a view; None for simple features."""
    if not isinstance(model, ClosedForm):
        towers: Any = model.module_.towers
        return towers[view].encoder if view in towers else None
    reader = model.reducers_.get(view)
    return reader.encoder if isinstance(reader, Encoded) else None


def cut_texts(model: Any, views: Views) -> list[str]:
    """A sentence for each text view of whose texts the model reads the beginning only."""
    sentences = []
    for view, kind in views.modalities.items():
        encoder = encoder_of(model, view) if kind == "text" else None
        if encoder is None:
            continue
        rows = np.flatnonzero(views[view].present)
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), LOOKED_AT)).round().astype(int)] if len(rows) else rows
        cut = sum(encoder.is_cut([str(views[view][int(row)]) for row in rows])) if len(rows) else 0
        if cut:
            sentences.append(
                f"{cut:,} of {len(rows):,} texts of {view!r} are longer than its encoder reads, and the ends were not "
                "read; put what matters first, or take an encoder that reads more"
            )
    return sentences


def words_met(model: Any, training: Views) -> Words:
    """The words of texts that the model learnt to read from these alone; a pretrained encoder met others before."""
    texts = {}
    for view, column in training.columns.items():
        if column.kind == "text" and view in model.kinds_ and _learnt_here(model, view):
            texts[view] = [str(column[int(row)]) for row in np.flatnonzero(column.present)]
    return Words.of(texts)


def opened(folder: Path) -> Words | None:
    """What the run in a folder kept; None for one that kept nothing."""
    return Words.load(folder / FILE) if (folder / FILE).exists() else None


def _learnt_here(model: Any, view: str) -> bool:
    """Whether a view is read by what was learnt from the table alone."""
    if isinstance(model, ClosedForm):
        return encoder_of(model, view) is None
    from bouba.towers.text import NGrams, SubwordSpec

    spec = model.specs_.get(view)
    spec = model.specs_.get(spec.view) if isinstance(spec, SameAs) else spec
    return isinstance(spec, NGrams | SubwordSpec)
