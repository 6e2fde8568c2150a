"""What scikit-learn is told of a learner that predicts. Its mixins would put a `score` of theirs over ours."""

from __future__ import annotations

from sklearn.utils import ClassifierTags, RegressorTags, Tags


def classifier_tags(tags: Tags) -> Tags:
    """The tags of sklearn.base.ClassifierMixin: stratified folds, `is_classifier`."""
    tags.estimator_type, tags.classifier_tags, tags.target_tags.required = "classifier", ClassifierTags(), True
    return tags


def regressor_tags(tags: Tags) -> Tags:
    """The tags of sklearn.base.RegressorMixin."""
    tags.estimator_type, tags.regressor_tags, tags.target_tags.required = "regressor", RegressorTags(), True
    return tags
