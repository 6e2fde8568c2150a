"""How the index of a run changes: rows that come and go, versions, what it holds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bouba.runs.kept import Kept

if TYPE_CHECKING:
    from bouba.runs.adding import Added
    from bouba.runs.holding import Holding

log = logging.getLogger("bouba")


class Growing(Kept):
    """The part of a Run that changes its index; see Run."""

    def add(
        self,
        table: Any = None,
        /,
        *,
        remove: Any = None,
        sync: bool = False,
        id: str | None = None,
        engine: str = "local",
        workers: int | None = None,
        say: Callable[[str], None] | None = None,
        **named: Any,
    ) -> Added:
        """Put the rows of a table into the index, in one step for readers. Rows that it holds already, with the same
        cells and columns, are not encoded again; one of a known name and another content is replaced. The same call
        goes on where one was cut off.

        A view that the table lacks is missing in its rows; a column that the index lacks is left out, which `remarks`
        say; a value that a column of the index cannot hold counts as missing and is among `bad_rows`.

        Args:
            table, **named: as in `embed`; None where rows only leave.
            remove: a table of rows that leave, by name or content; one of names alone will do.
            sync: rows of the index that the table lacks leave, too.
            id: the column that names rows, with a value of its own in each. None: the one that `naming` chose, if all
                its values differ; else rows are told apart by what they hold.
            engine, workers: as in `embed`. say: takes sentences on how far it has come.

        Raises:
            UsageError: no table, no such column, another process writes the run. DataError: a table that cannot be
            read, names that are not distinct. Stopped, StorageError: it was interrupted, or the machine could not
            write.
        """
        from bouba.runs.adding import add

        options: dict[str, Any] = {"remove": remove, "sync": sync, "id": id, "engine": engine, "workers": workers}
        return add(self, table, named=named, say=say or log.info, **options)

    def holding(self) -> Holding:
        """How many rows, cells, versions and bytes the index has, and its columns. UsageError without an index."""
        from bouba.runs.holding import holding_of

        return holding_of(self)

    def restore(self, version: int) -> None:
        """Make an earlier version of the index, one of `index.versions()`, the next one, in one step for readers.

        Raises:
            UsageError: no such version, or another process writes the run.
        """
        from bouba.runs.adding import changing

        with changing(self, log.info) as index:
            index.restore(version)

    def compact(self) -> int:
        """Let the earlier versions of the index go, and give the bytes that this frees. Who reads one of them must open
        the run again. UsageError where another process writes the run."""
        from bouba.runs.adding import changing

        with changing(self, log.info) as index:
            return index.compact()
