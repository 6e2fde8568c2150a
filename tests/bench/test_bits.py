import numpy as np
import pytest

from bouba.bench.bits import packed, unpacked


@pytest.mark.parametrize("shape", [(1,), (8,), (3, 5), (2, 3, 7)])
def test_what_is_packed_is_unpacked(shape):
    right = np.random.default_rng(0).random(shape) < 0.5
    text = packed(right)
    assert text.isascii()
    np.testing.assert_array_equal(unpacked(text, *shape), right)


def test_too_few_bits_are_refused():
    with pytest.raises(ValueError, match="8 bits are no 9"):
        unpacked(packed(np.ones(8, bool)), 9)
