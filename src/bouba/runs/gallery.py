"""What can be found in a run: its index searched, listed, counted, laid out on a map, and changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

from bouba.runs.kept import Kept

if TYPE_CHECKING:
    import numpy as np

    from bouba.evaluation.doubts import Doubt
    from bouba.evaluation.widths import AtWidth
    from bouba.runs.coordinates import Map
    from bouba.runs.duplicate_groups import DuplicateGroup
    from bouba.runs.facets import Colours, Facet
    from bouba.runs.items import Item, Naming
    from bouba.runs.mining import Mined
    from bouba.runs.wrong_labels import WrongLabel
    from bouba.search import Hits


class Gallery(Kept):
    """The part of a Run that asks its index; see Run."""

    def search(
        self,
        query: Any = None,
        *,
        minus: Any = None,
        like: int | Sequence[int] | None = None,
        k: int = 10,
        where: str | None = None,
        equals: Mapping[str, Any] = MappingProxyType({}),
        filters: Sequence[Mapping[str, Any]] = (),
        view: str | None = None,
        domain: str | None = None,
        sure: float | None = None,
        width: int | None = None,
    ) -> Hits:
        """The k rows of the index that fit a query best, each once; a list, with `remarks` such as "nothing here fits".

        Args:
            query: words; a Path, a PIL picture, an array of pixels or numbers, (samples, rate); an embedding (dim,) of
                this model; several at once by view or kind, {"caption": "red", "picture": path}; or a list of parts
                with signs, [{"text": "red"}, {"file": path, "sign": -1}, {"cell": picture}, {"row": 12}].
            minus: what hits should not fit: a query, the number of a row, or a list of them.
            like: rows of the index that hits should be like, and which are no hits themselves.
            where: an SQL condition over the columns. equals: column -> value it must have.
            filters: each {"column": name, "any": values, None for missing} or {"column": name, "low": a, "high": b}.
            view: search this view's cells alone, directly; whole rows when None. domain: of the query, if known.
            sure: instead of k rows, all of a set that holds the one that was meant with this probability, as 0.9.
            width: compare the first so many numbers of embeddings, cell by cell, without what is known of words and
                scores; for a model that was trained with `Nested`, see `widths`.

        Raises:
            UsageError: no index, no such column, view or row. ModalityError: a kind that the model does not read.
        """
        from bouba.runs.searching import Narrowed, find
        from bouba.search.filters import joined

        narrowed = Narrowed(joined(where, filters), equals, view, domain, width)
        return find(self, [(query, minus, like)], narrowed, k=k, sure=sure)[0]

    def search_many(
        self,
        queries: Sequence[Any],
        *,
        minus: Any = None,
        k: int = 10,
        where: str | None = None,
        equals: Mapping[str, Any] = MappingProxyType({}),
        filters: Sequence[Mapping[str, Any]] = (),
        view: str | None = None,
        domain: str | None = None,
        sure: float | None = None,
        width: int | None = None,
    ) -> list[Hits]:
        """`search` for each of several queries, which are embedded and looked for together: much faster than one by
        one. The arguments go for all of them."""
        from bouba.runs.searching import Narrowed, find
        from bouba.search.filters import joined

        narrowed = Narrowed(joined(where, filters), equals, view, domain, width)
        return find(self, [(query, minus, None) for query in queries], narrowed, k=k, sure=sure)

    def widths(self, table: Any = None, /, *, widths: Sequence[int] | None = None, **named: Any) -> list[AtWidth]:
        """recall@10 of each direction by the first numbers of embeddings: what shorter vectors cost.

        Args:
            table, **named: as in `read`; the rows that were held out when None.
            widths: those of the model's `Nested` terms and the whole when None; halves of the whole without any.

        Raises:
            UsageError: a model whose views share no space, a width that is none, rows that are not known.
        """
        from bouba.runs.widths import widths_of

        return widths_of(self, table, widths, named)

    def suspicious(self, table: Any = None, /, **named: Any) -> list[Doubt]:
        """The rows whose pair may be wrong, the most doubtful first, each judged by models fitted on other rows.

        Args:
            table, **named: as in `read`; the table that the run was made of when None.

        Raises:
            UsageError: that table is not known. DataError: too few rows have a pair.
        """
        from bouba.runs.suspicion import suspicious_of

        return suspicious_of(self, table, named)

    def wrong_labels(self, table: Any = None, /, **named: Any) -> list[WrongLabel]:
        """The labels that are probably wrong, the most doubtful first, of those that the run predicts as classes. Rows
        that it was trained on are judged by a simple predictor fitted on other rows, new rows by the model itself.

        Args:
            table, **named: as in `read`; the table that the run was made of when None.

        Raises:
            UsageError: the run predicts no class, or that table is not known. DataError: no row has a label.
        """
        from bouba.runs.wrong_labels import judged_labels

        return judged_labels(self, table, named).wrong

    def mine(self, *, ask: str | None = None, answer: str | None = None, k: int = 1, margin: float = 0.05) -> Mined:
        """Hard negatives of each row over the whole index: the cells of one view that the model puts nearest to the
        row's cell of another, and that are not its partner. `Mined.views` makes columns of them for ExplicitNegatives.

        Kept out as false negatives: rows of the same key, cells that are equal to the row's own, and cells that are not
        farther than the row's partner by a margin, since these may well be right, and not be written down.

        Args:
            ask, answer: the views of a row's cell and of its negatives; a text answers where nobody says.
            k: how many of each row. margin: in the similarity that the index compares by, 0 or more.

        Raises:
            UsageError: no index, no such view, views that share no space. DataError: fewer than two rows with both.

        Reference: Xiong et al. 2021, ANCE (negatives by the model itself over the whole index); Moreira et al. 2024,
        NV-Retriever, section 4 (none above the positive less a margin).
        """
        from bouba.runs.mining import mine

        return mine(self, ask=ask, answer=answer, k=k, margin=margin)

    def duplicates(self, table: Any = None, /, **named: Any) -> list[DuplicateGroup]:
        """The rows that show the same as another, in groups, the largest first; see `bouba.duplicates`.

        Args:
            table, **named: as in `read`; the table that the run was made of when None.

        Raises:
            UsageError: that table is not known.
        """
        from bouba.runs.duplicate_groups import groups_in
        from bouba.runs.suspicion import views_of

        return groups_in(views_of(self, table, named))

    def filters(self) -> list[str]:
        """The columns that hits are filtered by and shown with, a role under the name that it has in the table."""
        renamed = {role for role, column in (self.schema.roles or {}).items() if column != role}
        return [name for name in self.index.columns if name not in renamed]

    @cached_property
    def naming(self) -> Naming:
        """Which columns of the index say what a row is called: `id`, None where there is none, and `titles`."""
        from bouba.runs.items import naming_of

        return naming_of(self)

    def items(self, rows: Sequence[int]) -> list[Item]:
        """Rows of the index as things to show: id, title, cells of their views, columns; in the order of `rows`.

        Raises:
            UsageError: no index, or no such row.
        """
        from bouba.runs.items import items_of

        return items_of(self, rows)

    def passing(self, where: str | None = None, filters: Sequence[Mapping[str, Any]] = ()) -> np.ndarray:
        """(m,) int64, the rows of the index that fit a condition and all filters; see `search`."""
        from bouba.search.filters import joined

        listing = self.index.listing
        return listing.rows[listing.passing(joined(where, filters))]

    def facets(self, where: str | None = None, filters: Sequence[Mapping[str, Any]] = ()) -> list[Facet]:
        """How many rows have which value, or a number in which range, of each column of few values or of numbers, among
        the rows that fit a condition and the filters of all other columns; see `search`.

        Raises:
            UsageError: no index, no such column, a condition that is none.
        """
        from bouba.runs.facets import facets_of

        return facets_of(self, where, filters)

    def colours(self, column: str) -> Colours:
        """A column as a code a row of the map.

        Raises:
            UsageError: no such column, or one of too many different texts; `colourable` lists those that can be had.
        """
        from bouba.runs.facets import colours_of

        return colours_of(self, column)

    def colourable(self) -> list[str]:
        """The columns that `colours` takes."""
        from bouba.runs.facets import colourable

        return colourable(self)

    @cached_property
    def maps(self) -> dict[str, Map]:
        """Version of the index -> its map, of one that is at hand."""
        return {}

    @overload
    def map(self, progress: Callable[[float], None] | None = None) -> Map: ...
    @overload
    def map(self, progress: Callable[[float], None] | None = None, *, compute: bool) -> Map | None: ...
    def map(self, progress: Callable[[float], None] | None = None, *, compute: bool = True) -> Map | None:
        """A point a row of the index, x and y in [0, 1]: near each other where rows are alike; see
        `bouba.runs.coordinates`. It is kept in the run folder, and made again where the index has changed.

        Args:
            progress: takes the share that is done. compute: make it where none is kept; else None.
        """
        from bouba.runs.coordinates import map_of

        return map_of(self, progress, compute)
