"""A few trials of every experiment; all of them: make reliability."""

import pytest

from scripts.reliability.experiments import EXPERIMENTS
from scripts.reliability.supervise import run


@pytest.mark.parametrize("name", [name for name, experiment in EXPERIMENTS.items() if experiment.few])
def test_survives(name):
    experiment = EXPERIMENTS[name]
    tally = run(experiment, list(range(experiment.few)), workers=1)
    assert not tally.failures
    assert tally.whole
