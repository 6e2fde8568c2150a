"""Measured numbers as records: one number, where it comes from, its interval and what chance gives."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from bouba.errors import DataError, UsageError, nearest
from bouba.evaluation.intervals import seeds_interval
from bouba.evaluation.table import text_table


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
LABELS = ("method", "split", "domain", "direction", "seed", "metric")


@dataclass(frozen=True)
class Result:
    """Records and what they were computed with; `a + b` lays two results together.

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

    def where(self, **filters: Any) -> Result:
        """The records whose fields equal the filters; a list, tuple or set of values means any of them.

        Raises:
            UsageError: a filter is no field of Record.
        """
        for name in filters:
            if name not in FIELDS:
                raise UsageError(f"a record has no field {name!r}{nearest(name, FIELDS)}")
        many = {k: v if isinstance(v, list | tuple | set | frozenset) else (v,) for k, v in filters.items()}
        chosen = [r for r in self.records if all(getattr(r, k) in v for k, v in many.items())]
        return Result(chosen, self.meta)

    def value(self, **filters: Any) -> Record:
        """The one record that passes the filters.

        Raises:
            UsageError: none does, or several; the message names what there is to choose from.
        """
        found = self.where(**filters)
        if len(found) == 1:
            return found.records[0]
        asked = ", ".join(f"{k}={v!r}" for k, v in filters.items()) or "no filter"
        if len(found) == 0:
            raise UsageError(f"no record has {asked}; there is {self._choices(tuple(filters) or LABELS)}")
        varying = tuple(name for name in LABELS if len(found._distinct(name)) > 1)
        told = f"add one of {found._choices(varying)}" if varying else "they are twins: same labels throughout"
        raise UsageError(f"{len(found)} records have {asked}; {told}")

    def mean_over_seeds(self) -> Result:
        """One record for all seeds of the same method, split, domain, direction and metric.

        value, low and high are the mean and Student interval over seeds (`seeds_interval`), chance is the
        mean of the chances, n the smallest n. A record without siblings is kept as it is, with its seed.

        Raises:
            UsageError: one seed measured the same thing twice.
        """
        families: dict[tuple, list[Record]] = {}
        for record in self.records:
            key = (record.method, record.split, record.domain, record.direction, record.metric)
            families.setdefault(key, []).append(record)
        return Result([_mean_record(family) for family in families.values()], self.meta)

    def format(
        self,
        rows: Sequence[str] = ("method", "split", "domain", "direction", "seed"),
        columns: str = "metric",
        *,
        digits: int = 3,
    ) -> str:
        """A table for the terminal: each cell is `value [low, high] (chance)`.

        Labels that are the same in all records are told once, above. Labels that vary and are neither in
        `rows` nor `columns` become rows too, so no cell hides a record.

        Raises:
            UsageError: a name that is no label of Record.
        """
        for name in (*rows, columns):
            if name not in LABELS:
                raise UsageError(f"{name!r} is no label of a record{nearest(name, LABELS)}")
        if not self.records:
            return "no records"
        varying = [name for name in LABELS if name != columns and len(self._distinct(name)) > 1]
        shown = [name for name in rows if name in varying]
        shown += [name for name in varying if name not in shown]
        shown = shown or [name for name in rows if name != columns][:1] or ["method"]
        heads = self._distinct(columns)
        lines: dict[tuple, dict[Any, list[str]]] = {}
        for record in self.records:
            line = lines.setdefault(tuple(getattr(record, name) for name in shown), {})
            line.setdefault(getattr(record, columns), []).append(_cell(record, digits))
        body = [
            [*map(_text, labels), *(" | ".join(line.get(head, ["-"])) for head in heads)]
            for labels, line in lines.items()
        ]
        fixed = [n for n in (*LABELS, "n") if n not in (*shown, columns) and len(self._distinct(n)) == 1]
        told = "  ".join(f"{n}={v}" for n in fixed if (v := _text(getattr(self.records[0], n))))
        table = text_table([*shown, *map(_text, heads)], body, labels=len(shown))
        return f"{told}\nvalue [low, high] (chance)\n\n{table}".lstrip()

    def to_json(self, path: str | Path) -> Path:
        """Write the records as a flat JSON list, and `meta` beside it as `<stem>_meta.json`.

        Numbers that JSON does not have (NaN, infinity) are written as null. Returns the path.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{name: _plain(value) for name, value in asdict(record).items()} for record in self.records]
        path.write_text(json.dumps(rows, indent=1, allow_nan=False, ensure_ascii=False) + "\n", "utf-8")
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
            rows = json.loads(path.read_text("utf-8"))
            records = [Record(**{**row, "value": _number(row["value"])}) for row in rows]
        except (json.JSONDecodeError, TypeError, KeyError) as error:
            raise DataError(
                f"{path} is no list of records ({error}); expected JSON as written by Result.to_json"
            ) from error
        beside = _meta_path(path)
        return cls(records, json.loads(beside.read_text("utf-8")) if beside.exists() else {})

    def _distinct(self, name: str) -> list[Any]:
        return list(dict.fromkeys(getattr(record, name) for record in self.records))

    def _choices(self, names: Sequence[str]) -> str:
        return "; ".join(f"{name}: {', '.join(map(repr, self._distinct(name))) or 'none'}" for name in names)


def _mean_record(family: list[Record]) -> Record:
    if len(family) == 1:
        return family[0]
    seeds = [record.seed for record in family]
    if twice := [seed for seed in dict.fromkeys(seeds) if seeds.count(seed) > 1]:
        r = family[0]
        raise UsageError(
            f"{r.method}, {r.split}, {r.domain}, {r.direction}, {r.metric} has several records of seed "
            f"{twice[0]}; select one run with where() or give each run its seed"
        )
    mean, low, high = seeds_interval([record.value for record in family])
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
