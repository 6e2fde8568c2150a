"""The function info_nce: definition, laws, hard numerical cases, refusals."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.errors import DataError, UsageError
from bouba.terms.checks import SIMILARITIES
from bouba.terms.info_nce import info_nce


def by_the_formula(z_a, z_b, temperature, similarity="cosine", key=None, weight=None):
    """Row by row: -log of the partner's share among all that count, both ways."""
    size = len(z_a)

    def sim(x, y):
        if similarity == "cosine":
            return (x / x.norm() * y / y.norm()).sum()
        return (x * y).sum() if similarity == "dot" else -(x - y).norm()

    s = torch.stack([torch.stack([sim(x, y) / temperature for y in z_b]) for x in z_a])
    total = 0
    for i in range(size):
        counts = [j for j in range(size) if j == i or key is None or key[i] < 0 or key[j] != key[i]]
        row, col = s[i][counts], s[:, i][counts]
        cost = (row.logsumexp(0) - s[i, i] + col.logsumexp(0) - s[i, i]) / 2
        total = total + cost * (1 / size if weight is None else weight[i] / sum(weight))
    return total


def pair(size=6, width=4, seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(size, width, generator=draw, dtype=torch.float64).to(dtype).requires_grad_() for _ in "ab"]


def value_and_gradients(loss, *leaves):
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("tile", [None, 1, 3, 6, 99])
@pytest.mark.parametrize("key", [None, [0, 1, 0, -1, 1, -1]])
@pytest.mark.parametrize("weight", [None, [1.0, 0.0, 2.0, 0.5, 1.0, 1.0]])
def test_definition(similarity, tile, key, weight):
    z_a, z_b = pair()
    tau = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    key, weight = (
        None if x is None else torch.tensor(x, dtype=t) for x, t in ((key, torch.int64), (weight, torch.float64))
    )
    options = {"temperature": tau, "similarity": similarity, "key": key, "weight": weight}
    expected = value_and_gradients(by_the_formula(z_a, z_b, **options), z_a, z_b, tau)
    got = value_and_gradients(info_nce(z_a, z_b, tile=tile, **options), z_a, z_b, tau)
    for ours, theirs in zip(got, expected):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_gradcheck(similarity):
    tau = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda a, b, t: info_nce(a, b, temperature=t, similarity=similarity, tile=2), (*pair(5, 3), tau)
    )


LAWS = settings(deadline=None, max_examples=25)
SEEDS = st.integers(0, 999)


@LAWS
@given(size=st.integers(1, 9), seed=SEEDS, similarity=st.sampled_from(SIMILARITIES), tile=st.integers(1, 10))
def test_law_the_order_of_the_pairs_does_not_matter(size, seed, similarity, tile):
    z_a, z_b = pair(size, seed=seed)
    key = torch.arange(size) // 2
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    options = {"similarity": similarity, "tile": tile}
    torch.testing.assert_close(
        info_nce(z_a[order], z_b[order], key=key[order], **options),
        info_nce(z_a, z_b, key=key, **options),
        rtol=1e-12,
        atol=1e-12,
    )


@LAWS
@given(seed=SEEDS, similarity=st.sampled_from(SIMILARITIES))
def test_law_rotating_both_spaces_changes_nothing(seed, similarity):
    z_a, z_b = pair(seed=seed)
    rotation, _ = torch.linalg.qr(pair(4, 4, seed=seed + 1)[0])
    turned = info_nce(z_a @ rotation, z_b @ rotation, similarity=similarity)
    torch.testing.assert_close(turned, info_nce(z_a, z_b, similarity=similarity), rtol=1e-10, atol=1e-10)


@LAWS
@given(seed=SEEDS, similarity=st.sampled_from(SIMILARITIES))
def test_law_swapping_the_views_changes_nothing(seed, similarity):
    z_a, z_b = pair(seed=seed)
    torch.testing.assert_close(
        info_nce(z_a, z_b, similarity=similarity), info_nce(z_b, z_a, similarity=similarity), rtol=1e-12, atol=1e-12
    )


@LAWS
@given(size=st.integers(2, 40), similarity=st.sampled_from(SIMILARITIES), dtype=st.sampled_from(["float32", "float64"]))
def test_law_embeddings_all_alike_cost_log_b(size, similarity, dtype):
    z = pair(1, dtype=getattr(torch, dtype))[0].detach().expand(size, 4).clone().requires_grad_()
    loss = info_nce(z, z, similarity=similarity, key=torch.arange(size), tile=7)
    assert loss.item() == pytest.approx(math.log(size), rel=1e-5 if dtype == "float32" else 1e-12)
    assert torch.autograd.grad(loss, z)[0].isfinite().all()


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize(("size", "key"), [(1, None), (3, [5, 5, 5])])
def test_without_negatives_the_loss_and_its_gradient_are_zero(similarity, size, key):
    z_a, z_b = pair(size)
    tau = torch.tensor(0.1, dtype=torch.float64, requires_grad=True)
    key = None if key is None else torch.tensor(key)
    loss = info_nce(z_a, z_b, temperature=tau, similarity=similarity, key=key)
    for number in value_and_gradients(loss, z_a, z_b, tau):
        assert not number.count_nonzero()


def test_weights_that_are_all_zero_cost_nothing():
    z_a, z_b = pair()
    loss = info_nce(z_a, z_b, weight=torch.zeros(6))
    assert not any(number.count_nonzero() for number in value_and_gradients(loss, z_a, z_b))


def close_to(exact, got, tolerance):
    """Every number within `tolerance` of the largest of its tensor."""
    for ours, theirs in zip(got, exact):
        assert ours.isfinite().all()
        torch.testing.assert_close(ours.double(), theirs, rtol=0, atol=tolerance * theirs.abs().max().item())


