"""The one seam to what follows experiments: W&B, MLflow, TensorBoard, trackio, or anything of yours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from bouba.evaluation import Result

log = logging.getLogger("bouba")


class Tracker(Protocol):
    """What `Run.fit(..., tracker=...)` tells of a run that is made; docs/recipes.md has four of ten lines each."""

    def epoch(self, row: dict[str, float]) -> None:
        """A row of history, after each epoch: epoch, loss, the terms and their parts, validation, seconds. An estimator
        tells the same by `fit(..., on_epoch=tracker.epoch)`."""

    def result(self, result: Result) -> None:
        """The numbers on the rows that were held out, of the model and its rivals, once they are measured."""


class SafeTracker:
    """A tracker that never ends a run: what it raises is a warning, and it is told nothing more.

    Args:
        tracker: None for nobody.
    """

    def __init__(self, tracker: Tracker | None):
        self._tracker = tracker

    def epoch(self, row: Mapping[str, float]) -> None:
        """See Tracker."""
        self._tell(lambda tracker: tracker.epoch(dict(row)))

    def result(self, result: Result | None) -> None:
        """See Tracker; nothing where nothing was measured."""
        if result is not None:
            self._tell(lambda tracker: tracker.result(result))

    def _tell(self, what: Callable[[Any], None]) -> None:
        if self._tracker is None:
            return
        try:
            what(self._tracker)
        except Exception as error:
            name = type(self._tracker).__name__
            log.warning("%s failed (%s: %s); the run goes on without it", name, type(error).__name__, error)
            self._tracker = None
