"""Fuse: every modality in, one answer out."""

from bouba.fuse.classifier import FusionClassifier as FusionClassifier
from bouba.fuse.multitask import MultitaskLearner as MultitaskLearner
from bouba.fuse.regressor import FusionRegressor as FusionRegressor
