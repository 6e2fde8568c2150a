"""Rows of a table that show the same: in a picture, a text, a sound, a clip or numbers that say which row it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from bouba.data import decode, scratch
from bouba.data.duplicates.frames import Frames
from bouba.data.duplicates.nearest import linked
from bouba.data.duplicates.numbers import equal_records, equal_vectors
from bouba.data.duplicates.pictures import near_pictures
from bouba.data.duplicates.sounds import near_sounds, recordings
from bouba.data.duplicates.texts import near_texts, normalised
from bouba.data.sparse import SparseRows
from bouba.data.video import video
from bouba.data.views import Column, Views

if TYPE_CHECKING:
    from PIL.Image import Image

EQUAL, ALIKE, MIRRORED = "equal", "alike", "mirrored"
CLIP = 4  # pictures of a clip that are compared
Links = Mapping[str, np.ndarray]
"""Why -> pairs of rows (m, 2). Of many equal rows each is linked with the first."""


@dataclass(frozen=True)
class Pair:
    """Two rows of which one view shows the same.

    Args:
        view: of the cells. rows: where the two stand among the views. why: "equal", the same pixels, words or samples;
            "alike", the same in another form; or "mirrored".
    """

    view: str
    rows: tuple[int, int]
    why: str


@dataclass(frozen=True)
class Duplicates:
    """The near-duplicates among n rows.

    Args:
        n: number of rows. links: view -> why -> pairs of rows (m, 2); see Links.
        contents: view -> uint64 (n,), a digest of what each cell shows, equal for equal pixels, words or samples, in
            whatever table, 0 where there is none; not of numbers.
    """

    n: int
    links: Mapping[str, Links]
    contents: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def pairs(self) -> list[Pair]:
        """Every link; of many equal rows each with the first, not with each other."""
        return [
            Pair(view, (first, second), why)
            for view, links in self.links.items()
            for why, ends in links.items()
            for first, second in ends.tolist()
        ]

    @property
    def groups(self) -> np.ndarray:
        """(n,) the group of each row: rows that are linked, whatever the view, have one number."""
        return self.groups_by([(view, why) for view, links in self.links.items() for why in links])

    def groups_by(self, chosen: Collection[tuple[str, str]]) -> np.ndarray:
        """The same by some (view, why) alone."""
        ends = [np.zeros((0, 2), int), *(self.links[view][why] for view, why in chosen)]
        return linked(self.n, *np.concatenate(ends).T)

    def rows_of(self, view: str) -> np.ndarray:
        """bool (n,), the rows that have a near-duplicate by one view."""
        rows = np.zeros(self.n, bool)
        for ends in self.links.get(view, {}).values():
            rows[ends.ravel()] = True
        return rows

    @property
    def counts(self) -> dict[str, int]:
        """view -> how many rows have a near-duplicate by it, of the views that have some."""
        return {view: count for view in self.links if (count := int(self.rows_of(view).sum()))}

    @property
    def rows(self) -> np.ndarray:
        """bool (n,), the rows that have a near-duplicate."""
        return np.any([np.zeros(self.n, bool), *(self.rows_of(view) for view in self.links)], axis=0)


def duplicates(views: Views) -> Duplicates:
    """The rows of which some view shows the same as that of another row.

    Pictures count as the same in another size or format, a little darker or brighter, without colour, with another
    margin or a little cropped, and mirrored; texts but for case, spaces and marks, or with nearly the same pieces of
    three letters, numbers being equal; sounds in another format, at another rate or volume, with other silence around;
    clips by their pictures; numbers where they are equal and that is no chance. See the modules of
    `bouba.data.duplicates` for each, with formulas and sources.

    Use `Duplicates.groups` as `Views(group=...)`, so that `split` and all that holds out keeps them together; `Run.fit`
    and `bouba fit` do so by themselves.

    Args:
        views: n rows. Missing cells, those that were imputed, those that cannot be decoded, and kinds that somebody
            added without a line in READERS, are like nothing.

    Returns:
        The pairs with their view and why, and groups; they do not depend on the order of rows.

    >>> views = Views({"text": ["A dog runs.", "a cat", "a dog  runs"]}, kinds={"text": "text"})
    >>> duplicates(views).pairs
    [Pair(view='text', rows=(0, 2), why='equal')]
    """
    different = _different(views)
    links = {name: _links(one.of_cell, one.near()) for name, one in different.items()}
    return Duplicates(len(views), links, _contents(different))


def contents(views: Views) -> dict[str, np.ndarray]:
    """view -> uint64 (n,), a digest of what each cell shows; see `Duplicates`."""
    return _contents(_different(views))


def _different(views: Views) -> dict[str, _Different]:
    columns = views.observed().columns.items()
    return {name: READERS[column.kind](column) for name, column in columns if column.kind in READERS}


def _contents(different: Mapping[str, _Different]) -> dict[str, np.ndarray]:
    found = {}
    for name, one in different.items():
        if one.digests is not None:
            numbers = [int.from_bytes(digest[:8], "little") or 1 for digest in one.digests]
            found[name] = np.array([*numbers, 0], np.uint64)[one.of_cell]
    return found


@dataclass(frozen=True)
class _Different:
    """The different contents of a column's cells.

    Args:
        of_cell: (n,) which of them each cell holds; -1 where it is like nothing. near: gives why -> pairs of them.
        digests: of each; None where equality says which row it is among these rows alone.
    """

    of_cell: np.ndarray
    near: Callable[[], Mapping[str, tuple[np.ndarray, np.ndarray]]]
    digests: list[bytes] | None = None


def _pictures(column: Column, shown: Callable[[Any], list[Image]]) -> _Different:
    frames = Frames.of(column, column.present, shown)

    def near() -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
        pairs = near_pictures(frames)
        by_why = {ALIKE: ~pairs.mirrored, MIRRORED: pairs.mirrored}
        return {why: (pairs.first[rows], pairs.second[rows]) for why, rows in by_why.items()}

    return _Different(frames.of_cell, near, frames.digests)


def _texts(column: Column) -> _Different:
    forms = [normalised(decode.text(cell)) if there else "" for cell, there in zip(column, column.present)]
    different = sorted(set(forms) - {""})
    place = {"": -1} | {form: number for number, form in enumerate(different)}
    digests = [blake2b(form.encode(), digest_size=16).digest() for form in different]
    return _Different(np.array([place[form] for form in forms], int), lambda: {ALIKE: near_texts(different)}, digests)


def _sounds(column: Column) -> _Different:
    of_cell, different, digests = recordings(column, column.present)
    return _Different(of_cell, lambda: {ALIKE: near_sounds(different)}, digests)


def _vectors(column: Column) -> _Different:
    of_cell, there = np.full(len(column), -1), np.flatnonzero(column.present)
    values = column.values
    if not len(there):
        return _Different(of_cell, dict)
    if isinstance(values, SparseRows):
        of_cell[there] = values.alike(column.index[there])
        return _Different(of_cell, dict)
    if not isinstance(values, np.ndarray):
        values = np.stack([np.asarray(column[row], np.float32) for row in there.tolist()])
    elif len(there) < len(values) or (column.index != np.arange(len(values))).any():
        values = scratch.taken(values, column.index[there])
    of_cell[there] = equal_vectors(values)
    return _Different(of_cell, dict)


def _records(column: Column) -> _Different:
    of_cell, there = np.full(len(column), -1), np.flatnonzero(column.present)
    if len(there):
        of_cell[there] = equal_records([column[row] for row in there.tolist()])
    return _Different(of_cell, dict)


def _links(of_cell: np.ndarray, near: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """Pairs of rows, from the number of what each cell holds (n,), -1 where it is like nothing, and pairs of these."""
    there = np.flatnonzero(of_cell >= 0)
    numbers, first_of, which = np.unique(of_cell[there], return_index=True, return_inverse=True)
    first = there[first_of]
    again = first[which] != there
    ends = {EQUAL: np.stack([first[which][again], there[again]], 1)}
    for why, (one, other) in near.items():
        places = [np.searchsorted(numbers, each) for each in (one, other)]
        ends[why] = np.sort(np.stack([first[place] for place in places], 1).astype(int), axis=1)
    return {why: pairs for why, pairs in ends.items() if len(pairs)}


READERS: dict[str, Callable[[Column], _Different]] = {
    "image": partial(_pictures, shown=lambda cell: [decode.image(cell)]),
    "video": partial(_pictures, shown=lambda cell: video(cell, CLIP)),
    "text": _texts,
    "audio": _sounds,
    "vector": _vectors,
    "table": _records,
}
"""Kind of a view -> what reads its cells."""
