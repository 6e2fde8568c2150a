"""Emoji as frozen encoders see them: what the benches of few pairs, single cells and wrong pairs begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bouba.align.encoded import Encoded
from bouba.data import samples
from bouba.data.views import Views
from bouba.metrics import retrieval, summarise
from bouba.towers import Packaged

TOWERS: dict[str, Any] = {"image": Packaged("efficientnet-lite0"), "en": Packaged("multilingual-e5-small")}


def captioned_drawings(style: str = "noto") -> Views:
    """Drawings of one style and their English captions, with the concept as key."""
    return samples.emoji(styles=style).select(*TOWERS)


def frozen_emoji(style: str = "noto") -> Views:
    """Drawings (n, 1280) and English captions (n, 384) of one style as unit vectors; key: the concept,
    group: its variants.

    The first call encodes 1,594 drawings and captions, later ones read them from the disk.

    Raises:
        MissingExtraError: the extra `knows` is not installed.
    """
    views = captioned_drawings(style)
    cells = {name: [column[row] for row in range(len(views))] for name, column in views.columns.items()}
    features = {name: Encoded.of(name, TOWERS, views[name].kind, cells[name])(cells[name]) for name in TOWERS}
    return Views(features, key=views.key, group=views.group)


def recall_at_10(z: Mapping[str, np.ndarray]) -> float:
    """Percent of rows whose partner is among the ten best, mean of both directions."""
    a, b = z.values()
    row = np.arange(len(a))
    both = [summarise(retrieval(x, y, row, row, ks=(10,)))["recall@10"] for x, y in ((a, b), (b, a))]
    return 100 * float(np.mean(both))
