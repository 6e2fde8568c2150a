"""Small data with a known answer, shared by all rooms."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest


@pytest.fixture
def twins():
    from made import twin_vectors

    return twin_vectors()


@pytest.fixture
def things(tmp_path):
    """The table of `write_things`."""
    from made import write_things

    return write_things(tmp_path)
