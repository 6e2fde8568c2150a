"""What a column is, guessed from its cells and its name. Every guess is said aloud and can be overruled."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from bouba.data.decode import NUMBERS, resolved
from bouba.data.kinds import FILES
from bouba.data.missing import is_missing
from bouba.data.video import moves

ROLES = ("label", "domain", "key", "group", "meta")
NAMES = {
    "label": {"label", "labels", "class", "category", "target", "kind", "y", "group", "subgroup", "genre"},
    "domain": {"domain", "style", "site", "source"},
    "text": {
        "text",
        "caption",
        "title",
        "name",
        "description",
        "sentence",
        "prompt",
        "文本",
        "标题",
        "描述",
        "名称",
        "说明",
    },
    "key": {"key", "id", "concept", "item", "item_id", "product_id"},
}
LOOKED_AT = 200
OPENED = 8  # pictures, until one says whether it moves
CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def guess(name: str, values, declared: Mapping[str, str], base: Path | None = None) -> str:
    """One of KINDS or ROLES for a column. `declared` is what the source itself says (datasets features); relative paths
    of pictures, which are looked at to see whether they move, are relative to `base`."""
    if name in declared:
        return declared[name]
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return "vector"
    if isinstance(values, np.ndarray) and values.ndim > 2:
        return "video" if values.ndim == 5 else "image"
    every = range(0, len(values), max(1, len(values) // LOOKED_AT))
    cells = [cell for cell in (values[i] for i in every) if not is_missing(cell)]
    if not cells:
        return "meta"
    if isinstance(cells[0], (str, *NUMBERS)) and any(isinstance(cell, str) for cell in cells):
        cells = [str(cell) for cell in cells]  # numbers among words are words
    kind = _by_cells(cells)
    if kind == "image" and first_moves([resolved(cell, base) for cell in cells[:OPENED]]):
        return "video"
    if kind in FILES:
        return kind
    return _by_name(name, len(values), cells) or kind or _words(cells, len(values))


def first_moves(cells: Iterable) -> bool:
    """Whether the first picture that opens has more than one frame, and so all of them are taken for clips."""
    return bool(next((found for cell in cells if (found := moves(cell)) is not None), False))


def _by_cells(cells: list) -> str | None:
    """The kind that the cells themselves show; None for text, which their column's name may tell more of."""
    first = cells[0]
    if isinstance(first, bytes | dict) or type(first).__module__.startswith("PIL."):
        return "image" if not isinstance(first, dict) or {"bytes", "path"} & set(first) else "meta"
    if isinstance(first, np.ndarray):
        return "vector" if first.ndim == 1 else "video" if first.ndim == 4 else "image"
    if isinstance(first, list | tuple):
        return "vector" if all(isinstance(v, int | float) for v in first) else "meta"
    if isinstance(first, bool | np.bool_):
        return "label"
    if isinstance(first, NUMBERS):
        return "vector"  # one number a row; numbers of a table are put side by side as one vector
    if not isinstance(first, str):
        return "meta"
    for kind, endings in FILES.items():
        if sum(str(cell).lower().endswith(endings) for cell in cells) > len(cells) / 2:
            return kind
    return None


def _by_name(name: str, n: int, cells: list) -> str | None:
    lowered = name.strip().lower()
    for role, names in NAMES.items():
        if lowered in names:
            few = len({str(cell) for cell in cells}) <= max(2, len(cells) // 2)
            return role if role in ("key", "text") or few or n < 10 else None
    return None


def _words(cells: list[str], n: int) -> str:
    """Text, a label that repeats, or an identifier nobody reads."""
    if all(cell.startswith(("http://", "https://")) for cell in cells):
        return "meta"
    different = len(set(cells))
    words = np.mean([len(CJK.sub(" ", cell).split()) + len(CJK.findall(cell)) / 2 for cell in cells])
    if n >= 20 and different <= min(50, len(cells) // 5) and words <= 3:
        return "label"
    coded = [bool(re.search(r"\d|_", cell)) and " " not in cell and not CJK.search(cell) for cell in cells]
    return "meta" if np.mean(coded) > 0.5 else "text"
