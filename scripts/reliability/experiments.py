"""The experiments, in the order in which they run; a new one is a file and a row here."""

from scripts.reliability.cells import CELLS
from scripts.reliability.disk import DISK
from scripts.reliability.experiment import Experiment
from scripts.reliability.growth import HEADERS, MEMORY_OF_ROWS
from scripts.reliability.kills import KILLS
from scripts.reliability.models import MODELS
from scripts.reliability.names import NAMES
from scripts.reliability.numbers import NUMBERS
from scripts.reliability.processes import DYING_RANK, PROCESSES, SHARED_FITS
from scripts.reliability.readers import READERS
from scripts.reliability.seeds import SEEDS
from scripts.reliability.tables import TABLES

ALL = (KILLS, DISK, CELLS, TABLES, NAMES, MODELS, NUMBERS, PROCESSES, SHARED_FITS, DYING_RANK, READERS, SEEDS)
ALL = (*ALL, MEMORY_OF_ROWS, HEADERS)
EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in ALL}
