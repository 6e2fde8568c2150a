"""Runs: what comes of fitting a table, as an object and as a folder."""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.runs.methods import METHODS as METHODS
    from bouba.runs.methods import Method as Method
    from bouba.runs.run import Run as Run
else:
    __all__ = attach(__name__)
