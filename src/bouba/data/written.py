"""Columns of text as a file has them. Numbers and vectors are made of the cells where a column is used as such."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

MARKS = frozenset(
    ("na", "n/a", "n.a.", "#n/a", "#na", "<na>", "nan", "null", "none", "nil", "missing", "-", "--", "?", ".", "\\n")
)
"""What people write among numbers where one is missing, in lower case."""
PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
INFINITE = re.compile(r"[-+]?inf(inity)?", re.IGNORECASE)
WHOLE = re.compile(r"-?(0|[1-9]\d*)", re.ASCII)
CODE = re.compile(r"[-+]?(0\d+|\d{16,})", re.ASCII)
"""Digits that are a name, not a quantity: 007, and what a float cannot tell from its neighbour."""
DECIMAL_COMMA = re.compile(r"[-+]?(\d{1,3}(\.\d{3})+|\d*)(,\d+)?([eE][-+]?\d+)?(?<=\d)", re.ASCII)
THOUSANDS = re.compile(r"[-+]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)
GROUPED = re.compile(r"[-+]?\d{1,3}([ '\u2019\u00a0\u2009\u202f]\d{3})+([.,]\d+)?", re.ASCII)
UNIT = re.compile(r"(?P<before>[$€£¥])?\s*(?P<number>[-+]?[\d.,]+)(?P<after>\s*[%‰$€£¥°]|\s+[A-Za-zµ°²³/]{1,5})?")
VECTOR = re.compile(r"\s*[\[(][-+.,;\s\deE]*\d[-+.,;\s\deE]*[\])]\s*", re.ASCII)
ODD_CHARACTER = re.compile(r"[^-+.eE\d\s]", re.ASCII)
SHARE = 0.9
"""Of the cells must be vectors for a column that nobody named to be one."""


@dataclass(frozen=True)
class Numbers:
    """Cells as numbers.

    Args:
        values: float (n,), NaN where a cell is missing or no number.
        odd: place -> why a cell that is there gives no number.
        words: how many of `odd` are no numbers at all; the others are infinite.
        form: how they are written, where it is not 1234.5; "" where it is.
        ambiguous: whether they could be read in another form as well.
    """

    values: np.ndarray
    odd: Mapping[int, str] = field(default_factory=dict)
    words: int = 0
    form: str = ""
    ambiguous: bool = False


@dataclass(frozen=True, eq=False)
class Written:
    """A column of text cells, blank where missing.

    Args:
        cells: as they stand in the file.
        separator: that stood between cells of a row; beside a comma, 1,234 is a thousand.
    """

    cells: list[str]
    separator: str = ","

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, row: int) -> str:
        return self.cells[row]

    @cached_property
    def numbers(self) -> Numbers | None:
        """The cells as numbers; None where they are none of them, or names made of digits."""
        found = numbers_of(self.cells, self.separator)
        is_number = found.words == 0 and np.isfinite(found.values).any()
        return found if is_number and not any(CODE.fullmatch(cell.strip()) for cell in self.cells) else None

    @cached_property
    def typed(self) -> np.ndarray | None:
        """The cells as numbers for filters and labels: whole ones as int64, or with None where one is missing; else
        float, NaN where one is missing. None where they are no plain numbers."""
        if self.numbers is None or self.numbers.form or self.numbers.odd:
            return None
        values = self.numbers.values
        missing = np.isnan(values)
        if not all(WHOLE.fullmatch(cell.strip()) for cell, gone in zip(self.cells, missing, strict=True) if not gone):
            return values
        if not missing.any():
            return values.astype(np.int64)
        cells = np.empty(len(values), object)
        cells[:] = [None if gone else int(value) for value, gone in zip(values, missing, strict=True)]
        return cells

    @property
    def merges(self) -> bool:
        """Whether two cells that are written differently are one number, as 1.10 and 1.1."""
        if self.numbers is None:
            return False
        written = {cell.strip() for cell, v in zip(self.cells, self.numbers.values, strict=True) if not np.isnan(v)}
        return len(written) > len(np.unique(self.numbers.values[~np.isnan(self.numbers.values)]))

    @property
    def texts(self) -> np.ndarray:
        """The cells as text, object (n,), None where missing."""
        cells = np.empty(len(self.cells), object)
        cells[:] = [cell.strip() or None for cell in self.cells]
        return cells

    @property
    def are_vectors(self) -> bool:
        """Whether nearly all cells are lists of numbers in brackets."""
        filled = [cell for cell in self.cells if cell.strip()]
        every = filled[:: max(1, len(filled) // 200)]
        return bool(every) and sum(bool(VECTOR.fullmatch(cell)) for cell in every) >= SHARE * len(every)


def numbers_of(cells: Iterable[str], separator: str = ",") -> Numbers:
    """Text as numbers, whichever way they are written: 1.5, 1,5 and 1.234,5, 1,234.5, 1 234, 12 %, $3.50, 3 kg.

    One form for the whole column, that which most cells have. Nothing but digits of ASCII is a number: 1_000 is none.
    """
    cells = list(cells)
    plain = _plainly(cells)
    if plain is not None:
        return plain
    texts = {cell: cell.strip().replace("\u2212", "-") for cell in cells}
    different = set(texts.values()) - {""}
    form, reading, ambiguous = _form(different, separator)
    values: dict[str, float] = {}
    reasons: dict[str, str] = {}
    words = set()
    for cell, text in texts.items():
        number = np.nan if not text or text.lower() in MARKS else reading(text)
        values[cell] = np.nan if number is None or np.isinf(number) else number
        if number is None or np.isinf(number):
            reasons[cell] = f"{cell[:60]!r} is {'no number' if number is None else 'not finite'}"
            words |= {cell} if number is None else set()
    odd = {place: reasons[cell] for place, cell in enumerate(cells) if cell in reasons}
    count = sum(cell in words for cell in cells)
    return Numbers(np.array([values[cell] for cell in cells], float), odd, count, form, ambiguous)


def vector_of(cell: str) -> np.ndarray | None:
    """A cell like [0.1, 0.2], (1 2) or 0.1;0.2 as float (d,), None where it is none."""
    inner = cell.strip()
    inner = inner[1:-1] if inner[:1] in "[(" and inner[-1:] in "])" else inner
    parts = re.split(r"\s*[,;]\s*|\s+", inner.strip())
    parts = parts[:-1] if parts[-1] == "" else parts
    if not parts or not all(PLAIN.fullmatch(part) or part.lower() in ("nan", "null", "none") for part in parts):
        return None
    return np.array([float(part) if PLAIN.fullmatch(part) else np.nan for part in parts])


def _plainly(cells: list[str]) -> Numbers | None:
    """The quick way, for cells that are all blank or written 1234.5; None where one is not."""
    try:
        values = np.array([float(cell) if cell and not cell.isspace() else np.nan for cell in cells])
    except ValueError:
        return None
    if np.isinf(values).any() or ODD_CHARACTER.search(joined := "".join(cells)) or not joined.isascii():
        return None
    return Numbers(values)


def _plain(text: str) -> float | None:
    if PLAIN.fullmatch(text):
        return float(text)
    return float(text) if INFINITE.fullmatch(text) else None


def _commas(text: str) -> float | None:
    return float(text.replace(".", "").replace(",", ".")) if DECIMAL_COMMA.fullmatch(text) else _plain_whole(text)


def _thousands(text: str) -> float | None:
    return float(text.replace(",", "")) if THOUSANDS.fullmatch(text) else _plain(text)


def _grouped(text: str) -> float | None:
    if GROUPED.fullmatch(text):
        return float(re.sub(r"[^-+\d.,]", "", text).replace(",", "."))
    return _plain(text.replace(",", "."))


def _plain_whole(text: str) -> float | None:
    return _plain(text) if "." not in text else None


def _form(texts: set[str], separator: str):
    """(name, text -> number or None, whether another form would do) of the form that most of these texts have."""
    odd = {text for text in texts if text.lower() not in MARKS and _plain(text) is None}
    readings = {
        "decimal commas": _commas,
        "commas between thousands": _thousands,
        "gaps between thousands": _grouped,
        **_unit(odd, separator),
    }
    if separator == ",":
        readings = {"commas between thousands": _thousands} | readings
    reads = {name: sum(reading(text) is not None for text in odd) for name, reading in readings.items()}
    best = max(reads, key=lambda name: reads[name])
    if not reads[best]:
        return "", _plain, False
    lost = sum(readings[best](text) is None for text in texts - odd if text.lower() not in MARKS)
    if lost > reads[best]:
        return "", _plain, False
    commas = {text for text in odd if "," in text}
    ambiguous = best in ("decimal commas", "commas between thousands") and all(map(THOUSANDS.fullmatch, commas))
    return best, readings[best], ambiguous and not any("." in text for text in commas)


def _unit(texts: set[str], separator: str) -> dict:
    """A reading of numbers with the unit that most of these texts have: 12 %, $3.50, 3 kg."""
    units = [(m["before"] or "", (m["after"] or "").strip()) for text in texts if (m := UNIT.fullmatch(text))]
    units = [unit for unit in units if any(unit)]
    if not units:
        return {}
    unit = max(set(units), key=units.count)
    commas = separator != ","

    def reading(text: str) -> float | None:
        found = UNIT.fullmatch(text)
        if found is None or (found["before"] or "", (found["after"] or "").strip()) != unit:
            return None
        number = found["number"]
        plain = _plain(number)
        return plain if plain is not None else _commas(number) if commas else _thousands(number)

    return {f"the unit {unit[0] or unit[1]}": reading}
