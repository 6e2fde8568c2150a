import math

import pytest
import torch

from bouba.errors import DataError, ModalityError, UsageError
from bouba.terms import Space, Structure, structure


def by_the_formula(z, before, temperature):
    before = before - before.mean(0)
    total = 0.0
    for i in range(len(z)):
        p, q = (
            torch.softmax(
                torch.stack(
                    [torch.cosine_similarity(x[i], x[j], dim=0) / temperature for j in range(len(x)) if j != i]
                ),
                0,
            )
            for x in (z, before)
        )
        m = (p + q) / 2
        total += float((p * (p / m).log()).sum() + (q * (q / m).log()).sum()) / 2
    return total / len(z)


def test_definition():
    z, before = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 5, dtype=torch.float64)
    assert structure(z, before, temperature=0.3).item() == pytest.approx(by_the_formula(z, before, 0.3), rel=1e-10)


def test_law_rotation_and_scale_change_nothing_and_kept_neighbourhoods_cost_nothing():
    z = torch.randn(9, 4, dtype=torch.float64)
    z = z - z.mean(0)
    turn, _ = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))
    assert structure(3 * z @ turn, z).item() == pytest.approx(0, abs=1e-12)
    other = torch.randn(9, 4, dtype=torch.float64)
    assert 0 < structure(z, other).item() < math.log(2)


def test_refusals():
    z = torch.randn(4, 3)
    with pytest.raises(UsageError, match=r"structure needs rows .* got \(4, 3\) and \(3, 3\)"):
        structure(z, z[:3])
    with pytest.raises(UsageError, match="temperature must be one finite number above 0, got 0"):
        structure(z, z, temperature=0)
    with pytest.raises(DataError, match="before holds NaN or infinity"):
        structure(z, z.masked_fill(z > 0, torch.nan))
    with pytest.raises(ModalityError, match="Structure reads 'b' before training, and its encoder has no raw form"):
        Structure(("b",)).state(Space({"a": 3, "b": 3}, raw={"a": (3,)}))
