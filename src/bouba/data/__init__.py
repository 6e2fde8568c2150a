"""Views of a table: reading, splitting, loading, built-in samples."""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.data import samples as samples
    from bouba.data.read import as_views as as_views
    from bouba.data.read import read as read
    from bouba.data.several import Several as Several
    from bouba.data.split import split as split
    from bouba.data.views import Column as Column
    from bouba.data.views import Views as Views
else:
    __all__ = attach(__name__)
