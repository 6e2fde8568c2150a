"""MMD, the term and its function."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bouba import MLP, Learner, Views
from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.nn.mmd import gaussian_mmd
from bouba.terms import MMD, InfoNCE, Needs, Space, mmd
from bouba.terms.mmd import median_squared_distance

EVERY_KERNEL = [("rbf", None), ("multi", None), ("multi", (0.5, 1.0, 3.0)), ("rbf", (0.7,)), ("linear", None)]


def two(n=7, m=5, d=3, *, shift=0.3, seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    a, b = (torch.randn(rows, d, generator=draw, dtype=dtype) for rows in (n, m))
    return a.requires_grad_(), (b + shift).detach().requires_grad_()


def by_the_book(a, b, kernel, bandwidths, unbiased):
    """Loops over every pair, as the formula reads."""
    pooled = torch.cat([a, b]).detach()
    median = sorted(float((x - y).square().sum()) for x, y in combinations(pooled, 2))
    median = median[(len(median) - 1) // 2]
    if bandwidths is None:
        bandwidths = [math.sqrt(median * share) for share in ((1 / 4, 1 / 2, 1, 2, 4) if kernel == "multi" else (1,))]

    def k(x, y):
        if kernel == "linear":
            return torch.dot(x, y)
        return sum(torch.exp(-(x - y).square().sum() / (2 * s**2)) for s in bandwidths) / len(bandwidths)

    def within(z):
        own = [k(z[i], z[j]) for i in range(len(z)) for j in range(len(z)) if i != j or not unbiased or len(z) == 1]
        return sum(own) / len(own)

    return within(a) + within(b) - 2 * sum(k(x, y) for x in a for y in b) / (len(a) * len(b))


@pytest.mark.parametrize("tile", [1, 3, 100])
@pytest.mark.parametrize("unbiased", [True, False])
@pytest.mark.parametrize(("kernel", "bandwidths"), EVERY_KERNEL)
@pytest.mark.parametrize("sizes", [(7, 5), (1, 4), (1, 1)], ids=str)
def test_definition_values_and_gradients(sizes, kernel, bandwidths, unbiased, tile):
    a, b = two(*sizes)
    ours = mmd(a, b, kernel=kernel, bandwidths=bandwidths, unbiased=unbiased, tile=tile)
    book = by_the_book(a, b, kernel, bandwidths, unbiased)
    assert ours.item() == pytest.approx(book.item(), abs=1e-10)
    for mine, theirs in zip(torch.autograd.grad(3 * ours, (a, b)), torch.autograd.grad(3 * book, (a, b))):
        torch.testing.assert_close(mine, theirs, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("unbiased", [True, False])
def test_gradcheck(unbiased):
    assert torch.autograd.gradcheck(
        lambda a, b: gaussian_mmd(a, b, torch.tensor([4.0, 1.3]), unbiased=unbiased, tile=2), two(5, 4)
    )


def test_of_one_leaf_in_both_places_gradients_add_up():
    """The halves of one tensor, as a batch brings them."""
    z = torch.cat(two()).detach().requires_grad_()
    (ours,) = torch.autograd.grad(mmd(z[:7], z[7:]), z)
    (book,) = torch.autograd.grad(by_the_book(z[:7], z[7:], "rbf", None, True), z)
    torch.testing.assert_close(ours, book, atol=1e-10, rtol=1e-10)


def test_a_second_derivative_is_refused():
    a, b = two()
    with pytest.raises(UsageError, match="mmd of Gaussian kernels has no second derivative; leave create_graph=True"):
        torch.autograd.grad(mmd(a, b) + a.square().sum(), a, create_graph=True)
    (grad,) = torch.autograd.grad(mmd(a, b, kernel="linear"), a, create_graph=True)
    assert torch.autograd.grad(grad.square().sum(), a)[0].count_nonzero()


def test_without_gradients_the_value_is_the_same():
    a, b = two()
    assert mmd(a.detach(), b.detach()).item() == mmd(a, b).item()
    assert not mmd(a.detach(), b.detach()).requires_grad


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), kernel=st.sampled_from(["linear", "rbf", "multi"]), unbiased=st.booleans())
def test_law_order_of_samples_and_rows_shift_and_rotation(seed, kernel, unbiased):
    a, b = (z.detach() for z in two(9, 6, seed=seed))
    draw = torch.Generator().manual_seed(seed)
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=draw))[0]
    given = {"kernel": kernel, "unbiased": unbiased}
    value = mmd(a, b, **given).item()
    assert mmd(b, a, **given).item() == pytest.approx(value, abs=1e-12)
    assert mmd(a[torch.randperm(9, generator=draw)], b, **given).item() == pytest.approx(value, abs=1e-12)
    assert mmd(a @ turn + 5.0, b @ turn + 5.0, **given).item() == pytest.approx(value, abs=1e-12)
    scale = 9.0 if kernel == "linear" else 1.0  # the median takes the scale away
    assert mmd(3 * a, 3 * b, **given).item() == pytest.approx(scale * value, abs=1e-11)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), kernel=st.sampled_from(["linear", "rbf", "multi"]))
def test_law_biased_is_a_squared_distance(seed, kernel):
    a, b = (z.detach() for z in two(9, 6, seed=seed, shift=0.1))
    assert mmd(a, a, kernel=kernel, unbiased=False).item() == pytest.approx(0, abs=1e-14)
    assert mmd(a, b, kernel=kernel, unbiased=False) > 0


@pytest.mark.parametrize("kernel", ["linear", "rbf", "multi"])
def test_law_unbiased_has_mean_0_without_shift_and_the_biased_has_not(kernel):
    """Over 300 draws, within 4 standard errors; with fixed bandwidths the mean of the biased one is known."""
    bandwidths = {"linear": None, "rbf": (1.5,), "multi": (0.7, 1.5, 3.0)}[kernel]
    draws = [two(8, 12, shift=0.0, seed=seed) for seed in range(300)]
    unbiased, biased = (
        torch.tensor([mmd(a, b, kernel=kernel, bandwidths=bandwidths, unbiased=u).item() for a, b in draws])
        for u in (True, False)
    )
    assert unbiased.mean().abs() < 4 * unbiased.std() / math.sqrt(300)
    assert (unbiased < 0).float().mean() > 0.3
    # E k(x, x) - E k(x, y): of three normal coordinates E exp(-|x - y|^2 / 2 s^2) is (s^2 / (s^2 + 2))^(3/2)
    between = 0.0 if kernel == "linear" else sum((s**2 / (s**2 + 2)) ** 1.5 for s in bandwidths) / len(bandwidths)
    alone = 3.0 if kernel == "linear" else 1.0
    expected = (1 / 8 + 1 / 12) * (alone - between)
    assert biased.mean().item() == pytest.approx(expected, abs=4 * (biased.std() / math.sqrt(300)).item())


def test_recovery_of_a_known_shift():
    """Of normal samples apart by v it is 2c (1 - exp(-|v|^2 / 2(s^2 + 2))) in the mean, c = (s^2 / (s^2 + 2))^(d/2)."""
    a, b = two(3000, 3000, shift=0.5, dtype=torch.float32)
    s2, squared = 4.0, 3 * 0.5**2
    expected = 2 * (s2 / (s2 + 2)) ** 1.5 * (1 - math.exp(-squared / (2 * (s2 + 2))))
    assert mmd(a, b, bandwidths=(2.0,)).item() == pytest.approx(expected, rel=0.1)
    assert mmd(a, b, kernel="linear").item() == pytest.approx(squared, rel=0.1)


def test_recovery_sees_what_the_linear_kernel_does_not():
    """Same mean, twice the spread: far beyond what chance gives to the Gaussian kernels, and nothing to the linear."""
    draw = torch.Generator().manual_seed(0)
    samples = torch.randn(40, 100, 3, generator=draw)
    for kernel, sees in (("rbf", True), ("multi", True), ("linear", False)):
        chance = torch.stack([mmd(a, b, kernel=kernel) for a, b in samples.view(20, 2, 100, 3)])
        wider = mmd(samples[0], 2 * samples[1], kernel=kernel)
        assert (wider > 5 * chance.std()) == sees


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_float32_keeps_the_digits_that_cancellation_would_take(offset):
    """Kernel means of some 0.5 differ by some 1e-3; a common offset is a thousand times the spread."""
    a, b = ((z.detach() + offset).float() for z in two(600, 500, 40, shift=0.05))
    found = []
    for dtype in (torch.float32, torch.float64):
        leaves = [z.to(dtype).requires_grad_() for z in (a, b)]
        value = mmd(*leaves, kernel="multi", bandwidths=(4.0, 6.0, 9.0))
        found.append((value, torch.cat(torch.autograd.grad(value, leaves))))
    (value, grad), (exact, exact_grad) = found
    assert abs(exact) < 5e-3
    assert value.item() == pytest.approx(exact.item(), abs=2e-8)
    assert (grad - exact_grad).norm() < 1e-5 * exact_grad.norm()


@pytest.mark.parametrize("kernel", ["linear", "rbf", "multi"])
@pytest.mark.parametrize("row", [0.0, 1.0, 777.7])
@pytest.mark.parametrize("unbiased", [True, False])
def test_rows_all_alike_cost_nothing(kernel, row, unbiased):
    a, b = (torch.full((rows, 3), row).requires_grad_() for rows in (6, 4))
    value = mmd(a, b, kernel=kernel, unbiased=unbiased)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    for z in (a, b):
        assert z.grad.abs().max() < 1e-3


def test_the_median_of_some_rows_stands_for_that_of_all():
    a, b = (z.detach() for z in two(1500, 500, 20))
    everything = torch.pdist(torch.cat([a, b])).square().median().item()
    assert median_squared_distance(a, b) == pytest.approx(everything, rel=0.03)


def test_mostly_alike_rows_take_the_mean_for_the_median():
    a, b = torch.zeros(5, 1), torch.tensor([[0.0], [4.0], [4.0]])
    assert median_squared_distance(a, b) == pytest.approx(12 * 16 / 28)  # 16 of 28 pairs coincide
    assert mmd(a, b) > 0


@pytest.mark.parametrize("bandwidth", [1e-200, 1e-9, 1e-3, 1e9, 1e200])
def test_absurd_bandwidths_stay_finite(bandwidth):
    """A narrow kernel sees no two rows that are alike: 0 unbiased, 1/n + 1/m biased. For a wide one all are alike."""
    a, b = two(dtype=torch.float32)
    value = mmd(a, b, bandwidths=(bandwidth,), unbiased=False)
    assert value.item() == pytest.approx(1 / 7 + 1 / 5 if bandwidth < 1 else 0, abs=1e-6)
    assert mmd(a, b, bandwidths=(bandwidth,)).item() == pytest.approx(0, abs=1e-6)
    assert all(g.abs().max() < 1e-6 for g in torch.autograd.grad(value, (a, b)))


def test_half_precision_is_computed_in_float32():
    a, b = (z.detach().bfloat16().requires_grad_() for z in two())
    value = mmd(a, b)
    value.backward()
    assert value.dtype == torch.float32
    assert a.grad.dtype == torch.bfloat16
    assert value.item() == mmd(a.detach().float(), b.detach().float()).item()


def test_refusals():
    a, b = (z.detach() for z in two())
    with pytest.raises(UsageError, match=r"one width D, n and m >= 1, got z_a \(7, 3\) and z_b \(5, 2\)"):
        mmd(a, b[:, :2])
    with pytest.raises(UsageError, match=r"got z_a \(0, 3\) and z_b \(5, 3\)"):
        mmd(a[:0], b)
    with pytest.raises(UsageError, match="no kernel 'rfb'; did you mean 'rbf'"):
        mmd(a, b, kernel="rfb")
    with pytest.raises(UsageError, match="the linear kernel has no bandwidths"):
        mmd(a, b, kernel="linear", bandwidths=(1.0,))
    with pytest.raises(UsageError, match="kernel='rbf' has one bandwidth, got 2; take kernel='multi'"):
        mmd(a, b, bandwidths=(1.0, 2.0))
    for odd in ((0.0,), (), (math.inf,), 1.0):
        with pytest.raises(UsageError, match="bandwidths holds finite numbers above 0"):
            mmd(a, b, kernel="multi", bandwidths=odd)
    with pytest.raises(UsageError, match="tile must be at least 1, got 0"):
        mmd(a, b, tile=0)
    b[3, 1] = math.nan
    with pytest.raises(DataError, match="z_b holds NaN or infinity in 1 of 5 rows, first in row 3"):
        mmd(a, b)


SPACE = Space({"a": 3, "b": 4}, domains=("here", "there", "far"))


def a_batch(domain, *, present=None, seed=0):
    draw = torch.Generator().manual_seed(seed)
    rows = len(domain)
    z = {v: torch.randn(rows, d, generator=draw, dtype=torch.float64).requires_grad_() for v, d in SPACE.dims.items()}
    here = {v: torch.ones(rows, dtype=torch.bool) for v in z} | (present or {})
    return Batch({}, here, torch.arange(rows), z=z, domain=torch.as_tensor(domain))


def directions(batch, view, code):
    z = batch.z[view][(batch.domain == code) & batch.present[view]]
    return z / z.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("term", [MMD(), MMD(kernel="linear"), MMD(kernel="rbf", bandwidths=(0.6,), unbiased=False)])
def test_term_definition_mean_over_views_of_mean_over_pairs_of_domains(term):
    batch = a_batch([0, 0, 0, 1, 1, 0, 1, 2, 2, 2, 2])
    value, parts = term.loss(batch, term.state(SPACE))
    by_view = {}
    for view in "ab":
        pairs = [[directions(batch, view, code) for code in two] for two in ((0, 1), (0, 2), (1, 2))]
        by_view[view] = sum(by_the_book(*two, term.kernel, term.bandwidths, term.unbiased) for two in pairs) / 3
    assert value.item() == pytest.approx((by_view["a"] + by_view["b"]).item() / 2, abs=1e-10)
    assert parts == {f"squared.{v}": pytest.approx(each.item(), abs=1e-10) for v, each in by_view.items()}


def test_term_leaves_out_missing_cells_unknown_domains_and_single_rows():
    present = {"a": torch.tensor([1, 1, 1, 1, 1, 0, 1, 1, 1], dtype=torch.bool)}
    batch = a_batch([0, 0, 1, 1, 0, 1, 2, -1, 0], present=present)
    with torch.no_grad():
        batch.z["a"][5] = math.nan
    term = MMD(views=("a",))
    value, parts = term.loss(batch, term.state(SPACE))
    value.backward()
    assert value.item() == mmd(directions(batch, "a", 0), directions(batch, "a", 1), kernel="multi").item()
    assert set(parts) == {"squared.a"}
    touched = batch.z["a"].grad.abs().sum(1) > 0
    assert touched.tolist() == [True, True, True, True, True, False, False, False, True]
    assert batch.z["b"].grad is None


@pytest.mark.parametrize("domain", [[0, 0, 0], [-1, -1, 0], [0, 1, 2]], ids=str)
def test_term_with_nothing_to_compare_has_no_value(domain):
    assert MMD().loss(a_batch(domain), MMD().state(SPACE)) == (None, {})


def test_recovery_removes_a_shift():
    """As the test of DomainAdversarial: a bias that tells the domain is unlearnt; without the term it stays."""
    torch.manual_seed(0)
    x = torch.randn(200, 5)
    domain = torch.arange(200) % 2
    x[:, 0] = 3.0 * domain - 1.5
    tower = nn.Linear(5, 5)
    nn.init.eye_(tower.weight)
    term = MMD()
    state = term.state(Space({"a": 5}, domains=("here", "there")))
    optimizer = torch.optim.Adam(tower.parameters(), lr=0.03)
    gaps, losses = [], []
    for _ in range(100):
        optimizer.zero_grad()
        z = tower(x)
        here = {"a": torch.ones(200, dtype=torch.bool)}
        value, _ = term.loss(Batch({}, here, torch.arange(200), z={"a": z}, domain=domain), state)
        value.backward()
        optimizer.step()
        unit = nn.functional.normalize(z.detach(), dim=1)
        gaps.append((unit[domain == 0].mean(0) - unit[domain == 1].mean(0)).norm())
        losses.append(value.item())
    assert gaps[0] > 0.9
    assert gaps[-1] < 0.1
    assert losses[0] > 0.1
    assert abs(losses[-1]) < 0.01


def displaced(seed, n=300, d=6):
    """A sharp cue, displaced in the target, and a noisy one that is not. A source-only model trusts the sharp one."""
    random = np.random.default_rng(seed)
    latent = random.normal(size=(2 * n, d))
    sharp = latent + 0.05 * random.normal(size=latent.shape)
    sharp[n:] += 1.5
    left = np.hstack([sharp, latent + 0.4 * random.normal(size=latent.shape)])
    return Views({"left": left, "right": latent}, domain=np.repeat(["source", "target"], n).astype(object))


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3, 4))])
def test_recovery_beats_source_only_on_the_target(seed):
    """Whole training, without a pair of the target."""
    views = displaced(seed)
    target = views[views.domain == "target"]
    quick = {"epochs": 40, "dim": 8, "batch_size": 100, "lr": 3e-3, "random_state": seed}
    towers = {"left": MLP((64,)), "right": MLP((64,))}
    plain = Learner(towers, InfoNCE(), **quick).fit(views[views.domain == "source"])
    adapted = Learner(towers, InfoNCE() + 3 * MMD(("left",)), **quick).fit(views, target={"target": ["left"]})
    assert adapted.score(target) > plain.score(target) + 0.15


def test_term_refusals():
    with pytest.raises(UsageError, match="MMD needs two domains or more, got 1; name the domain column"):
        MMD().state(Space({"a": 3}, domains=("here",)))
    with pytest.raises(ModalityError, match="MMD names 'c', but no such view"):
        MMD(views=("c",)).state(SPACE)
    with pytest.raises(UsageError, match=r"MMD names 'a' where a tuple of views is expected; write \('a',\)"):
        MMD(views="a").state(SPACE)
    with pytest.raises(UsageError, match="no kernel 'gauss'"):
        MMD(kernel="gauss").state(SPACE)


def test_a_term_is_its_constructor_call_and_judges_no_held_out_rows():
    term = MMD(views=("a",), bandwidths=(0.5, 1.0))
    assert eval(repr(term)) == term
    assert term.needs() == Needs(validates=False)
