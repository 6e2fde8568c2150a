"""Metadata columns: what values of any type become in the table, and what they look like in a filter."""

import contextlib
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from bouba.data.characters import one_form, written
from bouba.errors import UsageError

Plain = str | int | float | bool | None

_ARROW = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}


@dataclass(frozen=True)
class IndexColumn:
    """One metadata column: the name its owner gave it, the name in the table, and str, int, float or bool; and where
    some of its texts are shown in another form than they are compared in, the column of the table that has these."""

    name: str
    stored: str
    kind: str
    form: str | None = None

    @property
    def compared(self) -> str:
        """The column of the table that filters look at."""
        return self.form or self.stored

    @property
    def stored_types(self) -> dict[str, pa.DataType]:
        """Of `stored_columns`."""
        return {name: _ARROW[self.kind] for name in (self.stored, self.form) if name is not None}

    def stored_columns(self, values: Sequence[object]) -> dict[str, pa.Array]:
        """The values as the table holds them, by its names."""
        shown = self.encode(values)
        if self.kind != "str":
            return {self.stored: shown}
        forms = pa.array([None if text is None else one_form(text) for text in shown.to_pylist()], pa.string())
        return {self.stored: forms} if self.form is None else {self.stored: shown, self.form: forms}

    def encode(self, values: Iterable[object]) -> pa.Array:
        """The values as this column holds them."""
        return pa.array([self.fit(value) for value in values], _ARROW[self.kind])

    def fit(self, value: object) -> Plain:
        """The value as this column's kind; a number column refuses what is not that number."""
        value = as_plain(value)
        if value is None:
            return None
        if self.kind == "str":
            return value if isinstance(value, str) else str(value)
        if self.kind == "bool" and isinstance(value, bool):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            if self.kind == "float":
                return float(value)
            if self.kind == "int" and _is_int64(value):
                return int(value)
        raise UsageError(
            f"column {self.name!r} holds {self.kind}, got {value!r} ({type(value).__name__}); give {self.kind} or None"
        )

    def parsed(self, text: str) -> str | int | float | bool:
        """A value written as text, as this column's kind; the text where it is no such value."""
        if self.kind == "bool" and text.lower() in ("true", "false"):
            return text.lower() == "true"
        if self.kind in ("int", "float"):
            with contextlib.suppress(ValueError):
                return int(text) if self.kind == "int" else float(text)
        return text

    def equals(self, value: object) -> str:
        """SQL that is true where the column holds exactly `value`; None finds the missing ones."""
        fitted = self.fit(value)
        column = f"`{self.compared}`"
        if fitted is None:
            return f"{column} IS NULL"
        if isinstance(fitted, bool):
            return f"{column} = {'true' if fitted else 'false'}"
        if isinstance(fitted, str):  # an index of before there was one form holds texts as they were written
            spellings = {one_form(fitted): None} | ({} if self.form else {fitted: None})
            return f"{column} IN ({', '.join(map(quoted, spellings))})"
        return f"{column} = {repr(fitted).replace('inf', '1e999')}"  # SQL has no word for infinity


def quoted(text: str) -> str:
    """A SQL string literal, whatever quotes the text holds."""
    return "'" + text.replace("'", "''") + "'"


def as_plain(value: object) -> Plain:
    """str, int, float, bool or None, whatever came; NaN and pandas' NA and NaT mean missing."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    if isinstance(value, int):
        return int(value) if _is_int64(value) else str(value)
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    text = os.fspath(value) if isinstance(value, os.PathLike) else value
    # a file name that is not UTF-8 holds lone surrogates, which Arrow cannot store
    return str(text).encode("utf-8", "backslashreplace").decode("utf-8")


def _is_int64(value: float) -> bool:
    # without the smallest one, which SQL reads as minus a number that is too large
    return -(2**63) < value < 2**63 and int(value) == value


def describe(columns: Mapping[str, Sequence[object]]) -> tuple[IndexColumn, ...]:
    """Each column's kind and the name it gets in the table."""
    described: list[IndexColumn] = []
    taken: set[str] = set()
    for name, values in columns.items():
        described.append(IndexColumn(name, _stored_name(name, taken), _kind(values)))
        taken.add(described[-1].stored)
    for place, (column, values) in enumerate(zip(described, columns.values(), strict=True)):
        if column.kind == "str" and _has_other_forms(values):
            described[place] = replace(column, form=_stored_name(f"{column.stored} form", taken))
            taken.add(f"{described[place].form}")
    return tuple(described)


def _has_other_forms(values: Sequence[object]) -> bool:
    """Whether a text is written in another form than it is compared in."""
    texts = {as_plain(value) for value in values}
    return any(isinstance(text, str) and one_form(text) != text for text in texts)


def _stored_name(name: str, taken: set[str]) -> str:
    """The name itself where LanceDB can hold it; names that begin with _ are its own and ours."""
    stored = re.sub("[.`\x00]", "_", written(name))
    if not stored or stored.startswith("_") or stored == "*":  # which stands for every column
        stored = f"x{stored}"
    while stored in taken:
        stored += "_"
    return stored


def _kind(values: Sequence[object]) -> str:
    types = {type(as_plain(value)) for value in values} - {type(None)}
    if len(types) == 1:
        return types.pop().__name__
    return "float" if types == {int, float} else "str"
