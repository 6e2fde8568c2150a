"""Rows of tables into the index of a run, and out of it: what the index holds already is not encoded again.

Blocks that are embedded stand in `index.part` of the run until all are in the index, which changes in one step.
"""

from __future__ import annotations

import shutil
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from bouba.errors import DataError, UsageError, nearest
from bouba.runs.block_files import bad_rows_of, embedded_blocks, keeping_blocks
from bouba.runs.blocks import Embedder
from bouba.runs.engines.engine import refuse_engine
from bouba.runs.folder import part_of
from bouba.runs.incoming import Incoming, named_rows
from bouba.runs.indexing import FUSED, cells_of, found_as_rows
from bouba.runs.known import is_found_whole
from bouba.runs.lock import locked
from bouba.runs.processes import Processes, process_count
from bouba.runs.spooled import Chosen, spooled
from bouba.towers.content import digest

if TYPE_CHECKING:
    from bouba.search import Index

INDEX = "index"


@dataclass(frozen=True)
class Added:
    """What became of the rows of a table.

    Args:
        added, replaced, unchanged, removed: rows of the index. rows: that it has now. version: of the index.
        bad_rows: cells and rows that could not be read. remarks: what a person should know, in sentences.
    """

    added: int
    replaced: int
    unchanged: int
    removed: int
    rows: int
    version: int
    bad_rows: Sequence[Mapping[str, Any]] = ()
    remarks: Sequence[str] = ()


@dataclass(frozen=True)
class Difference:
    """Rows of tables compared with rows of an index.

    Args:
        fresh: (m,) places of the rows that the index has not so. numbers: (m,) of the rows they replace, -1 for new
            ones. same: numbers of the rows that the index has already, one for each other row.
    """

    fresh: np.ndarray
    numbers: np.ndarray
    same: list[int]

    @property
    def matched(self) -> set[int]:
        """Rows of the index that the tables have, as they are or otherwise."""
        return {*self.same, *self.numbers[self.numbers >= 0].tolist()}


def difference(
    contents: Sequence[bytes],
    held: Mapping[int, bytes | None],
    ids: Sequence[Any] | None = None,
    held_ids: Mapping[Any, int] | None = None,
) -> Difference:
    """Rows that are equal pair off one by one; so two copies of a row are two rows.

    Args:
        contents: n digests. held: row of the index -> its digest.
        ids: n names of rows, None for one without. held_ids: name -> row of the index, which a row of that name is or
            replaces.
    """
    by_content: dict[bytes | None, deque[int]] = defaultdict(deque)
    for number, content in held.items():
        by_content[content].append(number)
    fresh, numbers, same = [], [], []
    for place, content in enumerate(contents):
        row: int | None
        own = None if ids is None or held_ids is None else ids[place]
        if own is None:
            row = by_content[content].popleft() if by_content[content] else None
            unchanged = row is not None
        else:
            row = (held_ids or {}).get(own)
            unchanged = row is not None and held.get(row) == content
        if unchanged and row is not None:
            same.append(row)
        else:
            fresh.append(place)
            numbers.append(-1 if row is None else row)
    return Difference(np.array(fresh, int), np.array(numbers, int), same)


