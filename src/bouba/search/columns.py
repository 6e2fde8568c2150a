"""Metadata columns: what values of any type become in the table, and what they look like in a filter."""

import contextlib
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bouba.errors import UsageError

Plain = str | int | float | bool | None

_ARROW = {"str": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}


@dataclass(frozen=True)
class IndexColumn:
    """One metadata column: the name its owner gave it, the name in the table, and str, int, float or bool."""

    name: str
    stored: str
    kind: str

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
        column = f"`{self.stored}`"
        if fitted is None:
            return f"{column} IS NULL"
        if isinstance(fitted, bool):
            return f"{column} = {'true' if fitted else 'false'}"
        if isinstance(fitted, str):
            return f"{column} = {quoted(fitted)}"
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
    for name, values in columns.items():
        taken = {column.stored for column in described}
        described.append(IndexColumn(name, _stored_name(name, taken), _kind(values)))
    return tuple(described)


def _stored_name(name: str, taken: set[str]) -> str:
    """The name itself where LanceDB can hold it; names that begin with _ are its own and ours."""
    stored = name.replace(".", "_").replace("`", "_")
    if not stored or stored.startswith("_"):
        stored = f"x{stored}"
    while stored in taken:
        stored += "_"
    return stored


def _kind(values: Sequence[object]) -> str:
    types = {type(as_plain(value)) for value in values} - {type(None)}
    if len(types) == 1:
        return types.pop().__name__
    return "float" if types == {int, float} else "str"
