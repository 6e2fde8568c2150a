"""What an index holds, as its state says: nothing is opened for it."""

from bouba.search.query import Source
from bouba.search.store import State


class Stated:
    """The part of an Index that only tells; see Index."""

    _source: Source

    @property
    def _state(self) -> State:
        return self._source.state

    @property
    def name(self) -> str:
        """For what it holds now: another one after every change."""
        return f"{self._state.table}-{self._state.number}"

    def __len__(self) -> int:
        """Cells: (row, view) pairs that are present."""
        return self._state.cells

    @property
    def version(self) -> int:
        """Counts the changes of what the index holds, from 1."""
        return self._state.number

    @property
    def views(self) -> tuple[str, ...]:
        return self._state.views

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(column.name for column in self._state.columns)

    def parsed(self, name: str, text: str) -> str | int | float | bool:
        """A value of a column, written as text; the text itself where the column holds text, or is not there."""
        column = next((column for column in self._state.columns if column.name == name), None)
        return text if column is None else column.parsed(text)

    @property
    def dim(self) -> int:
        return self._state.dim

    @property
    def similarity(self) -> str:
        return self._state.similarity

    @property
    def recall(self) -> float | None:
        """Share of the ten nearest cells that `exact=False` was measured to find; None without an approximate index."""
        return self._state.recall
