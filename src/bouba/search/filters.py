"""Filters as data, as a page sends them -> a condition for `search.where`, in which all names and values are quoted."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bouba.errors import UsageError
from bouba.search.columns import as_plain, quoted

FORMS = 'a filter is {"column": NAME, "any": [VALUES]} or {"column": NAME, "low": NUMBER, "high": NUMBER}'


def joined(where: str | None, filters: Sequence[Mapping[str, Any]]) -> str | None:
    """One condition of `where` and of every filter; None where there is nothing to fit.

    Args:
        filters: {"column": name, "any": values, None for missing} or {"column": name, "low": least, "high": most}, of
            which one may be None or left out.

    Raises:
        UsageError: a filter of another form.

    >>> joined("year > 1999", [{"column": "kind", "any": ["bird's", None]}, {"column": "size", "low": 2}])
    "(year > 1999) AND (`kind` IN ('bird''s') OR `kind` IS NULL) AND (`size` >= 2)"
    """
    conditions = [] if where is None else [f"({where})"]
    if isinstance(filters, str | Mapping) or not isinstance(filters, Sequence):
        raise UsageError(f"filters are a list; {FORMS}")
    conditions += [f"({_condition(each)})" for each in filters]
    if len(conditions) == 1 and where is not None:
        return where
    return " AND ".join(conditions) or None


def _condition(one: Any) -> str:
    if not isinstance(one, Mapping) or not isinstance(one.get("column"), str):
        raise UsageError(f"{FORMS}, got {str(one)[:80]}")
    name = "`" + one["column"].replace("`", "``") + "`"
    keys = set(one) - {"column"}
    if keys == {"any"} and isinstance(one["any"], list | tuple) and one["any"]:
        values = [as_plain(value) if _is_plain(value) else value for value in one["any"]]
        listed = ", ".join(_literal(value) for value in values if value is not None)
        parts = [f"{name} IN ({listed})"] * bool(listed) + [f"{name} IS NULL"] * (None in values)
        return " OR ".join(parts)
    ends = [(sign, one[end]) for end, sign in (("low", ">="), ("high", "<=")) if one.get(end) is not None]
    if ends and keys <= {"low", "high"}:
        return " AND ".join(f"{name} {sign} {_literal(value)}" for sign, value in ends)
    raise UsageError(f"{FORMS}, got {str(dict(one))[:80]}")


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | np.generic)


def _literal(value: Any) -> str:
    """A value as a condition writes it."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, int | float) and math.isfinite(value):
        return repr(value)
    raise UsageError(f"a filter takes texts, numbers, true and false, got {str(value)[:40]}")
