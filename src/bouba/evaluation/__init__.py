"""Numbers with evidence: records with intervals and chance, and what they were computed with."""

from bouba.evaluation.class_names import class_embeddings as class_embeddings
from bouba.evaluation.environment import environment as environment
from bouba.evaluation.evaluate import Embeds as Embeds
from bouba.evaluation.evaluate import evaluate as evaluate
from bouba.evaluation.intervals import bootstrap as bootstrap
from bouba.evaluation.intervals import paired_difference as paired_difference
from bouba.evaluation.intervals import seeds_interval as seeds_interval
from bouba.evaluation.result import Record as Record
from bouba.evaluation.result import Result as Result
