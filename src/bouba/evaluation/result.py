"""Measured numbers as records: one number, where it comes from, its interval and what chance gives."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from html import escape
from pathlib import Path
from typing import Any

from bouba.declared import refuse_misfits
from bouba.errors import DataError, UsageError, nearest
from bouba.evaluation.limits import ANYWHERE
from bouba.evaluation.seeds import over_seeds, seeds_interval
from bouba.evaluation.table import html_table, text_table
from bouba.files import read_json


@dataclass(frozen=True)
class Record:
    """One measured number.

    Args:
        method, split, domain, direction, metric: where it comes from, e.g. "mine", "test", "openmoji",
            "text->image", "recall@10".
        value: the number. low, high: its interval. chance: what guessing gives. None where there is none.
        n: rows it was measured on.
        seed: of the training run; None for a mean over runs or where nothing was trained.
    """

    method: str
    split: str
    domain: str
    direction: str
    metric: str
    value: float
    low: float | None
    high: float | None
    chance: float | None
    n: int
    seed: int | None = None


FIELDS = tuple(f.name for f in fields(Record))
ROWS = ("method", "split", "domain", "direction", "seed")
LABELS = (*ROWS, "metric")


@dataclass(frozen=True)
class _Grid:
    """A table of records: what all share, the header, and lines whose first `labels` columns are labels."""

    caption: str
    header: list[str]
    lines: list[list[str]]
    labels: int


@dataclass(frozen=True)
class Result:
    """Records and what they were computed with; `a + b` lays two results together, `sum(results)` many.

    Args:
        records: one number each.
        meta: see `environment`; after `a + b` of unequal metas {"parts": [meta of a, meta of b]}.
    """

    records: list[Record]
    meta: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)

    def __add__(self, other: Result) -> Result:
        if not isinstance(other, Result):
            return NotImplemented
        parts: list[dict[str, Any]] = []
        for meta in (self.meta, other.meta):
            parts += [part for part in meta.get("parts", [meta]) if part and part not in parts]
        meta = parts[0] if len(parts) == 1 else {"parts": parts} if parts else {}
        return Result([*self.records, *other.records], meta)

    def __radd__(self, other: object) -> Result:
        return self if other == 0 else NotImplemented  # where `sum` begins

    def where(self, **filters: Any) -> Result:
        """The records whose fields equal the filters; a list, tuple or set of values means any of them.

        Raises:
            UsageError: a filter is no field of Record.
        """
        for name in filters:
            if name not in FIELDS:
                raise UsageError(f"a record has no field {name!r}{nearest(name, FIELDS)}")
        allowed = {k: v if isinstance(v, list | tuple | set | frozenset) else (v,) for k, v in filters.items()}
        chosen = [r for r in self.records if all(getattr(r, k) in v for k, v in allowed.items())]
        return Result(chosen, self.meta)

    def value(self, **filters: Any) -> Record:
        """The one record that passes the filters.

        Raises:
            UsageError: none does, or several; the message names what there is to choose from.
        """
        matches = self.where(**filters)
        if len(matches) == 1:
            return matches.records[0]
        query = ", ".join(f"{k}={v!r}" for k, v in filters.items()) or "no filter"
        if len(matches) == 0:
            raise UsageError(f"no record has {query}; there is {self._choices(tuple(filters) or LABELS)}")
        varying = tuple(name for name in LABELS if len(matches._distinct(name)) > 1)
        advice = f"add one of {matches._choices(varying)}" if varying else "they are twins: same labels throughout"
        raise UsageError(f"{len(matches)} records have {query}; {advice}")

    def mean_over_seeds(self, *, share: float = 1.0) -> Result:
        """One record for all seeds of the same method, split, domain, direction and metric.

        value is the mean, low and high its interval over seeds and rows where each record has an interval over rows
        (`over_seeds`), else Student's over seeds alone (`seeds_interval`). chance is the mean of the chances, n the
        smallest n. A record without siblings is kept as it is, with its seed.

        Args:
            share: of all rows that there are, those that each seed was judged on, see `over_seeds`: 1 where all seeds
                have the same test rows, 0 where each has new ones.

        Raises:
            UsageError: one seed measured the same thing twice.
        """
        families: dict[tuple, list[Record]] = {}
        for record in self.records:
            key = (record.method, record.split, record.domain, record.direction, record.metric)
            families.setdefault(key, []).append(record)
        return Result([_mean_record(family, share) for family in families.values()], self.meta)

    def format(
        self,
        rows: Sequence[str] = ROWS,
        columns: str = "metric",
        *,
        digits: int = 3,
    ) -> str:
        """A table for the terminal: each cell is `value [low, high] (chance)`.

        Labels that are the same in all records stand once, above. Labels that vary and are neither in
        `rows` nor `columns` become rows too, so no cell hides a record.

        Raises:
            UsageError: a name that is no label of Record.
        """
        for name in (*rows, columns):
            if name not in LABELS:
                raise UsageError(f"{name!r} is no label of a record{nearest(name, LABELS)}")
        if not self.records:
            return "no records"
        grid = self._grid(rows, columns, digits)
        table = text_table(grid.header, grid.lines, labels=grid.labels)
        return f"{grid.caption}\nvalue [low, high] (chance)\n\n{table}".lstrip()

    def _repr_html_(self) -> str:
        """What a notebook shows: the table of `format()`."""
        if not self.records:
            return "<p>no records</p>"
        grid = self._grid(ROWS, "metric", 3)
        caption = escape(grid.caption)
        return f"<p>{caption}<br>value [low, high] (chance)</p>\n{html_table(grid.header, grid.lines)}"

    def _grid(self, rows: Sequence[str], columns: str, digits: int) -> _Grid:
        """Every record in a cell, by the labels that vary."""
        varying = [name for name in LABELS if name != columns and len(self._distinct(name)) > 1]
        labels = [name for name in rows if name in varying]
        labels += [name for name in varying if name not in labels]
        labels = labels or [name for name in rows if name != columns][:1] or ["method"]
        heads = self._distinct(columns)
        cells: dict[tuple, dict[Any, list[str]]] = {}
        for record in self.records:
            line = cells.setdefault(tuple(getattr(record, name) for name in labels), {})
            line.setdefault(getattr(record, columns), []).append(_cell(record, digits))
        lines = [
            [*map(_text, values), *(" | ".join(line.get(head, ["-"])) for head in heads)]
            for values, line in cells.items()
        ]
        fixed = [n for n in (*LABELS, "n") if n not in (*labels, columns) and len(self._distinct(n)) == 1]
        caption = "  ".join(f"{n}={v}" for n in fixed if (v := _text(getattr(self.records[0], n))))
        return _Grid(caption, [*labels, *map(_text, heads)], lines, len(labels))

    def to_json(self, path: str | Path) -> Path:
        """Write the records as a flat JSON list, and `meta` next to it as `<stem>_meta.json`.

        Numbers that JSON does not have (NaN, infinity) are written as null. Returns the path.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_rows(), indent=1, allow_nan=False, ensure_ascii=False) + "\n", "utf-8")
        _meta_path(path).write_text(
            json.dumps(self.meta, indent=1, default=_plain_meta, ensure_ascii=False) + "\n", "utf-8"
        )
        return path

    @classmethod
    def from_json(cls, path: str | Path) -> Result:
        """What `to_json` wrote; without the meta file `meta` is empty.

        Raises:
            DataError: the file is no list of records.
        """
        path = Path(path)
        try:
            result = cls.from_rows(read_json(path, list))
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f"{path} is no list of records ({error}); expected JSON as written by Result.to_json"
            ) from error
        meta = _meta_path(path)
        return replace(result, meta=read_json(meta)) if meta.exists() else result

    def to_rows(self) -> list[dict[str, Any]]:
        """The records as dictionaries that JSON can hold; what it has no number for (NaN, infinity) is None."""
        return [{name: _plain(value) for name, value in asdict(record).items()} for record in self.records]

    @classmethod
    def from_rows(cls, rows: Sequence[dict[str, Any]]) -> Result:
        """What `to_rows` gave.

        Raises:
            ValueError, TypeError, KeyError: a row that is no record.
        """
        rows = [{**row, "value": _number(row["value"])} for row in rows]
        for row in rows:
            refuse_misfits(Record, row)
        return cls([Record(**row) for row in rows])

    def _distinct(self, name: str) -> list[Any]:
        return list(dict.fromkeys(getattr(record, name) for record in self.records))

    def _choices(self, names: Sequence[str]) -> str:
        return "; ".join(f"{name}: {', '.join(map(repr, self._distinct(name))) or 'none'}" for name in names)


