"""Tags of scikit-learn for a learner that predicts. Its mixins would replace our `score` by theirs."""

from __future__ import annotations

from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, get_tags


class _Classifier(ClassifierMixin, BaseEstimator):
    """What scikit-learn takes for a classifier."""


class _Regressor(RegressorMixin, BaseEstimator):
    """What scikit-learn takes for a regressor."""


def classifier_tags(tags: Tags) -> Tags:
    """The tags of sklearn.base.ClassifierMixin: stratified folds, `is_classifier`."""
    mixin = get_tags(_Classifier())
    tags.estimator_type, tags.classifier_tags = mixin.estimator_type, mixin.classifier_tags
    tags.target_tags.required = mixin.target_tags.required
    return tags


def regressor_tags(tags: Tags) -> Tags:
    """The tags of sklearn.base.RegressorMixin."""
    mixin = get_tags(_Regressor())
    tags.estimator_type, tags.regressor_tags = mixin.estimator_type, mixin.regressor_tags
    tags.target_tags.required = mixin.target_tags.required
    return tags
