"""Runs: what comes of fitting a table, as an object and as a folder."""

from bouba.runs.methods import METHODS as METHODS
from bouba.runs.methods import Method as Method
from bouba.runs.run import Run as Run
