"""How a run goes on: rows that come and go, versions of its index, and a place that it is adapted to."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bouba.runs.kept import Kept

if TYPE_CHECKING:
    from bouba.runs.adapting import Adapted
    from bouba.runs.adding import Added
    from bouba.runs.holding import Holding

log = logging.getLogger("bouba")


class Growing(Kept):
    """The part of a Run by which it goes on; see Run."""

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

    def adapt(
        self,
        table: Any,
        /,
        *,
        out: str | os.PathLike[str],
        epochs: int = 10,
        lr: float = 5e-4,
        batch_size: int | None = None,
        random_state: int = 0,
        say: Callable[[str], None] | None = None,
        **named: Any,
    ) -> Adapted:
        """Write a run whose towers suit new rows without labels, from the model and these rows alone: source-free, see
        `bouba.adapt.source_free`. Its index holds the new rows; it has no numbers until `evaluate` is given labels.

        Args:
            table, **named: as in `read`; labels in it are not read. out: the folder of the new run.
            epochs, lr, batch_size: of training on them. random_state: of their order. say: takes sentences.

        Raises:
            UsageError: a model that predicts no class, or `out` is taken. DataError: fewer than 16 rows.
        """
        from bouba.runs.adapting import adapt

        options: dict[str, Any] = {"epochs": epochs, "lr": lr, "batch_size": batch_size, "random_state": random_state}
        return adapt(self, table, Path(out), named=named, say=say or log.info, **options)

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