def add(
    run: Any,
    table: Any,
    *,
    remove: Any,
    sync: bool,
    id: str | None,
    named: Mapping[str, Any],
    engine: str,
    workers: int | None,
    say: Callable[[str], None],
) -> Added:
    """See Run.add."""
    refuse_engine(engine, workers)
    if process_count() > 1:
        raise UsageError("an index is written by one process; leave torchrun out, or say --engine ray")
    if table is None and (sync or remove is None):
        raise UsageError("name a table of rows: bouba embed RUN TABLE, or --remove TABLE")
    if not run.model.searchable:
        raise UsageError(f"this {type(run.model).__name__} has no embeddings; fit a method that aligns or fuses views")
    with keeping_blocks(run.path), changing(run, say) as index:
        held = index.contents()
        if not held:
            raise UsageError(f"the index of {run.path} is of an earlier bouba, which noted no contents; fit it again")
        column = _id_column(run, index, id)
        leaving = _leaving(run, index, held, remove, column, named)
        held = {row: content for row, content in held.items() if row not in leaving}
        incoming = None if table is None else Incoming.of(run, index, table, named)
        if incoming is None:
            return _removed(index, leaving)
        ids, held_ids, remarks = _names(index, incoming, held, column, strict=id is not None)
        found = difference(incoming.contents, held, ids, held_ids)
        gone = leaving | (held.keys() - found.matched if sync else set())
        say(f"embed: {len(found.same):,} of {len(incoming):,} rows are in the index already")
        write = _Writing(run, index, incoming, found, gone, [*incoming.remarks, *remarks])
        return write.done(engine=engine, workers=workers, say=say)


@contextmanager
def changing(run: Any, say: Callable[[str], None]) -> Iterator[Index]:
    """The last version of a run's index, while no other process changes it; afterwards it is the run's."""
    from bouba.search import Index

    place = run.path.resolve()
    with locked(place, say):
        index = run._place.read(lambda at: Index.open(at / INDEX))
        yield index
        run.index = index


def _id_column(run: Any, index: Index, id: str | None) -> str | None:
    """The column that names rows: the one a person named, else what its rows are shown by; None where no column has a
    value of its own in every row."""
    if id is None:
        name = run.naming.id
        return name if name is not None and index.listing.is_distinct(name) else None
    if id not in index.columns:
        raise UsageError(f"the index has no column {id!r}{nearest(id, index.columns)}; --id names one of them")
    if not index.listing.is_distinct(id):
        raise UsageError(f"column {id!r} has one value, or none, in several rows of the index; name another --id")
    return id


def _leaving(
    run: Any, index: Index, held: Mapping[int, bytes | None], remove: Any, column: str | None, named: Mapping[str, Any]
) -> set[int]:
    """The rows of the index that a table names."""
    if remove is None:
        return set()
    ids = None if column is None else named_rows(run, index, remove, column)
    if ids is not None and column is not None:
        rows = _rows_by_id(index, column)
        return {rows[own] for own in ids if own in rows}
    incoming = Incoming.of(run, index, remove, named)
    ids, held_ids, _ = _names(index, incoming, held, column, strict=False)
    return difference(incoming.contents, held, ids, held_ids).matched


def _rows_by_id(index: Index, column: str) -> dict[Any, int]:
    named = zip(index.listing.texts(column), index.listing.rows.tolist(), strict=True)
    return {own: row for own, row in named if own is not None}


def _names(
    index: Index, incoming: Incoming, held: Mapping[int, Any], column: str | None, *, strict: bool
) -> tuple[list[Any] | None, dict[Any, int] | None, list[str]]:
    """The names of rows of tables, name -> row of the index, and a remark; None where rows are told apart by what they
    hold alone.

    Args:
        strict: a table without the column, or that has a name twice, is refused.
    """
    if column is None:
        return None, None, []
    ids = incoming.columns.get(column)
    named = [own for own in ids or () if own is not None]
    if ids is None or len(set(named)) < len(named):
        fault = f"the table has no column {column!r}" if ids is None else f"column {column!r} names several rows alike"
        if strict:
            raise DataError(f"{fault}; --id names a column with a value of its own in every row")
        return None, None, [f"{fault}, so rows are told apart by what they hold"]
    rows = {own: row for own, row in _rows_by_id(index, column).items() if row in held}
    return ids, rows, [f"rows are told apart by {column!r}"]


def _removed(index: Index, leaving: set[int]) -> Added:
    if leaving:
        index.remove(sorted(leaving))
    return Added(0, 0, 0, len(leaving), index.rows, index.version)


