"""Numbers with evidence: records with intervals and chance, and what they were computed with."""

from typing import TYPE_CHECKING

from bouba.lazy import attach

if TYPE_CHECKING:
    from bouba.evaluation.class_names import class_embeddings as class_embeddings
    from bouba.evaluation.differences import Difference as Difference
    from bouba.evaluation.differences import RowValues as RowValues
    from bouba.evaluation.environment import environment as environment
    from bouba.evaluation.evaluate import evaluate as evaluate
    from bouba.evaluation.generations import Generates as Generates
    from bouba.evaluation.generations import evaluate_generations as evaluate_generations
    from bouba.evaluation.intervals import bootstrap as bootstrap
    from bouba.evaluation.intervals import bootstrap_weighted as bootstrap_weighted
    from bouba.evaluation.intervals import interval as interval
    from bouba.evaluation.intervals import paired_difference as paired_difference
    from bouba.evaluation.model import Embeds as Embeds
    from bouba.evaluation.model import Model as Model
    from bouba.evaluation.model import PredictsLabels as PredictsLabels
    from bouba.evaluation.model import Reconstructs as Reconstructs
    from bouba.evaluation.model import Translates as Translates
    from bouba.evaluation.model import as_model as as_model
    from bouba.evaluation.predictions import evaluate_predictions as evaluate_predictions
    from bouba.evaluation.predictions import predicts as predicts
    from bouba.evaluation.reconstructions import evaluate_reconstructions as evaluate_reconstructions
    from bouba.evaluation.result import Record as Record
    from bouba.evaluation.result import Result as Result
    from bouba.evaluation.seeds import over_seeds as over_seeds
    from bouba.evaluation.seeds import paired_over_seeds as paired_over_seeds
    from bouba.evaluation.seeds import seeds_interval as seeds_interval
    from bouba.evaluation.translations import evaluate_translations as evaluate_translations
    from bouba.evaluation.widths import AtWidth as AtWidth
    from bouba.evaluation.widths import by_width as by_width
else:
    __all__ = attach(__name__)