def _mean_record(family: list[Record], share: float) -> Record:
    if len(family) == 1:
        return family[0]
    seeds = [record.seed for record in family]
    if repeated := [seed for seed in dict.fromkeys(seeds) if seeds.count(seed) > 1]:
        r = family[0]
        raise UsageError(
            f"{r.method}, {r.split}, {r.domain}, {r.direction}, {r.metric} has several records of seed "
            f"{repeated[0]}; select one run with where() or give each run its seed"
        )
    values = [record.value for record in family]
    lows = [record.low for record in family if record.low is not None]
    highs = [record.high for record in family if record.high is not None]
    has_rows = len(lows) == len(highs) == len(family)
    bounds = (0.0, 1.0) if all(0 <= x <= 1 for x in [*values, *lows, *highs]) else ANYWHERE
    mean, low, high = (
        over_seeds(values, lows, highs, share=share, bounds=bounds) if has_rows else seeds_interval(values)
    )
    chances = [record.chance for record in family if record.chance is not None]
    chance = sum(chances) / len(chances) if len(chances) == len(family) else None
    n = min(record.n for record in family)
    return replace(family[0], value=mean, low=low, high=high, chance=chance, n=n, seed=None)


def _cell(record: Record, digits: int) -> str:
    text = f"{record.value:.{digits}f}"
    if record.low is not None and record.high is not None:
        text += f" [{record.low:.{digits}f}, {record.high:.{digits}f}]"
    return text if record.chance is None else f"{text} ({record.chance:.{digits}f})"


def _text(label: object) -> str:
    return "" if label is None else str(label)


def _plain(value: Any) -> Any:
    """A value JSON can hold: numpy numbers become Python's, NaN and infinity None."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain_meta(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _meta_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}_meta.json")
