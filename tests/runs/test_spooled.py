import numpy as np
import pytest

from bouba.runs import spooled
from bouba.runs.spooled import Chosen, Spooled, in_parts


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_come_back_as_they_were_added(tmp_path, dtype):
    z = np.random.default_rng(0).normal(size=(50, 3)).astype(dtype)
    kept = spooled.spooled(({"a": z[start : start + 7]} for start in range(0, 50, 7)), tmp_path)["a"]
    assert isinstance(kept, Spooled)
    assert (kept.shape, kept.dtype, len(kept)) == ((50, 3), dtype, 50)
    rows = np.array([7, 3, 3, 49])
    chosen = Chosen(kept, rows)
    for part in (slice(None), slice(10, 30), slice(40, 99), slice(5, 5), slice(0, 50, 7), rows, rows[:0]):
        assert np.array_equal(kept[part], z[part])
    assert np.array_equal(chosen[slice(1, 4)], z[rows][1:4])
    assert (chosen.shape, len(chosen)) == ((4, 3), 4)
    assert list(tmp_path.iterdir()) == [], "nothing is left, whoever dies"


def test_parts_are_all_rows(monkeypatch):
    monkeypatch.setattr(spooled, "AT_ONCE", 4)
    assert list(in_parts(10)) == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert list(in_parts(0)) == []
