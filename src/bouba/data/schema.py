"""What the columns of a table were taken for, so that another table is read in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bouba.data.several import SEPARATOR
from bouba.data.views import Column, Views
from bouba.errors import DataError

ROLES = ("domain", "key", "group")


@dataclass(frozen=True)
class Schema:
    """Views without their rows.

    Args:
        kinds: view -> kind.
        columns: view -> the columns it is made of, in order. A view that is not in it is the one column of its name; an
            empty tuple stands for all columns of single numbers, a pattern ("left_*") for the columns that fit it.
        widths: view of vectors -> how many numbers a cell holds; {} where nobody knows.
        labels: columns of labels. roles: "domain", "key" and "group" -> column. None for both: guess them.

    >>> import numpy as np
    >>> schema = Schema.of(Views({"numbers": np.eye(2)}, domain=["a", "b"], sources={"numbers": ("x", "y")}))
    >>> schema.columns, schema.widths, schema.roles
    ({'numbers': ('x', 'y')}, {'numbers': 2}, {'domain': 'domain'})
    """

    kinds: Mapping[str, str]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    widths: Mapping[str, int] = field(default_factory=dict)
    labels: tuple[str, ...] | None = None
    roles: Mapping[str, str] | None = None

    @classmethod
    def of(cls, views: Views) -> Schema:
        """What was understood of the table that views came from."""
        sources = views.sources
        return cls(
            dict(views.modalities),
            {view: sources[view] for view in views.columns if view in sources},
            {view: width for view, column in views.columns.items() if (width := _width(column))},
            tuple(sources.get(label, (label,))[0] for label in views.y),
            {role: sources.get(role, (role,))[0] for role in ROLES if getattr(views, role) is not None},
        )

    @property
    def names(self) -> list[str]:
        """Every column that it names; patterns are left out."""
        behind = [
            view if name == f"{view}{SEPARATOR}" else name
            for view in self.kinds
            for name in self.columns_of(view)
            if "*" not in name
        ]
        return list(dict.fromkeys([*behind, *(self.labels or ()), *(self.roles or {}).values()]))

    def columns_of(self, view: str) -> tuple[str, ...]:
        """The columns behind a view."""
        return self.columns.get(view, (view,))

    def select(self, views: Mapping[str, Any]) -> Schema:
        """The same for some of the views."""
        kinds = {view: kind for view, kind in self.kinds.items() if view in views}
        columns = {view: names for view, names in self.columns.items() if view in views}
        return replace(self, kinds=kinds, columns=columns)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            "kinds": dict(self.kinds),
            "columns": {view: list(names) for view, names in self.columns.items()},
            "widths": dict(self.widths),
            "labels": None if self.labels is None else list(self.labels),
            "roles": None if self.roles is None else dict(self.roles),
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Schema:
        """The inverse of `to_dict`. DataError for what it did not write."""
        try:
            columns = {view: tuple(names) for view, names in facts["columns"].items()}
            labels = None if facts["labels"] is None else tuple(facts["labels"])
            kinds, widths = dict(facts["kinds"]), dict(facts.get("widths", {}))
            roles = None if facts["roles"] is None else dict(facts["roles"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"the schema of the run is damaged ({error}); fit the table anew") from error
        return cls(kinds, columns, widths, labels, roles)


def _width(column: Column) -> int:
    """How many numbers a cell of a column of vectors holds; 0 for other kinds and where no cell is present."""
    if column.kind != "vector" or not column.present.any():
        return 0
    return len(column[int(column.present.argmax())])
