"""Runs: what comes of fitting a table, as an object and as a folder."""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.runs.methods import METHODS as METHODS
    from bouba.runs.methods import Method as Method
    from bouba.runs.pair_score import pair_score as pair_score
    from bouba.runs.run import Run as Run
    from bouba.runs.soups import soup as soup
    from bouba.runs.taught import taught as taught
    from bouba.runs.tracking import Tracker as Tracker
    from bouba.runs.tuning.tune import tune as tune
else:
    __all__ = attach(__name__)
