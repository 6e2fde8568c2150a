"""Readers and writers of one index at once: an answer is the old one or the new one, and writers take turns."""

import contextlib
import threading
import time

import numpy as np
import pytest

from bouba.errors import DataError
from bouba.search import Index, store

SECONDS = 1.5


@contextlib.contextmanager
def suppress_replaced():
    """What is open may be replaced, and says so."""
    try:
        yield
    except DataError as error:
        if "open it again" not in str(error):
            raise


def test_opening_while_it_is_replaced_gives_the_old_or_the_new(tmp_path):
    """Each index holds one value in every cell, so that a mixture would show."""
    make = lambda n: Index.create(tmp_path / "i", {"v": np.eye(4)}, columns={"n": [n] * 4})  # noqa: E731
    make(0)
    end = time.monotonic() + SECONDS

    def replace():
        number = 1
        while time.monotonic() < end:
            make(number)
            number += 1

    writer = threading.Thread(target=replace)
    writer.start()
    opened = 0
    while time.monotonic() < end:
        made = Index.open(tmp_path / "i")
        with suppress_replaced():
            assert len({hit.columns["n"] for hit in made.search(np.ones(4))}) == 1
        opened += 1
    writer.join()
    assert opened > 5
    assert len([entry for entry in (tmp_path / "i").iterdir() if entry.suffix == ".lance"]) == 1


def test_writers_take_turns_and_lose_nothing(tmp_path):
    Index.create(tmp_path / "i", {"v": np.ones((1, 2))})
    add = lambda: [Index.open(tmp_path / "i").add({"v": np.ones((1, 2))}) for _ in range(4)]  # noqa: E731
    writers = [threading.Thread(target=add) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    made = Index.open(tmp_path / "i")
    assert sorted(hit.row for hit in made.search(np.ones(2), k=99)) == list(range(13))


def test_two_that_create_leave_one_that_opens(tmp_path):
    def create():
        for _ in range(4):
            Index.create(tmp_path / "i", {"v": np.ones((3, 2))})

    writers = [threading.Thread(target=create) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(Index.open(tmp_path / "i")) == 3


def test_a_table_that_is_gone_while_the_record_stays_is_damage(tmp_path):
    made = Index.create(tmp_path / "i", {"v": np.eye(2)})
    store.drop_table(tmp_path / "i", made._state.table)
    with pytest.raises(DataError, match="is a damaged index"):
        Index.open(tmp_path / "i")
