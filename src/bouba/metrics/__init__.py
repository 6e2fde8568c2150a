"""Numbers about embeddings: arrays in, numbers out; no torch, no tables, no models."""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.metrics.calibration import Reliability as Reliability
    from bouba.metrics.calibration import expected_calibration_error as expected_calibration_error
    from bouba.metrics.calibration import reliability as reliability
    from bouba.metrics.classification import accuracy as accuracy
    from bouba.metrics.classification import confusion as confusion
    from bouba.metrics.classification import knn as knn
    from bouba.metrics.classification import linear_probe as linear_probe
    from bouba.metrics.classification import macro_f1 as macro_f1
    from bouba.metrics.classification import majority_chance as majority_chance
    from bouba.metrics.classification import zero_shot as zero_shot
    from bouba.metrics.coherence import cross_coherence as cross_coherence
    from bouba.metrics.coherence import joint_coherence as joint_coherence
    from bouba.metrics.domain import domain_accuracy as domain_accuracy
    from bouba.metrics.domain import proxy_a_distance as proxy_a_distance
    from bouba.metrics.foscttm import foscttm as foscttm
    from bouba.metrics.gallery import GalleryRecall as GalleryRecall
    from bouba.metrics.gallery import gallery_recall as gallery_recall
    from bouba.metrics.gallery import recall_at_gallery_size as recall_at_gallery_size
    from bouba.metrics.generation import diversity as diversity
    from bouba.metrics.generation import frechet_distance as frechet_distance
    from bouba.metrics.generation import novelty as novelty
    from bouba.metrics.generation import r_precision as r_precision
    from bouba.metrics.pairs import clip_score as clip_score
    from bouba.metrics.regression import mean_absolute_error as mean_absolute_error
    from bouba.metrics.regression import r_squared as r_squared
    from bouba.metrics.regression import root_mean_squared_error as root_mean_squared_error
    from bouba.metrics.retrieval import RETRIEVAL_METRICS as RETRIEVAL_METRICS
    from bouba.metrics.retrieval import chance_level as chance_level
    from bouba.metrics.retrieval import mean_reciprocal_rank as mean_reciprocal_rank
    from bouba.metrics.retrieval import retrieval as retrieval
    from bouba.metrics.retrieval import summarise as summarise
    from bouba.metrics.space import alignment as alignment
    from bouba.metrics.space import modality_gap as modality_gap
    from bouba.metrics.space import uniformity as uniformity
else:
    __all__ = attach(__name__)
