"""Recipes as TOML text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from bouba.errors import UsageError


def to_toml(recipe: Mapping[str, Any]) -> str:
    """A recipe as TOML text, tables after plain keys; None is left out. UsageError for a value that TOML has not."""
    return "\n".join(_lines(recipe, "")) + "\n"


def _lines(table: Mapping[str, Any], prefix: str) -> list[str]:
    plain = {k: v for k, v in table.items() if not _is_table(v) and v is not None}
    lines = [
        f"{_key(key)} = {json.dumps(list(v) if isinstance(v, tuple) else v, ensure_ascii=False, default=_plain)}"
        for key, v in plain.items()
    ]
    for key, value in table.items():
        name = f"{prefix}{_key(key)}"
        if isinstance(value, Mapping) and value:
            inner = _lines(value, f"{name}.")
            lines += (["", f"[{name}]"] if any(not _is_table(v) for v in value.values()) else []) + inner
        elif _is_table(value) and not isinstance(value, Mapping):
            for entry in value:
                lines += ["", f"[[{name}]]", *_lines(entry, f"{name}.")]
    return lines


def _plain(value: Any) -> Any:
    """A number or an array of numpy's as Python's own."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise UsageError(f"a recipe cannot hold {value!r:.60}; fit the estimator itself, with its `fit` and `save`")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)


def _is_table(value) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and bool(value) and isinstance(value[0], Mapping))
