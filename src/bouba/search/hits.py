"""What a search gives: its hits, best first, and what is to be said of them as a whole."""

from __future__ import annotations

from collections.abc import Iterable

from bouba.search.query import Hit


class Hits(list[Hit]):
    """A list of Hit.

    Attributes:
        remarks: sentences such as "nothing here fits", none where there is nothing to say.
    """

    def __init__(self, hits: Iterable[Hit] = (), remarks: Iterable[str] = ()):
        super().__init__(hits)
        self.remarks = tuple(remarks)