def against_float64(z_a, z_b, tolerance, **options):
    leaves = [z.detach().requires_grad_() for z in (z_a, z_b)]
    exact = [z.detach().double().requires_grad_() for z in (z_a, z_b)]
    close_to(
        value_and_gradients(by_the_formula(*exact, **options), *exact),
        value_and_gradients(info_nce(*leaves, **options), *leaves),
        tolerance,
    )


@pytest.mark.parametrize("tile", [5, None])
def test_a_solved_batch_at_scale_100_keeps_its_digits_in_float32(tile):
    """Costs near e^-80 with gradients to match; softmax in float32 has lost both to rounding at 1e-7."""
    draw = torch.Generator().manual_seed(0)
    z_a = torch.nn.functional.normalize(torch.randn(12, 256, generator=draw), dim=1)
    z_b = torch.nn.functional.normalize(z_a + 0.002 * torch.randn(12, 256, generator=draw), dim=1)
    exact = [z.double().requires_grad_() for z in (z_a, z_b)]
    a, b = exact
    s = 100 * (a / a.norm(dim=1, keepdim=True)) @ (b / b.norm(dim=1, keepdim=True)).T
    off = s.masked_fill(torch.eye(12, dtype=torch.bool), -math.inf)
    gaps = torch.cat([off.logsumexp(1) - s.diagonal(), off.logsumexp(0) - s.diagonal()])
    expected = value_and_gradients(torch.log1p(gaps.exp()).mean(), a, b)
    assert expected[0] < 1e-25
    leaves = [z.requires_grad_() for z in (z_a, z_b)]
    close_to(expected, value_and_gradients(info_nce(*leaves, temperature=0.01, tile=tile), *leaves), 1e-4)


@pytest.mark.parametrize("scale", [10.0, 30.0])
def test_logits_of_a_thousand_in_float32(scale):
    z_a, z_b = (scale * z for z in pair(dtype=torch.float32))
    against_float64(z_a, z_b, 1e-3, temperature=1.0, similarity="dot")
    assert (z_a @ z_b.T).abs().max() > 200 * scale / 10


def test_one_pair_of_duplicates_at_scale_100_among_rows_far_apart():
    z_a, z_b = pair(9, dtype=torch.float32)
    z_b = torch.cat([z_a[1:2], z_b[1:]])  # row 0's partner is row 1 itself: logit 100 off the diagonal
    against_float64(z_a, z_b, 1e-4, temperature=0.01)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_rows_of_zeros_are_finite_with_a_bounded_gradient(similarity):
    z_a, z_b = (z.detach() for z in pair(dtype=torch.float32))
    z_a[2], z_b[2], z_b[4] = 0.0, 0.0, 0.0
    leaves = [z.requires_grad_() for z in (z_a, z_b)]
    loss, *gradients = value_and_gradients(info_nce(*leaves, similarity=similarity), *leaves)
    assert loss.isfinite()
    assert all(g.abs().max() < 1e8 for g in gradients)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32_also_under_autocast(dtype):
    z_a, z_b = pair(8, 16, dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = info_nce(z_a, z_b)
    loss.backward()
    wide = [z.detach().float().requires_grad_() for z in (z_a, z_b)]
    expected = info_nce(*wide)
    expected.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == expected.item()
    assert z_a.grad.dtype == dtype
    torch.testing.assert_close(z_a.grad, wide[0].grad.to(dtype))


def test_the_inputs_are_left_alone():
    z_a, z_b = pair()
    before = z_a.detach().clone(), z_b.detach().clone()
    info_nce(z_a, z_b).backward()
    assert torch.equal(z_a, before[0])
    assert torch.equal(z_b, before[1])


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["z_a", "z_b"])
def test_refusal_names_the_argument_and_the_row(name, value):
    z = dict(zip(("z_a", "z_b"), (z.detach() for z in pair())))
    z[name][3, 1] = value
    with pytest.raises(DataError, match=rf"{name} holds NaN or infinity in 1 of 6 rows, first in row 3"):
        info_nce(**z)


def test_finite_rows_whose_sum_overflows_are_no_error():
    z = torch.full((3, 2), 2e38)
    assert info_nce(z, torch.eye(3, 2)).isfinite()


REFUSALS = [
    ({"similarity": "cosinus"}, "cosinus.*cosine"),
    ({"temperature": 0.0}, "above 0, got 0"),
    ({"temperature": -1.0}, "above 0, got -1"),
    ({"temperature": math.nan}, "above 0, got nan"),
    ({"temperature": torch.ones(2)}, r"one finite number above 0, got \[1.0, 1.0\]"),
    ({"tile": 0}, "at least 1, got 0"),
    ({"key": torch.zeros(4, dtype=torch.int64)}, r"key .* \(6,\), got \(4,\)"),
    ({"weight": torch.ones(6, 1)}, r"weight .* \(6,\), got \(6, 1\)"),
    ({"weight": torch.tensor([1.0, 1, 1, -1, 1, 1])}, "at least 0 everywhere, got -1"),
]


@pytest.mark.parametrize(("options", "message"), REFUSALS, ids=[message for _, message in REFUSALS])
def test_refusals(options, message):
    with pytest.raises(UsageError, match=message):
        info_nce(*pair(), **options)


@pytest.mark.parametrize("shape", [(5, 4), (6, 3), (6,), (0, 4)])
def test_refusal_of_shapes(shape):
    with pytest.raises(UsageError, match=r"one shape \(B, D\)"):
        info_nce(pair()[0] if shape != (0, 4) else torch.ones(0, 4), torch.ones(shape))
