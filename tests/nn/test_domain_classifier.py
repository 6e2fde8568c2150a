"""What the conditional domain classifier sees."""

import torch

from bouba.nn.domain_classifier import DRAWN, WIDEST, DomainClassifier, Multilinear


def test_definition_every_product():
    z, p = torch.randn(3, 4), torch.rand(3, 5)
    joint = Multilinear(4, 5)(z, p)
    assert torch.equal(joint, torch.stack([torch.outer(a, b).flatten() for a, b in zip(z, p)]))


def test_law_drawn_maps_keep_inner_products_in_the_mean():
    """<(z, p), (z', p')> = <z, z'> <p, p'>; a drawn map gives it with an error of order 1 / sqrt(1024)."""
    torch.manual_seed(0)
    dim, classes = 50, WIDEST // 50 + 1
    z, p = torch.randn(2, dim) / dim**0.5 + 0.2, torch.rand(2, classes) / classes**0.5
    true = (z[0] @ z[1]) * (p[0] @ p[1])
    maps = [Multilinear(dim, classes) for _ in range(20)]
    found = torch.stack([m(z, p).prod(0).sum() for m in maps])
    assert all(m.width == DRAWN for m in maps)
    assert abs(found.mean() - true) < 4 * found.std() / 20**0.5
    assert found.std() < 0.25 * (z.norm(dim=1).prod() * p.norm(dim=1).prod())


def test_what_was_drawn_is_saved():
    torch.manual_seed(0)
    one, two = (DomainClassifier(64, 2, hidden=8, classes=100) for _ in range(2))
    two.load_state_dict(one.state_dict())
    z, p = torch.randn(3, 64), torch.rand(3, 100)
    assert torch.equal(one(z, p), two(z, p))
