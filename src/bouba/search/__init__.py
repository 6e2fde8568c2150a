"""Find the nearest rows: one stored index over every view, exact by default, filtered before the top k."""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.search.certainty import Certainty as Certainty
    from bouba.search.certainty import Direction as Direction
    from bouba.search.hits import Hits as Hits
    from bouba.search.index import Hit as Hit
    from bouba.search.index import Index as Index
    from bouba.search.known import Known as Known
else:
    __all__ = attach(__name__)
