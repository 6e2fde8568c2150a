"""Find the nearest rows: one stored index over every view, exact by default, filtered before the top k."""

from bouba.search.index import Hit as Hit
from bouba.search.index import Index as Index
