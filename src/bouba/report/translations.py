"""From translators and held-out rows to pictures of what they made, and of how that came about."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from bouba.data.views import Views
from bouba.report.build import Method, cell_shown, row_name
from bouba.report.content import Made

FOLLOWED = 4  # rows whose pictures are drawn as training goes
Stage = tuple[str, list[bytes]]
"""When, and a picture a row."""


class Watch:
    """Draws pictures of the same rows after epochs 1, 2, 4, 8 and so on: an `on_epoch` for the fit of a translator.

    It changes neither weights nor random numbers.

    Args:
        model: a translator. views: rows that have its source; the first FOLLOWED are drawn.
    """

    def __init__(self, model: Any, views: Views):
        self.model, self.views = model, views[: min(FOLLOWED, len(views))]
        self.pictures: dict[int, list[bytes]] = {}

    def __call__(self, row: dict) -> None:
        """Draw, after an epoch that is a power of two."""
        epoch = int(row["epoch"])
        if epoch & (epoch - 1) == 0:
            self.pictures[epoch] = self._draw()

    def stages(self) -> list[Stage]:
        """What was drawn, and what the fitted model draws now."""
        history = self.model.history_
        best = min(history, key=lambda row: row["validation"]) if "validation" in history[-1] else history[-1]
        earlier = [(f"epoch {epoch}", pictures) for epoch, pictures in self.pictures.items() if epoch != best["epoch"]]
        return [*earlier, (f"as kept, epoch {best['epoch']}", self._draw())]

    def _draw(self) -> list[bytes]:
        return [_png(items[0]) for items in self.model.translate(self.views.select(self.model.source_))]


def made(
    methods: Sequence[Method], views: Views, rows: Sequence[int], *, draws: int = 2, stages: Sequence[Stage] = ()
) -> list[Made]:
    """What translators with the same source and target drew for some rows; nothing where they give no pictures.

    Args:
        methods: their names and models, the first one's truth being shown.
        views: held-out rows. rows: which of them, all with source and target.
        draws: pictures a method; of equal ones one is shown.
        stages: of a Watch over the first of these rows.
    """
    model, chosen = methods[0].model, views[np.asarray(rows, int)]
    if not len(chosen) or model.kinds_[model.target_] != "image":
        return []
    drawn = {one.name: one.model.translate(chosen.select(model.source_), draws) for one in methods}
    out = []
    for row, truth in enumerate(model.truth(chosen)):
        text, picture = cell_shown(chosen, model.source_, row)
        pictures = {name: list(dict.fromkeys(map(_png, items[row]))) for name, items in drawn.items()}
        stages_of_row = [(when, several[row]) for when, several in stages if row < len(several)]
        out.append(Made(text, picture, row_name(chosen, row), _png(truth), pictures, stages_of_row))
    return out


def _png(picture: np.ndarray) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(picture).save(out, "PNG")
    return out.getvalue()
