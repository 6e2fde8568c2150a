"""What each column of a table is used as: named by a person, known from an earlier table, or guessed."""

from __future__ import annotations

import fnmatch
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bouba.data.characters import same_name
from bouba.data.guess import guess, mixed
from bouba.data.kinds import BLOCKS, KINDS
from bouba.data.mapped import VectorCells
from bouba.data.several import KINDS_OF_SEVERAL, SEPARATOR
from bouba.data.table import Table
from bouba.errors import DataError, nearest

log = logging.getLogger("bouba")
USES = (*KINDS, "label", "domain", "key", "group", "ignore")
"""What a column can be named as; columns that are nothing of it are "meta", kept for filters."""
SINGLE = ("domain", "key")  # roles that one column at most is guessed to have
Names = str | int | Iterable[str | int] | None


def listed(names: Names) -> list[str]:
    """One name, several or none, as a list of text; columns that are called by a number have its digits as name."""
    return [] if names is None else [str(names)] if isinstance(names, str | int) else [str(name) for name in names]


@dataclass
class Uses:
    """Column by column.

    Args:
        table: the columns. A column that has two uses (a caption that is its own key) is copied in it.
        of: column -> one of USES, or "meta".
        blocks: column -> the pattern or the view that it is a part of, for columns side by side.
        originals: copied column -> the column that it was copied from.
        split: columns of text whose cells hold several things, see `Several`.
    """

    table: Table
    of: dict[str, str] = field(default_factory=dict)
    blocks: dict[str, str] = field(default_factory=dict)
    originals: dict[str, str] = field(default_factory=dict)
    split: set[str] = field(default_factory=set)

    def name(self, named: Mapping[str, Iterable[str]]) -> None:
        """Use -> columns; patterns of columns for one of BLOCKS or KINDS_OF_SEVERAL, names of which may end in "|".

        Raises:
            DataError: no such column, or one that is named twice.
        """
        for use in USES:
            patterns = []
            for name in named.get(use, ()):
                if use in (*BLOCKS, *KINDS_OF_SEVERAL) and "*" in name and name not in self.table.columns:
                    patterns.append(name)
                elif use in KINDS_OF_SEVERAL and name.endswith(SEPARATOR) and name not in self.table.columns:
                    self._name(use, name.removesuffix(SEPARATOR))
                    self.split.add(same_name(name.removesuffix(SEPARATOR), self.table.columns))
                else:
                    self._name(use, name)
            for pattern in patterns:
                fitting = fnmatch.filter(self.table.columns, pattern)
                if not fitting:
                    raise DataError(f"no column like {pattern!r}{nearest(pattern, self.table.columns)}")
                self.name_block(use, pattern, fitting)

    def name_block(self, kind: str, block: str, columns: Iterable[str]) -> None:
        """Columns that make one view, in their order."""
        for name in columns:
            self._name(kind, name)
            self.blocks[same_name(name, self.table.columns)] = block

    def _name(self, use: str, name: str) -> None:
        name = same_name(name, self.table.columns)
        if name not in self.table.columns:
            raise DataError(f"no column {name!r}{nearest(name, self.table.columns)}")
        before = self.of.get(name)
        if before is None:
            self.of[name] = use
        elif before in KINDS and use not in (*KINDS, "ignore"):  # a caption may be its own key
            copy = f"{name} ({use})"
            self.table.columns[copy] = self.table.columns[name]
            self.of[copy], self.originals[copy] = use, name
        else:
            raise DataError(f"column {name!r} is named as {before} and as {use}; give it one of them")

    def guess_rest(self) -> None:
        """Guess what nobody named; once a kind or role is named, nothing else is guessed to be of it."""
        named = set(self.of.values())
        for place, (name, values) in enumerate(self.table.columns.items()):
            if name not in self.of:
                use = guess(name, values, self.table.kinds, self.table.base, is_first=place == 0)
                second = use in SINGLE and use in self.of.values()
                self.of[name] = use if use == "ignore" or not (second or use in named) else _spare(values)
                self._warn_of_mixed(name, values)

    def _warn_of_mixed(self, name: str, values) -> None:
        """Numbers with a few words among them are words, unless somebody names them."""
        found = mixed(values) if self.of[name] in ("text", "meta", "label") else None
        if found is not None:
            log.warning("column %r: %d of %d cells are numbers, but %s; taken for text, not for numbers", name, *found)

    def keep_rest(self) -> None:
        """Keep what nobody named for filters."""
        self.of |= {name: _spare(values) for name, values in self.table.columns.items() if name not in self.of}

    def columns(self, use: str) -> list[str]:
        """The columns of one use, as they stand in the table."""
        return [name for name in self.table.columns if self.of.get(name) == use]


def _spare(values: Any) -> str:
    """What a column is kept as that has no use: for filters, which read no rows of numbers."""
    return "ignore" if getattr(values, "ndim", 1) > 1 or isinstance(values, VectorCells) else "meta"
