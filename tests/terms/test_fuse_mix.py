import pytest
import torch

from bouba import MLP, FuseMix, InfoNCE, Learner, Views
from bouba.errors import UsageError
from bouba.terms import Space, fuse_mix, info_nce


def test_definition():
    z_a, z_b = torch.randn(2, 5, 3, dtype=torch.float64)
    share, order = torch.tensor([0.1, 0.9, 0.5, 1.0, 0.0], dtype=torch.float64), torch.tensor([1, 2, 0, 3, 3])
    mixed = [torch.stack([share[i] * z[i] + (1 - share[i]) * z[order[i]] for i in range(5)]) for z in (z_a, z_b)]
    assert fuse_mix(z_a, z_b, share, order).item() == pytest.approx(info_nce(*mixed).item(), rel=1e-12)


def test_law_mixing_behind_a_linear_map_is_mixing_before_it():
    x, y = torch.randn(2, 6, 4, dtype=torch.float64)
    w = torch.randn(4, 3, dtype=torch.float64)
    share, order = torch.rand(6, dtype=torch.float64), torch.randperm(6)
    before = [share[:, None] * v + (1 - share)[:, None] * v[order] for v in (x, y)]
    expected = info_nce(before[0] @ w, before[1] @ w)
    torch.testing.assert_close(fuse_mix(x @ w, y @ w, share, order), expected)


def test_recovery_few_pairs_are_not_learnt_by_heart():
    """60 pairs of ten latent numbers among thirty columns of noise: heads by FuseMix find more of 200 new partners."""
    draw = torch.Generator().manual_seed(0)
    latent = torch.randn(260, 10, generator=draw)
    left, right = (
        (latent @ torch.randn(10, 40, generator=draw) + 1.5 * torch.randn(260, 40, generator=draw)).numpy()
        for _ in "ab"
    )

    def hits(objective):
        towers = {"left": MLP(()), "right": MLP(())}
        training = Views({"left": left[:60], "right": right[:60]})
        model = Learner(towers, objective, dim=10, epochs=100, batch_size=60).fit(training)
        a, b = (
            torch.nn.functional.normalize(torch.tensor(z))
            for z in model.embed({"left": left[60:], "right": right[60:]}).values()
        )
        scores = a @ b.T
        return ((scores >= scores.diagonal()[:, None]).sum(1) <= 10).float().mean().item()

    assert hits(FuseMix()) > hits(InfoNCE())


def test_refusals():
    z = torch.randn(4, 3)
    with pytest.raises(UsageError, match="share must hold a number from 0 to 1 for each of 4 rows"):
        fuse_mix(z, z, torch.full((4,), 2.0), torch.arange(4))
    with pytest.raises(UsageError, match="alpha must be one finite number above 0, got 0"):
        FuseMix(alpha=0).state(Space({"a": 3, "b": 3}))
