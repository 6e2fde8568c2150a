"""Correlation, the term and its function: Deep CCA's objective."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.terms import Space
from bouba.terms.correlation import Correlation, correlation

GIVEN = settings(max_examples=30, deadline=None)


def related(n=40, d_a=3, d_b=4, *, seed=0, dtype=torch.float64):
    """Two embeddings that share some of their variance."""
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(n, d_a, generator=generator, dtype=dtype)
    b = a @ torch.randn(d_a, d_b, generator=generator, dtype=dtype)
    return a, b + 2 * torch.randn(n, d_b, generator=generator, dtype=dtype)


def by_the_book(a, b, ridge):
    """|S_aa^(-1/2) S_ab S_bb^(-1/2)|_* with symmetric roots by numpy, a row at a time."""
    a, b = a.detach().numpy(), b.detach().numpy()
    n, mean_a, mean_b = len(a), sum(a) / len(a), sum(b) / len(b)
    blocks = [sum(np.outer(x - m, y - k) for x, y in zip(u, v)) / n for u, m, v, k in
              ((a, mean_a, a, mean_a), (b, mean_b, b, mean_b), (a, mean_a, b, mean_b))]  # fmt: skip
    roots = []
    for block in blocks[:2]:
        values, vectors = np.linalg.eigh(block + ridge * np.trace(block) / len(block) * np.eye(len(block)))
        roots.append(sum(np.outer(v, v) / np.sqrt(value) for value, v in zip(values, vectors.T)))
    return np.sqrt(np.linalg.eigvalsh((m := roots[0] @ blocks[2] @ roots[1]) @ m.T).clip(0)).sum()


@pytest.mark.parametrize("ridge", [0.0, 1e-3, 0.5])
def test_definition_value(ridge):
    a, b = related()
    assert correlation(a, b, ridge=ridge).item() == pytest.approx(by_the_book(a, b, ridge), abs=1e-6)
    assert correlation(a.float(), b.float(), ridge=ridge).item() == pytest.approx(by_the_book(a, b, ridge), abs=1e-4)


def test_definition_gradient():
    a, b = (z.requires_grad_() for z in related(12, 3, 2))
    assert torch.autograd.gradcheck(lambda a, b: correlation(a, b, ridge=1e-2), (a, b))


@GIVEN
@given(seed=st.integers(0, 10_000))
def test_law_invertible_maps_shifts_and_order_change_nothing(seed):
    a, b = related(seed=seed)
    value = correlation(a, b, ridge=0.0).item()
    random = np.random.default_rng(seed)
    left, right = (np.linalg.qr(random.normal(size=(3, 3)))[0] for _ in range(2))
    map_ = torch.tensor(left @ np.diag(random.uniform(0.1, 10, 3)) @ right)
    order = torch.tensor(random.permutation(40))
    assert correlation(a @ map_ + 7, b, ridge=0.0).item() == pytest.approx(value, abs=1e-5)
    assert correlation(a[order], b[order], ridge=0.0).item() == pytest.approx(value, abs=1e-9)
    assert correlation(b, a, ridge=0.0).item() == pytest.approx(value, abs=1e-9)
    assert correlation(100 * a, b, ridge=0.1).item() == pytest.approx(correlation(a, b, ridge=0.1).item(), abs=1e-5)


ANYTHING = {
    "seed": st.integers(0, 2**31),
    "n": st.integers(2, 12),
    "d_a": st.integers(1, 8),
    "d_b": st.integers(1, 8),
    "missing_rank": st.booleans(),
    "power": st.integers(-9, 9),
    "ridge": st.sampled_from([0.0, 1e-6, 1e-3, 0.3]),
    "dtype": st.sampled_from([torch.float32, torch.float64, torch.bfloat16]),
}


def finite_and_bounded(seed, n, d_a, d_b, missing_rank, power, ridge, dtype):
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(n, d_a, generator=generator)
    b = torch.randn(n, d_b, generator=generator)
    if missing_rank:
        a = a[:, :1] @ torch.randn(1, d_a, generator=generator) + 3
        b = b * (torch.arange(d_b) % 2)
    a, b = ((10.0**power * z).to(dtype).requires_grad_() for z in (a, b))
    value = correlation(a, b, ridge=ridge)
    value.backward()
    assert -1e-6 <= value.item() <= min(d_a, d_b) + 1e-3
    assert torch.isfinite(a.grad).all()
    assert torch.isfinite(b.grad).all()


@settings(max_examples=150, deadline=None)
@given(**ANYTHING)
def test_law_finite_and_bounded_whatever_the_rank_and_scale(**case):
    finite_and_bounded(**case)


@settings(max_examples=1000, deadline=None)
@given(**ANYTHING)
def test_law_finite_and_bounded_a_thousand_times(**case):
    finite_and_bounded(**case)


def test_repeated_and_zero_singular_values_have_a_gradient():
    """Eight orthogonal columns: with their signs turned they correlate eight times by 1, with eight others by 0."""
    columns = torch.linalg.qr(torch.eye(32)[:, :17] - 1 / 32)[0][:, 1:] * 5
    columns = columns - columns.mean(0)
    a, same, other = columns[:, :8].clone().requires_grad_(), -columns[:, :8], columns[:, 8:]
    for b, expected in ((same, 8.0), (other, 0.0)):
        value = correlation(a, b, ridge=0.0)
        (gradient,) = torch.autograd.grad(value, a)
        assert value.item() == pytest.approx(expected, abs=1e-2)
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() < 10


def test_constant_embeddings_have_no_correlation_and_no_gradient():
    _, b = related(dtype=torch.float32)
    flat = torch.full((40, 3), 0.1, requires_grad=True)
    value = correlation(flat, b)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert flat.grad.abs().max() < 1e3


def test_recovery_of_planted_correlations():
    random = np.random.default_rng(0)
    rho = np.array([0.9, 0.5, 0.0])
    a = random.normal(size=(20_000, 3))
    b = a * rho + random.normal(size=a.shape) * np.sqrt(1 - rho**2)
    mixed = (torch.tensor(z @ random.normal(size=(3, 3))) for z in (a, b))
    assert correlation(*mixed, ridge=1e-6).item() == pytest.approx(1.4, abs=0.03)


def test_refusals():
    good = torch.randn(4, 3)
    needs = r"correlation needs two embeddings \(B, d\) of the same B >= 2 rows, got z_a "
    with pytest.raises(UsageError, match=needs + r"\(4, 3\) and z_b \(3, 3\)"):
        correlation(good, good[:3])
    with pytest.raises(UsageError, match=needs + r"\(1, 3\) and z_b \(1, 3\)"):
        correlation(good[:1], good[:1])
    for ridge in (-0.1, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="ridge must be a finite number of 0 or more, got"):
            correlation(good, good, ridge=ridge)
    broken = good.clone()
    broken[2, 1] = float("nan")
    with pytest.raises(DataError, match="z_b holds NaN or infinity in 1 of 4 rows, first in row 2"):
        correlation(good, broken)


def a_batch(present):
    generator = torch.Generator().manual_seed(0)
    z = {name: torch.randn(8, 2, generator=generator, requires_grad=True) for name in present}
    return Batch({}, {name: torch.tensor(m, dtype=torch.bool) for name, m in present.items()}, torch.arange(8), z=z)


def test_term_masks_missing_views_and_averages_pairs():
    batch = a_batch({"a": [1] * 8, "b": [1, 1, 0, 1, 1, 0, 1, 1], "c": [0, 1, 1, 1, 1, 1, 1, 0]})
    batch.z["b"].data[2] = float("nan")
    term = Correlation(ridge=0.1)
    value, parts = term.loss(batch, term.state(Space({"a": 2, "b": 2, "c": 2})))
    sums = []
    for first, second in (("a", "b"), ("a", "c"), ("b", "c")):
        both = batch.present[first] & batch.present[second]
        sums.append(correlation(batch.z[first][both], batch.z[second][both], ridge=0.1).item())
    assert value.item() == pytest.approx(1 - np.mean(sums) / 2, abs=1e-6)
    assert float(parts["sum"]) == pytest.approx(np.mean(sums), abs=1e-6)
    only = Correlation(ridge=0.1, pairs=(("a", "c"),)).loss(batch, term.state(Space({"a": 2, "c": 2})))[0]
    assert only.item() == pytest.approx(1 - sums[1] / 2, abs=1e-6)


@pytest.mark.parametrize("overlap", [0, 1])
def test_term_without_two_pairs_has_no_value(overlap):
    batch = a_batch({"a": [1] * (4 + overlap) + [0] * (4 - overlap), "b": [0, 0, 0, 0, 1, 1, 1, 1]})
    term = Correlation()
    assert term.loss(batch, term.state(Space({"a": 2, "b": 2}))) == (None, {})


def test_term_refusals():
    with pytest.raises(UsageError, match=r"Correlation needs two views or more, got 1 \('image'\)"):
        Correlation().state(Space({"image": 4}))
    with pytest.raises(ModalityError, match="Correlation pairs name 'imge', but no such view; did you mean 'image'"):
        Correlation(pairs=(("imge", "text"),)).state(Space({"image": 4, "text": 4}))
    with pytest.raises(UsageError, match="ridge must be a finite number of 0 or more, got -1"):
        Correlation(ridge=-1).state(Space({"image": 4, "text": 4}))