@dataclass(frozen=True)
class _Writing:
    """A change of an index that is still to be made."""

    run: Any
    index: Index
    incoming: Incoming
    found: Difference
    gone: set[int]
    remarks: list[str]

    def done(self, *, engine: str, workers: int | None, say: Callable[[str], None]) -> Added:
        """Embed what is fresh, and change the index in one step."""
        folder = self.run.path.resolve()
        part = part_of(folder / INDEX)
        found, incoming, remarks = self.found, self.incoming, list(self.remarks)
        bad, numbers = list(incoming.bad_rows), found.numbers
        if len(found.fresh):
            files = self._embedded(part, engine, workers, say)
            bad += incoming.bad_cells(bad_rows_of(files), found.fresh)
            numbers = self._written(files, folder)
            if lost := len(found.numbers) - len(numbers):
                remarks.append(f"{lost:,} rows have no cell that can be read, and were passed over")
        elif self.gone:
            self.index.remove(sorted(self.gone))
        shutil.rmtree(part, ignore_errors=True)
        replaced = int((numbers >= 0).sum())
        counts = (len(numbers) - replaced, replaced, len(found.same), len(self.gone))
        return Added(*counts, self.index.rows, self.index.version, bad, remarks)

    def _embedded(self, part: Path, engine: str, workers: int | None, say: Callable[[str], None]) -> list[Path]:
        """The blocks of what is fresh."""
        incoming, fresh = self.incoming, self.found.fresh
        embedder = Embedder(
            self.run.model, self.run.schema, {}, [incoming.views[fresh].replace(rows=np.arange(len(fresh)))]
        )
        plan = {"contents": digest([incoming.contents[place] for place in fresh.tolist()]).hex()}
        processes = Processes()
        return embedded_blocks(
            self.run, embedder, part, plan, engine=engine, workers=workers, processes=processes, say=say
        )

    def _written(self, files: Sequence[Path], folder: Path) -> np.ndarray:
        """The index with the rows of some blocks: (m,) the numbers of the rows that they replaced, -1 for new ones."""
        model, incoming, index = self.run.model, self.incoming, self.index
        views = incoming.views[self.found.fresh]
        names = (FUSED,) if found_as_rows(model) else tuple(views.columns)
        vectors, present = vectors_of_blocks(files, names, index.dim, folder)
        kept = np.flatnonzero(np.any(list(present.values()), axis=0))
        places, numbers = self.found.fresh[kept], self.found.numbers[kept]
        if len(kept):
            views = incoming.views[places]
            for name in names if FUSED not in names else ():
                column = views.columns[name]
                column.has[column.index[~present[name][kept]]] = False  # broken, maybe in a process before
            known = self.run.known if is_found_whole(model) else None
            cells = cells_of(model, views, {name: Chosen(z, kept) for name, z in vectors.items()}, folder, known)
            index.add(
                **cells,
                columns={name: [values[place] for place in places] for name, values in incoming.columns.items()},
                contents=[incoming.contents[place] for place in places],
                rows=numbers,
                remove=sorted(self.gone),
            )
        elif self.gone:
            index.remove(sorted(self.gone))
        return numbers


def vectors_of_blocks(
    files: Sequence[Path], names: Sequence[str], width: int, folder: Path
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """view -> (n, width) vectors, zeros where a cell is missing, and view -> bool (n,), of the rows of some blocks.

    Args:
        folder: where vectors wait, so that they never all stand in memory.
    """
    present: dict[str, list[np.ndarray]] = {name: [] for name in names}

    def each() -> Iterator[dict[str, np.ndarray]]:
        for file in files:
            table = pq.read_table(file)
            part = {}
            for name in names:
                lists = table[name].combine_chunks() if name in table.column_names else None
                there = np.zeros(len(table), bool) if lists is None else np.asarray(lists.is_valid())
                part[name] = np.zeros((len(table), width), np.float32)
                if lists is not None:
                    part[name][there] = np.asarray(lists.drop_null().flatten()).reshape(-1, width)
                present[name].append(there)
            yield part

    vectors = spooled(each(), folder)
    return dict(vectors), {name: np.concatenate(masks) for name, masks in present.items()}
