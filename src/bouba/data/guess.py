"""What a column is, guessed from its cells and its name. Every guess is logged and can be overruled."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from bouba.data.decode import NUMBERS, resolved
from bouba.data.kinds import FILES
from bouba.data.missing import is_missing
from bouba.data.video import moves
from bouba.data.written import Written, numbers_of

log = logging.getLogger("bouba")

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
ROW_NAMES = re.compile(
    r"row_?names?_*|unnamed: \d+|__index_level_\d+__|index|row|row_?(id|nr|number)|level_0|nr\.?|no\.?|#|序号"
)
IDENTIFIER = re.compile(
    r"(.*[\W_])?(id|ids|uuid|guid|ean|gtin|isbn|issn|upc|sku|phone|tel|zip|zip_?code|plz|post_?code|postal_?code|编号)"
)
LONG = 1e9
"""From here on, whole numbers that are all different are taken for identifiers: telephones, articles."""
MIXED = 0.5
"""Of the cells must be numbers for a column with other cells to be spoken of."""
CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def guess(name: str, values, declared: Mapping[str, str], base: Path | None = None, *, is_first: bool = False) -> str:
    """One of KINDS or ROLES for a column.

    Args:
        declared: what the source itself says (datasets features).
        base: folder that relative paths of pictures are relative to; these are looked at to see whether they move.
        is_first: whether it is the first column, which may be the number of the row.
    """
    if name in declared:
        return declared[name]
    if isinstance(values, Written):
        if values.are_vectors:
            return "vector"
        values = values if values.numbers is None else values.numbers.values
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
    if kind != "label" and ROW_NAMES.fullmatch(name.strip().lower()) and not isinstance(cells[0], np.ndarray | list):
        return "meta" if kind is None or name.lower().startswith(("row", "unnamed", "__")) or _counts(values) else kind
    if kind == "vector" and isinstance(cells[0], NUMBERS) and _identifies(name, values, is_first):
        return "key" if name.strip().lower() in NAMES["key"] else "meta"
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


def _identifies(name: str, values, is_first: bool) -> bool:
    """Whether whole numbers are names of rows or things, no quantity: by the column's name; because they count the
    rows, in a first column; because they are long and all different."""
    numbers = _whole_numbers(values)
    if numbers is None:
        return False
    if IDENTIFIER.fullmatch(name.strip().lower()) or re.search(r"[a-z]I[dD]$", name.strip()):
        return True
    if is_first and _counts(values):
        what = "counts the rows"
    elif len(numbers) >= 5 and min(numbers) >= LONG and len(set(numbers)) == len(numbers):
        what = "holds long whole numbers, all different"
    else:
        return False
    log.warning("column %r %s and is taken for a name, not for a quantity; vector=%r makes it one", name, what, name)
    return True


def _counts(values) -> bool:
    """Whether the cells are 0, 1, 2, ... or 1, 2, 3, ..., five or more."""
    numbers = _whole_numbers(values)
    if numbers is None or len(numbers) < max(5, len(values)):
        return False
    return numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _whole_numbers(values) -> list[int] | None:
    """The cells that are there, None if one is no whole number."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "iu":
        return values.tolist()
    cells = [cell for cell in (values[i] for i in range(len(values))) if not is_missing(cell)]
    if not cells or not all(isinstance(cell, NUMBERS) and _is_whole(cell) for cell in cells):
        return None
    return [int(cell) for cell in cells]


def _is_whole(number) -> bool:
    return isinstance(number, int) or (math.isfinite(number) and number == int(number))


def mixed(values) -> tuple[int, int, str] | None:
    """(cells that are numbers, cells that are there, why the first other is none) of a column that holds both numbers
    and words; None for one that does not."""
    if not isinstance(values, Written) or values.numbers is not None or values.are_vectors:
        return None
    numbers = numbers_of(values.cells, values.separator)
    filled = sum(bool(cell.strip()) for cell in values.cells)
    count = int(np.isfinite(numbers.values).sum())
    return (count, filled, next(iter(numbers.odd.values()))) if numbers.odd and count >= MIXED * filled else None
