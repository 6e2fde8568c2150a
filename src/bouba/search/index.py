"""The search index: every present cell of every view, found by similarity, narrowed by metadata."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bouba.errors import UsageError, nearest, require
from bouba.search import approximate, grow, store, versions
from bouba.search.cells import CONTENT, EXTRA, Numbers, check
from bouba.search.columns import describe
from bouba.search.query import (
    METRIC,
    Filter,
    Source,
    as_queries,
    nearest_hits,
    nearest_rows,
    shown_of,
    stored_vectors,
    values_of,
)
from bouba.search.query import Hit as Hit
from bouba.search.stated import Stated
from bouba.search.store import Version as Version

if TYPE_CHECKING:
    from bouba.search.listing import Listing

Similarity = Literal["cosine", "dot", "euclidean"]


class Index(Stated):
    """Embeddings on disk, searched exactly: recall is 1 and a filter narrows before the top k is taken.

    A search is one product over a matrix that is mapped into memory: a million cells of 128 numbers take some 50 ms,
    a fifth of that where torch is loaded. LanceDB holds the table and finds what passes a filter; nothing leaves the
    machine. Tens of millions of cells are worth `build_ann` and `exact=False`, which trade recall for speed.

    Example:
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> z = np.eye(3)
        >>> index = Index.create(folder, {"image": z, "text": z}, columns={"kind": ["bird", "bird", "cat"]})
        >>> [(hit.row, hit.score) for hit in index.search(z[2], k=2, view="image", equals={"kind": "bird"})]
        [(0, 0.0), (1, 0.0)]
    """

    def __init__(self, path: Path, state: store.State, table: Any = None) -> None:
        """Use `Index.create` or `Index.open`."""
        self._path = path
        self._source = Source(path, state, table)
        self._listed: tuple[Source, Listing] | None = None

    @property
    def _table(self) -> Any:
        return self._source.table

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        embeddings: Mapping[str, Numbers],
        *,
        present: Mapping[str, np.ndarray] | None = None,
        similarity: Similarity = "cosine",
        columns: Mapping[str, Sequence[object]] = {},
        paths: Mapping[str, Sequence[str | None]] = {},
        rows: np.ndarray | None = None,
        offsets: Mapping[str, Numbers] = {},
        shown: Mapping[str, Sequence[bytes | None]] = {},
        contents: Sequence[bytes] | None = None,
    ) -> "Index":
        """Write an index; one that is already at `path` stays readable until the new one is complete.

        Args:
            path: a folder, made if missing.
            embeddings: view -> (n, d) finite numbers, stored as float32: an array, or whatever rows are cut out of by a
                slice, as np.memmap; they are read some rows at a time.
            present: view -> bool (n,); absent cells are not stored. A view without a mask is all present.
            similarity: "cosine" in [-1, 1], "dot", or "euclidean" (minus the distance).
            columns: name -> n values: str, int, float, bool or None (NaN is None); others become str.
            paths: view -> the file behind each row, returned with a hit.
            rows: (n,) the caller's row numbers, each once, -1 for the next one that is free; 0 ... n-1 when left out.
            offsets: view -> (n, m) numbers that a search may weigh and take off the score, such as how near a cell is
                to every question; zeros in a view that has none.
            shown: view -> n small files, WebP or OGG, that a page shows of cells with no file behind them, None for
                those that need none; they are cut out some rows at a time and read by `Index.shown` alone.
            contents: n digests, of what each row holds.

        Raises:
            UsageError: shapes that disagree. DataError: NaN in a present cell, or a folder of other files.
        """
        require("lancedb", "search")
        if similarity not in METRIC:
            raise UsageError(f"no similarity {similarity!r}{nearest(str(similarity), METRIC)}")
        checked = check(embeddings, present, columns, paths, rows, offsets=offsets, shown=shown, contents=contents)
        described = describe(columns)
        if offsets and similarity == "euclidean":
            raise UsageError("offsets are taken off a product; similarity must be cosine or dot")
        if not checked.cells:
            raise UsageError("every cell is absent, so there is nothing to index; check present=")
        path = Path(path)
        store.refuse_other_files(path)
        with store.writing(path):
            state = store.State(
                table=store.new_name(),
                version=0,
                similarity=similarity,
                dim=checked.width,
                views=tuple(checked.embeddings),
                columns=described,
                cells=checked.cells,
                next_row=checked.after(0),
                number=store.next_number(path),
                offsets=checked.offset_width,
                extra=tuple(EXTRA),
            )
            try:
                state, table = grow.write(path, state, checked)
            except BaseException:
                store.drop_table(path, state.table)
                raise
            store.drop_others(path, state.table)
        return cls(path, state, table)

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, version: int | None = None) -> "Index":
        """An index that was written before.

        Args:
            version: one of `versions()`; the last one when None.

        Raises:
            DataError: there is none at `path`, or its table is gone. UsageError: no such version.
        """
        path = Path(path)
        state = store.opened(path)
        if version is not None and version != state.number:
            return cls(path, versions.state_of(state, version))
        while True:
            index = cls(path, state)
            before, state = state, store.opened(path)
            if (state.table, state.version) == (before.table, before.version):
                return index  # its files were there when they were opened

    def search(
        self,
        vector: np.ndarray,
        *,
        k: int = 10,
        view: str | None = None,
        where: str | None = None,
        equals: Mapping[str, object] = {},
        exact: bool = True,
        weights: np.ndarray | None = None,
        width: int | None = None,
        refine: int | None = None,
    ) -> list[Hit]:
        """The k cells most similar to `vector` among those that pass every filter, best first.

        Equal scores come in order of row number, then view, so the answer is always the same.

        Args:
            vector: (d,), from the model that made the index.
            k: how many; the whole index if it holds fewer.
            view: cells of this view only.
            where: a condition over the metadata columns, such as "year > 1999 AND kind LIKE 'b%'"; see
                `bouba.search.where.condition` for what it may hold. A name that is no plain word stands in backticks.
            equals: column -> the value it must have, None for missing; safe with any text.
                Both compare texts in one form: letters composed, full width as ordinary width, unseen marks left out.
            exact: False uses the approximate index of `build_ann`.
            weights: (m,) of the offsets: weights @ offsets is taken off each score before the k best are chosen.
            width: compare the first so many numbers of vectors, without offsets; see `bouba.terms.Nested`.
            refine: score only the refine * k cells whose numbers agree in sign with most of the vector's: a 32nd of the
                bytes is read, and `refined_recall` tells what is missed. None looks at all.

        Raises:
            UsageError: another width, NaN, k < 1, an unknown view or column, a condition that is not SQL.
        """
        queries = as_queries(self._state, vector, ndim=1, weights=weights)
        filters = Filter(view, where, equals)
        return nearest_hits(self._source, queries, k=k, exact=exact, filters=filters, width=width, refine=refine)[0]

    def search_many(
        self,
        vectors: np.ndarray,
        *,
        k: int = 10,
        view: str | None = None,
        where: str | None = None,
        equals: Mapping[str, object] = {},
        exact: bool = True,
        weights: np.ndarray | None = None,
        width: int | None = None,
        refine: int | None = None,
    ) -> list[list[Hit]]:
        """`search` for each of vectors (q, d), with weights (q, m): q lists of hits."""
        queries = as_queries(self._state, vectors, ndim=2, weights=weights)
        filters = Filter(view, where, equals)
        return nearest_hits(self._source, queries, k=k, exact=exact, filters=filters, width=width, refine=refine)

    def refined_recall(self, refine: int) -> float:
        """Share of the ten nearest cells that `search(..., refine=refine)` finds, measured with stored cells as
        questions to the next view."""
        return approximate.refined_recall(self._source, refine)

    def neighbours(self, vectors: np.ndarray, *, k: int, view: str) -> tuple[np.ndarray, np.ndarray]:
        """Rows (q, k) and scores (q, k) of the k nearest cells of a view to each of vectors (q, d), best first: what
        `search_many` finds without what hits show, for many queries; -1 and -inf where there are fewer."""
        if k < 1 or view not in self.views:
            raise UsageError(f"neighbours are 1 or more, of {', '.join(self.views)}; got k={k} and view={view!r:.60}")
        return nearest_rows(self._source, as_queries(self._state, vectors, ndim=2), k, view)

    def vectors(self, rows: Sequence[int], *, view: str) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Row -> its vector (d,) as it is stored, and its offsets (m,); no entry for a row without that view."""
        return stored_vectors(self._source, rows, view)

    def shown(self, row: int, view: str) -> bytes | None:
        """The small file, WebP or OGG, that a page shows of a cell; None for one that has its own file, and where there
        is no such cell.

        Raises:
            DataError: this version was compacted away since it was opened.
        """
        return shown_of(self._source, row, view)

    def contents(self) -> dict[int, bytes | None]:
        """Row -> the digest of what it holds, None where that was not given; see `create`."""
        return values_of(self._source, CONTENT) if CONTENT in self._state.extra else {}

    def add(
        self,
        embeddings: Mapping[str, Numbers],
        *,
        present: Mapping[str, np.ndarray] | None = None,
        columns: Mapping[str, Sequence[object]] = {},
        paths: Mapping[str, Sequence[str | None]] = {},
        rows: np.ndarray | None = None,
        offsets: Mapping[str, Numbers] = {},
        shown: Mapping[str, Sequence[bytes | None]] = {},
        contents: Sequence[bytes] | None = None,
        remove: Sequence[int] | np.ndarray = (),
    ) -> None:
        """Append rows, in one step for readers; a row number that the index has already is replaced, all its
        views with it. Arguments as in `create`; `rows` goes on after the largest number when left out,
        and a column that is left out is None. A new view is welcome, a new column is refused.

        Args:
            remove: rows that leave in the same step; numbers that the index has not are passed over.
        """
        given = {"columns": columns, "paths": paths, "offsets": offsets, "shown": shown, "contents": contents}
        with store.writing(self._path):
            state, table = self._reloaded()
            checked = check(embeddings, present, rows=rows, next_row=state.next_row, **given)  # type: ignore[arg-type]
            self._change(lambda: grow.add_rows(self._path, table, state, checked, self._there(remove)))

    def remove(self, rows: Sequence[int] | np.ndarray) -> None:
        """Take rows out, in one step for readers; numbers that the index has not are passed over.

        Raises:
            UsageError: nothing would be left.
        """
        with store.writing(self._path):
            state, table = self._reloaded()
            self._change(lambda: grow.add_rows(self._path, table, state, None, self._there(rows)))

    def _there(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Those of some rows that the index has."""
        return np.intersect1d(np.asarray(rows, np.int64), self.listing.rows) if len(rows) else np.zeros(0, np.int64)

    def _change(self, write: Callable[[], store.State]) -> None:
        """Let a change of the table be what this index reads, and small files be merged."""
        table = self._table
        state = write()
        self._source = Source(self._path, state, table)
        self._source = Source(self._path, grow.merge_files(self._path, table, state), table)

    def versions(self) -> list[Version]:
        """What can be restored, the oldest first; the last is what this index holds."""
        return versions.listed(self._state)

    def restore(self, number: int) -> None:
        """Make an earlier version the next one, in one step for readers.

        Raises:
            UsageError: no such version, or one that was compacted away.
        """
        with store.writing(self._path):
            state, table = self._reloaded()
            self._change(lambda: versions.restore(self._path, table, state, number))

    def compact(self) -> int:
        """Let all earlier versions go; readers that have one of them open must open the index again.

        Returns:
            Bytes of disk that were freed.
        """
        with store.writing(self._path):
            before = versions.bytes_on_disk(self._path)
            state, table = self._reloaded()
            self._source = Source(self._path, versions.compact(self._path, table, state), table)
            store.drop_others(self._path, state.table)
            return before - versions.bytes_on_disk(self._path)

    def build_ann(
        self,
        *,
        within: float = 0.5,
        recall: float = 0.95,
        partitions: int | None = None,
        probes: int | None = None,
    ) -> float | None:
        """Add an approximate index (IVF-SQ) for `exact=False`, where an exact search takes long: tens of millions of
        cells. One that is there is replaced.

        A search scores the cells of `probes` out of `partitions` clusters from 8-bit codes, then the best ten times k
        again with their full vectors.

        Args:
            within: seconds that an exact search may take; where it takes no longer, nothing is built.
            recall: share of the ten nearest cells that is to be found, measured with stored cells as questions to the
                next view; as many clusters are looked into as that takes.
            partitions: clusters; the square root of the number of cells when left out.
            probes: clusters a search looks into, instead of `recall`.

        Returns:
            The recall that was measured, also `index.recall`; None where nothing was built.

        Reference: Jegou, Douze, Schmid, Product quantization for nearest neighbor search, TPAMI 2011, section IV
            (inverted lists; here with scalar codes).
        """
        with store.writing(self._path):
            self._reloaded()
            if within > 0 and approximate.exact_seconds(self._source) <= within:
                return None
            state = approximate.built(self._source, recall=recall, partitions=partitions, probes=probes)
            self._source = Source(self._path, state, self._source.table)
        return state.recall

    @property
    def listing(self) -> "Listing":
        """The rows by their numbers, with their columns; of one version of the index, and remembered."""
        from bouba.search.listing import Listing

        if self._listed is None or self._listed[0] is not self._source:
            self._listed = self._source, Listing(self._source)
        return self._listed[1]

    @property
    def rows(self) -> int:
        """Rows that have a cell."""
        return len(self.listing.rows) if self._state.rows is None else self._state.rows

    def __repr__(self) -> str:
        views = ", ".join(self.views)
        ann = "" if self.recall is None else f"; exact=False finds {self.recall:.0%} of the ten nearest"
        return f"Index({str(self._path)!r}: {len(self)} cells of {views}; {self.dim} wide, {self.similarity}{ann})"

    def _reloaded(self) -> tuple[store.State, Any]:
        """What is committed now, to start a change from: another process may have written since."""
        state = store.opened(self._path)
        self._source = Source(self._path, state)
        return state, self._source.table
