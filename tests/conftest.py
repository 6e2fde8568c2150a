"""Small data with a known answer, shared by all rooms."""

import os
import signal

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest

for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) == signal.SIG_IGN:  # a shell's job in the background, whose children would ignore them
        signal.signal(number, handler)


@pytest.fixture
def twins():
    from made import twin_vectors

    return twin_vectors()


@pytest.fixture
def things(tmp_path):
    """The table of `write_things`."""
    from made import write_things

    return write_things(tmp_path)
