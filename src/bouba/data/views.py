"""Views: columns of modalities over one set of rows, some cells missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bouba.data import characters
from bouba.data.arrays import as_array as as_array
from bouba.data.arrays import column_names, column_values, is_named
from bouba.data.kinds import KINDS, listing
from bouba.data.mapped import OnDisk, Picked
from bouba.data.missing import is_blank
from bouba.data.missing import is_missing as is_missing
from bouba.data.pairing import Pairing, pair, row_values
from bouba.data.several import KINDS_OF_SEVERAL, holds_several, with_several
from bouba.data.vectors import refuse_not_finite, vectors
from bouba.errors import MOST_NAMES, DataError, ModalityError, nearest


@dataclass(frozen=True)
class Column:
    """One modality's cells, decoded only when asked for.

    Args:
        values: anything with `len` and integer indexing: a list, an array, an Arrow column.
        kind: one of KINDS.
        index: int64 (n,), which of the values stand in this column, in order.
        has: bool (len(values),), False where a cell is missing.
        faults: place among the values -> why that cell, which seemed to be there, could not be decoded; it is missing
            since. Shared, as `has` is, by every column that is taken of this one.
    """

    values: Any
    kind: str
    index: np.ndarray
    has: np.ndarray
    faults: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, values, kind: str, has: np.ndarray | None = None) -> Column:
        """All of `values` as a column. Without `has`, missing cells are found by looking at each."""
        if has is None and isinstance(values, np.ndarray) and values.ndim > 1:
            has = np.ones(len(values), bool)
        elif has is None and isinstance(values, OnDisk):
            has = values.has(kind)
        elif has is None:
            gone = is_blank if kind == "table" else is_missing
            has = np.fromiter((not gone(values[i]) for i in range(len(values))), bool, len(values))
        return cls(values, kind, np.arange(len(values)), has)

    @property
    def holds_several(self) -> bool:
        """Whether a cell holds several things, see `Several`."""
        return holds_several(self.values)

    @property
    def present(self) -> np.ndarray:
        """bool (n,), True where the cell is there."""
        return self.has[self.index]

    def take(self, rows) -> Column:
        """The same column over chosen rows; nothing is copied but the index."""
        return Column(self.values, self.kind, self.index[rows], self.has, self.faults)

    def without(self, absent: np.ndarray) -> Column:
        """The same column with the cells where `absent` (n,) is True counted as missing."""
        has = np.zeros(len(self), bool)
        has |= self.present & ~absent
        whole = len(self) == len(self.values) and bool((self.index == np.arange(len(self))).all())
        values = self.values if whole else Picked(self.values, self.index)
        return Column(values, self.kind, np.arange(len(self)), has)

    def lose(self, row: int, reason: str) -> None:
        """Count a cell as missing from now on, because it cannot be decoded."""
        self.has[self.index[row]] = False
        self.faults[int(self.index[row])] = reason

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, row: int):
        cell = self.values[int(self.index[row])]
        return characters.written(cell) if self.kind == "text" and isinstance(cell, str) else cell

    def __iter__(self) -> Iterator:
        return (self[row] for row in range(len(self)))


class Views:
    """Columns of modalities over n rows, with what is known of each row.

    Behaves like a frame whose cells are pictures, sentences or vectors: `views["photo"]` is a column,
    `views[rows]` are Views, `len(views)` counts rows and `views.shape` is (n_rows, n_modalities). That is all
    stock scikit-learn needs to split, cross-validate and search over them.

    Args:
        columns: view -> Column, or view -> values (see `kinds`).
        kinds: view -> kind, for views given as plain values; 2-D number arrays are vectors without being told. Cells
            of a "table" are mappings, name -> number, text or None; one that holds nothing is missing.
        y: label column -> (n,) class names or numbers; missing ones are None or NaN.
        domain: (n,) names of the source each row comes from.
        key: (n,) what the row shows; rows with equal keys are the same thing drawn or said again.
        group: (n,) what must not be split between training and test.
        meta: other columns, (n,) each, kept for filters and display.
        rows: (n,) row numbers in the table the views came from.
        bad_rows: what could not be read: dicts with "row", "column", "value", "reason". Cells that break while they are
            decoded, in training or after it, are added.
        imputed: view -> bool (n,), True where a cell was not observed but filled in (`bouba.transfer.imputation`).
        sources: the columns of the table that stand behind a view, a label or a role ("domain", "key", "group"), in
            their order, where they are not the one column of its name; see `data.schema`.
        row_names: (n,) names of the rows, the index of a frame. None: those of the series and frames among the
            columns, whose rows are paired by them; what is about rows is matched with them too.

    Raises:
        DataError: no column, unequal lengths, an unknown kind, cells that are no vectors, NaN inside a vector.

    >>> import numpy as np
    >>> views = Views({"left": np.eye(3), "right": ["a", "b", None]}, kinds={"right": "text"})
    >>> views.shape, views.modalities, views.present["right"].tolist()
    ((3, 2), {'left': 'vector', 'right': 'text'}, [True, True, False])
    """

    def __init__(
        self,
        columns: Mapping[str, Any],
        *,
        kinds: Mapping[str, str] | None = None,
        y: Mapping[str, Any] | None = None,
        domain=None,
        key=None,
        group=None,
        meta: Mapping[str, Any] | None = None,
        rows=None,
        bad_rows: Sequence[dict] = (),
        imputed: Mapping[str, Any] | None = None,
        sources: Mapping[str, Sequence[str]] | None = None,
        row_names=None,
    ):
        if not columns:
            raise DataError("Views need one column of a modality or more, got none; name one, for example image=...")
        columns, kinds = characters.names(columns), characters.names(kinds or {})
        pairing = pair({name: c for name, c in columns.items() if not isinstance(c, Column)})
        self.columns = {name: _column(name, c, kinds.get(name), pairing) for name, c in columns.items()}
        n = len(next(iter(self.columns.values())))
        self.row_names = pairing.names if row_names is None else row_names
        self.rows = np.arange(n) if rows is None else np.asarray(rows)
        self.y = {name: self._names(name, values) for name, values in characters.names(y or {}).items()}
        self.meta = {
            name: characters.each(row_values(name, values, self.row_names), characters.written)
            for name, values in characters.names(meta or {}).items()
        }
        self.domain = None if domain is None else self._names("domain", domain)
        self.key = None if key is None else self._names("key", key)
        self.group = None if group is None else self._names("group", group)
        self._bad_rows = list(bad_rows)
        masks = characters.names(imputed or {})
        self._imputed = {name: np.asarray(mask, bool) for name, mask in masks.items() if name in self.columns}
        self.sources = {name: names for name, c in columns.items() if (names := column_names(name, c))}
        self.sources |= {
            name: tuple(map(characters.written, origin)) for name, origin in characters.names(sources or {}).items()
        }
        for name, length in self._lengths():
            if length != n:
                raise DataError(f"column {name!r} has {length} rows, the others have {n}; give every column all rows")

    def _names(self, role: str, values) -> np.ndarray:
        """Classes, domains, keys or groups (n,), each text in the form in which it is compared."""
        return characters.each(row_values(role, values, self.row_names))

    def _lengths(self) -> Iterator[tuple[str, int]]:
        """Every column and every array about rows: its name in messages and its length."""
        roles = {"rows": self.rows, "domain": self.domain, "key": self.key, "group": self.group}
        roles["row_names"] = self.row_names
        yield from ((name, len(column)) for name, column in self.columns.items())
        for about in (roles, self.y, self.meta, self._imputed):
            yield from ((name, len(values)) for name, values in about.items() if values is not None)

    @property
    def modalities(self) -> dict[str, str]:
        """view -> kind."""
        return {name: column.kind for name, column in self.columns.items()}

    @property
    def present(self) -> dict[str, np.ndarray]:
        """view -> bool (n,)."""
        return {name: column.present for name, column in self.columns.items()}

    @property
    def bad_rows(self) -> list[dict]:
        """What could not be read, by row."""
        return self._listed(self.columns)

    def _listed(self, names: Iterable[str]) -> list[dict]:
        """What could not be read, and what broke since in some of the columns."""
        late = [
            listing(int(self.rows[row]), name, column[row], column.faults[int(column.index[row])])
            for name, column in self.columns.items()
            if column.faults and name in names
            for row in np.flatnonzero(np.isin(column.index, list(column.faults))).tolist()
        ]
        return sorted(self._bad_rows + late, key=lambda bad: bad["row"]) if late else self._bad_rows

    @property
    def imputed(self) -> dict[str, np.ndarray]:
        """view -> bool (n,), True where the cell is there because it was filled in. A mark stays with its row and view
        through `views[rows]`, `select` and `transform`."""
        nowhere = np.zeros(len(self), bool)
        return {name: self._imputed.get(name, nowhere) & column.present for name, column in self.columns.items()}

    @property
    def domains(self) -> list[str]:
        """Names of the domains, sorted; empty without a domain column."""
        return [] if self.domain is None else sorted({str(d) for d in self.domain if not is_missing(d)})

    @property
    def things(self) -> np.ndarray:
        """What each row shows, as text (n,): its key; a row without one stands for itself."""
        if self.key is None:
            return self.rows.astype(str)
        return np.array([f"row {r}" if is_missing(k) else str(k) for k, r in zip(self.key, self.rows)], dtype=object)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self), len(self.columns)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, what):
        """A column by name, or Views over an integer array, slice, mask or single row; a mask that is a series is
        matched with the names of the rows."""
        if isinstance(what, str):
            if what not in self.columns:
                raise ModalityError(f"no view {what!r}{nearest(what, self.columns)}")
            return self.columns[what]
        if isinstance(what, tuple):  # numpy's way of saying rows, everything: X[rows, ...]
            what = what[0]
        if is_named(what):
            what = row_values("the choice of rows", what, self.row_names if what.dtype == bool else None)
        index = np.atleast_1d(np.arange(len(self))[what])
        picked = lambda values: None if values is None else values[index]  # noqa: E731
        return self.replace(
            columns={name: column.take(index) for name, column in self.columns.items()},
            y={name: values[index] for name, values in self.y.items()},
            meta={name: values[index] for name, values in self.meta.items()},
            domain=picked(self.domain),
            key=picked(self.key),
            group=picked(self.group),
            rows=self.rows[index],
            imputed={name: mask[index] for name, mask in self._imputed.items()},
            row_names=picked(self.row_names),
        )

    def replace(self, **changes) -> Views:
        """A copy with some constructor arguments changed."""
        names = ("columns", "y", "domain", "key", "group", "meta", "rows", "imputed", "sources", "row_names")
        kept = [
            id(column.faults) for column in changes.get("columns", self.columns).values() if isinstance(column, Column)
        ]
        lost = [name for name, column in self.columns.items() if id(column.faults) not in kept]
        same = {name: getattr(self, name) for name in names} | {"bad_rows": self._listed(lost)}
        return Views(**same | changes)

    def select(self, *names: str) -> Views:
        """The same rows with only the named views."""
        return self.replace(columns={name: self[name] for name in names})

    def observed(self) -> Views:
        """The same rows without the cells that were imputed."""
        marked = {name: marks for name, marks in self.imputed.items() if marks.any()}
        columns = {
            name: column.without(marked[name]) if name in marked else column for name, column in self.columns.items()
        }
        return self.replace(columns=columns) if marked else self

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        """(n, sum of widths): vector views side by side, so that a scikit-learn step may follow `transform`.

        Raises:
            DataError: a view that is no vector, or a missing cell: nothing is filled in silence.
        """
        for name, column in self.columns.items():
            if column.kind != "vector":
                raise DataError(
                    f"view {name!r} is {column.kind}; only vectors make an array: transform it, or select others"
                )
            if not column.present.all():
                absent = int((~column.present).sum())
                raise DataError(
                    f"view {name!r} lacks {absent} of {len(self)} cells; choose rows or views that are complete"
                )
        return np.hstack([np.stack(list(column)) for column in self.columns.values()]).astype(dtype or float)

    def __repr__(self) -> str:
        shown = list(self.columns)[:MOST_NAMES]
        imputed = self.imputed
        cells = ", ".join(f"{name[:80]}: {self[name].kind}{self._not_observed(name, imputed[name])}" for name in shown)
        cells += f", and {len(self.columns) - len(shown):,} more" if len(self.columns) > len(shown) else ""
        roles = [f"y={list(self.y)}"] if self.y else []
        roles += [f"domains={self.domains}"] if self.domain is not None else []
        roles += [f"{role}=..." for role in ("key", "group") if getattr(self, role) is not None]
        return f"Views({len(self)} rows, {{{cells}}}{''.join(', ' + role for role in roles)})"

    def _not_observed(self, name: str, imputed: np.ndarray) -> str:
        """' (2 missing, 3 imputed)', as far as it applies."""
        counts = {"missing": int((~self[name].present).sum()), "imputed": int(imputed.sum())}
        listed = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        return f" ({listed})" if listed else ""


def _column(name: str, values, kind: str | None, pairing: Pairing) -> Column:
    if isinstance(values, Column):
        return values
    values = pairing.cells(name, column_values(name, values))
    if kind is None and isinstance(values, list) and all(isinstance(v, np.ndarray) or v is None for v in values):
        kind = "vector"  # an array of which rows are masked, or not there
    numeric = isinstance(values, np.ndarray) and values.ndim == 2 and values.dtype.kind in "fiub"
    kind = kind or ("vector" if numeric else None)
    if kind not in KINDS:
        raise DataError(f"view {name!r} is of kind {kind!r}; say kinds={{{name!r}: one of {', '.join(KINDS)}}}")
    if kind == "vector":
        has = None if numeric else np.array([not is_missing(v) for v in values], bool)
        values = vectors(name, values, has)
        refuse_not_finite(name, values)
        return Column.of(values, kind, has)
    if kind in KINDS_OF_SEVERAL and isinstance(values, list | np.ndarray):
        values = with_several(kind, values)
    column = Column.of(values, kind)
    if kind == "table":
        refuse_no_rows(name, column)
    return column


def refuse_no_rows(name: str, column: Column) -> None:
    """DataError naming the view and the first row whose cell is no mapping of numbers and texts."""
    for row in np.flatnonzero(column.present).tolist():
        cell = column[row]
        if not isinstance(cell, Mapping):
            raise DataError(f"view {name!r} holds no row of a table in row {row}, but {cell!r:.40}; give a mapping")
        for key, value in cell.items():
            if not (is_missing(value) or isinstance(value, str | int | float | np.number | np.bool_)):
                raise DataError(f"view {name!r} holds {value!r:.40} as {key!r} in row {row}; give a number or text")
            if isinstance(value, float | np.floating) and np.isinf(value):
                raise DataError(f"view {name!r} holds infinity as {key!r} in row {row}; give a finite number or None")
