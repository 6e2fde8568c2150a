"""Fuse: every modality in, one answer out."""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.fuse.autoencoder import MultimodalAutoencoder as MultimodalAutoencoder
    from bouba.fuse.classifier import FusionClassifier as FusionClassifier
    from bouba.fuse.explanation import Explanation as Explanation
    from bouba.fuse.explanation import explain as explain
    from bouba.fuse.explanation import explain_match as explain_match
    from bouba.fuse.integrated_gradients import Saliency as Saliency
    from bouba.fuse.integrated_gradients import match_saliency as match_saliency
    from bouba.fuse.integrated_gradients import saliency as saliency
    from bouba.fuse.multitask import MultitaskLearner as MultitaskLearner
    from bouba.fuse.regressor import FusionRegressor as FusionRegressor
    from bouba.fuse.vae import MultimodalVAE as MultimodalVAE
else:
    __all__ = attach(__name__)
