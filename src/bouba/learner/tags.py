"""Tags of scikit-learn for a learner that predicts. Its mixins would replace our `score` by theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sklearn.utils import Tags


def classifier_tags(tags: Tags) -> Tags:
    """The tags of sklearn.base.ClassifierMixin: stratified folds, `is_classifier`."""
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Classifier(ClassifierMixin, BaseEstimator):
        """What scikit-learn takes for a classifier."""

    mixin = Classifier().__sklearn_tags__()
    tags.estimator_type, tags.classifier_tags = mixin.estimator_type, mixin.classifier_tags
    tags.target_tags.required = mixin.target_tags.required
    return tags


def regressor_tags(tags: Tags) -> Tags:
    """The tags of sklearn.base.RegressorMixin."""
    from sklearn.base import BaseEstimator, RegressorMixin

    class Regressor(RegressorMixin, BaseEstimator):
        """What scikit-learn takes for a regressor."""

    mixin = Regressor().__sklearn_tags__()
    tags.estimator_type, tags.regressor_tags = mixin.estimator_type, mixin.regressor_tags
    tags.target_tags.required = mixin.target_tags.required
    return tags
