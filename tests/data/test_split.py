"""Nothing that belongs together is torn apart, and every row stands in one part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.data import Views, split
from bouba.errors import DataError

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
names = st.lists(st.one_of(st.none(), st.integers(0, 9)), min_size=3, max_size=40)


def made(**roles):
    n = len(next(iter(roles.values())))
    return Views({"x": np.zeros((n, 1))}, **roles)


@given(names, st.sampled_from(["key", "group"]), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_law_no_key_in_two_parts_and_no_row_lost(values, role, seed):
    units = len({v for v in values if v is not None}) + values.count(None)
    if units < 3:
        return
    parts = split(made(**{role: values}), SHARES, random_state=seed)
    seen = [{v for v in getattr(part, role) if v is not None} for part in parts.values()]
    assert sum(map(len, seen)) == len(set().union(*seen))
    assert sorted(row for part in parts.values() for row in part.rows) == list(range(len(values)))
    assert all(len(part) and (np.diff(part.rows) > 0).all() for part in parts.values())


def test_rows_without_a_key_stand_for_themselves():
    parts = split(made(key=[None] * 100), {"train": 0.8, "test": 0.2})
    assert [len(part) for part in parts.values()] == [80, 20]


def test_group_comes_before_key():
    parts = split(made(key=[0, 1, 2, 3], group=["a", "a", "b", "b"]), {"train": 0.5, "test": 0.5})
    assert sorted(part.rows.tolist() for part in parts.values()) == [[0, 1], [2, 3]]


def test_recovery_of_the_shares_and_the_seed():
    views = made(key=np.repeat(np.arange(200), 3))
    parts = split(views, SHARES, random_state=4)
    assert [len(part) for part in parts.values()] == [420, 60, 120]
    again, other = split(views, SHARES, random_state=4), split(views, SHARES, random_state=5)
    assert again["test"].rows.tolist() == parts["test"].rows.tolist() != other["test"].rows.tolist()


def test_small_tables_leave_no_part_empty():
    parts = split(made(key=[1, 2, 3]), {"train": 0.98, "validation": 0.01, "test": 0.01})
    assert [len(part) for part in parts.values()] == [1, 1, 1]


def test_refusals():
    with pytest.raises(DataError, match=r"shares .* add up to 0.9; they must be 0 or more and add up to 1"):
        split(made(key=[1, 2]), {"train": 0.5, "test": 0.4})
    with pytest.raises(DataError, match="they must be 0 or more and add up to 1"):
        split(made(key=[1, 2]), {"train": 1.5, "test": -0.5})
    with pytest.raises(DataError, match=r"1 groups cannot be cut into 2 parts \(train, test\)"):
        split(made(key=[7, 7, 7]), {"train": 0.5, "test": 0.5})
