"""The joint between scikit-learn estimators above and torch modules below."""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.learner.base import BaseLearner as BaseLearner
    from bouba.learner.learner import Learner as Learner
else:
    __all__ = attach(__name__)
