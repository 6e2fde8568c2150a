"""The experiments, in the order in which they run; a new one is a file and a row here."""

from scripts.reliability.experiment import Experiment
from scripts.reliability.kills import KILLS
from scripts.reliability.models import MODELS
from scripts.reliability.processes import DYING_RANK, PROCESSES, SHARED_FITS

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment for experiment in (KILLS, MODELS, PROCESSES, SHARED_FITS, DYING_RANK)
}
