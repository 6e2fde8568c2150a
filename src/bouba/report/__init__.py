"""One HTML file that shows what was learnt and how well."""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.report.content import Case as Case
    from bouba.report.content import Cell as Cell
    from bouba.report.content import Contribution as Contribution
    from bouba.report.content import EmbeddingMap as EmbeddingMap
    from bouba.report.content import Gallery as Gallery
    from bouba.report.content import Item as Item
    from bouba.report.content import Judged as Judged
    from bouba.report.content import Made as Made
    from bouba.report.content import Picture as Picture
    from bouba.report.content import Query as Query
    from bouba.report.content import Report as Report
    from bouba.report.page import render as render
    from bouba.report.page import write as write
else:
    __all__ = attach(__name__)
