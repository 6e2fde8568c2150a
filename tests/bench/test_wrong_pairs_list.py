import numpy as np
import pytest
from made import twin_vectors

from bouba.bench.wrong_pairs_list import found_in_the_worst, with_wrong_pairs


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_exactly_the_named_rows_have_another_partner(share):
    views = twin_vectors(100)
    mixed, wrong = with_wrong_pairs(views, share, 0)
    changed = [row for row in range(100) if not np.array_equal(mixed["right"][row], views["right"][row])]
    assert set(changed) == wrong
    assert len(wrong) == 100 * share
    assert all(np.array_equal(mixed["left"][row], views["left"][row]) for row in range(100))


def test_the_list_finds_them_where_pairs_can_be_told():
    assert min(found_in_the_worst(twin_vectors(300), 0.2, seed) for seed in range(2)) > 0.9
    noise = twin_vectors(300).replace(columns=dict(twin_vectors(300, noise=50).columns))
    assert max(found_in_the_worst(noise, 0.2, seed) for seed in range(2)) < 0.45
