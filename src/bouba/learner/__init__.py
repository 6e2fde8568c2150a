"""The joint between scikit-learn estimators above and torch modules below."""

from bouba.learner.base import BaseLearner as BaseLearner
from bouba.learner.learner import Learner as Learner
from bouba.learner.learner import load as load
