"""Evidence lower bounds, the term and its function."""

import itertools
import math

import pytest
import torch
from torch import nn

from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.nn.experts import KINDS, divergence, log_density, product
from bouba.terms import ELBO, Space, elbo

HERE = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 1, 0], [0, 0, 0]], dtype=torch.bool)


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scores(weights):
    """place -> log p(x_v | z), something that depends on z and on the row."""
    return {v: lambda z, w=w: -(z - w).square().sum(1) for v, w in enumerate(weights)}


def of_subset(mean, log_variance, subset, log_p, decoded, *, prior, beta):
    """One row: the mean code of the product of a subset, scored on `decoded`, less beta KL."""
    here = torch.zeros(1, mean.shape[0], dtype=torch.bool)
    here[0, list(subset)] = True
    m, log_v = product(mean[None], log_variance[None], here, prior=prior)
    return sum(log_p[v](m)[0] for v in decoded), beta * divergence(m, log_v)[0]


def row_by_row(experts, mean, log_variance, log_p, *, beta, alpha):
    """Every bound of a row whose code is the mean, by its definition; of mopoe one for each subset it may draw."""
    for i, present in enumerate(HERE):
        views = present.nonzero().flatten().tolist()
        m, log_v = mean[i], log_variance[i]
        row = {v: (lambda z, v=v, i=i: log_p[v](z.expand(4, -1))[i : i + 1]) for v in log_p}
        if not views:
            yield {0.0}
        elif experts == "mixture":
            total = 0.0
            for v in views:
                mixed = sum(log_density(m[v], m[w], log_v[w]).exp() for w in views) / len(views)
                total += sum(row[w](m[v][None])[0] for w in views) + beta * (log_density(m[v]) - mixed.log())
            yield {(total / len(views)).item()}
        elif experts == "mopoe":
            subsets = [s for k in range(1, 4) for s in itertools.combinations(views, k)]
            parts = [of_subset(m, log_v, s, row, views, prior=False, beta=beta) for s in subsets]
            regret = sum(kl for _, kl in parts) / len(parts)
            yield {(likely - regret).item() for likely, _ in parts}
        else:
            likely, regret = of_subset(m, log_v, views, row, views, prior=False, beta=1.0)
            q, q_v = product(m[None], log_v[None], present[None], prior=False)
            surprise = sum(divergence(q[0], q_v[0], m[v], log_v[v]) for v in views) / len(views)
            n = len(views)
            yield {((n - alpha) / n * likely - beta * ((1 - alpha) * regret + alpha * surprise)).item()}


@pytest.mark.parametrize("experts", ["mixture", "mopoe", "mvtcae"])
def test_definition_row_by_row(experts):
    mean, log_variance, log_p = drawn(4, 3, 2), drawn(4, 3, 2, seed=1), scores((0.3, -0.5, 1.0))
    given = {"experts": experts, "beta": 1.7, "alpha": 0.3, "noise": torch.zeros_like}
    torch.manual_seed(0)
    found = torch.stack([elbo(mean, log_variance, HERE, log_p, **given) for _ in range(60)])
    expected = list(row_by_row(experts, mean, log_variance, log_p, beta=1.7, alpha=0.3))
    for i, allowed in enumerate(expected):
        values = sorted(allowed)
        assert sorted({round(value, 6) for value in found[:, i].tolist()}) == pytest.approx(values, abs=1e-5)


def test_definition_of_the_product_sums_over_all_present_and_each_alone():
    mean, log_variance, log_p = drawn(4, 3, 2), drawn(4, 3, 2, seed=1), scores((0.3, -0.5, 1.0))
    two = HERE & torch.tensor([True, False, True])  # of two views no random subset is drawn
    mean, log_variance, two = mean[:, [0, 2]], log_variance[:, [0, 2]], two[:, [0, 2]]
    log_p = {0: log_p[0], 1: log_p[2]}
    found = elbo(mean, log_variance, two, log_p, experts="product", beta=0.6, noise=torch.zeros_like)
    for i, present in enumerate(two):
        views = present.nonzero().flatten().tolist()
        subsets = [views, *([v] for v in views)] if views else []
        parts = [of_subset(mean[i], log_variance[i], s, log_p, s, prior=True, beta=0.6) for s in subsets]
        assert found[i].item() == pytest.approx(float(sum(likely - kl for likely, kl in parts)), abs=1e-6)


def linear_model(seed=0, views=3, k=2):
    """x_v = a_v z + s_v noise, number by number: log p(x), exact beliefs q_v ~ p(x_v | z), and log p(x_v | z)."""
    a, s, z = 1 + drawn(views, k, seed=seed).abs(), 0.5 + drawn(views, k, seed=seed + 1).abs(), drawn(k, seed=seed + 2)
    x = a * z + s * drawn(views, k, seed=seed + 3)
    log_p = {v: lambda z, v=v: log_density(x[v], a[v] * z, (s[v].square().log()).expand_as(z)) for v in range(views)}
    covariance = [torch.outer(a[:, j], a[:, j]) + torch.diag(s[:, j].square()) for j in range(k)]
    evidence = sum(
        torch.distributions.MultivariateNormal(torch.zeros(views, dtype=x.dtype), c).log_prob(x[:, j])
        for j, c in enumerate(covariance)
    )
    return evidence.item(), (x / a)[None], (s / a).square().log()[None], log_p


def mean_bound(experts, model, present, draws=4000):
    """The bound, averaged over draws, with its standard error."""
    _, mean, log_variance, log_p = model
    expand = lambda q: q.expand(draws, -1, -1)  # noqa: E731
    torch.manual_seed(0)
    here = torch.tensor(present, dtype=torch.bool).expand(draws, -1)
    values = elbo(expand(mean), expand(log_variance), here, log_p, experts=experts, alpha=0.0)
    return values.mean().item(), (values.std() / math.sqrt(draws)).item()


def test_law_no_bound_exceeds_the_evidence_and_the_exact_product_reaches_it():
    for seed in range(3):
        model = linear_model(seed)
        for experts in ("mixture", "mopoe", "mvtcae"):
            value, error = mean_bound(experts, model, [1, 1, 1])
            assert value < model[0] + 4 * error
        evidence, *rest = linear_model(seed, views=1)
        value, error = mean_bound("product", (evidence, *rest), [1])
        assert value == pytest.approx(evidence, abs=4 * error + 1e-6)  # the true posterior: prior times likelihood


@pytest.mark.parametrize("experts", KINDS)
def test_law_a_view_that_no_row_has_changes_nothing_whatever_it_holds(experts):
    """In the value, where no random subset is drawn, and never by a gradient."""
    log_p, values = scores((0.3, -0.5)), []
    for views in (2, 3):
        here = (torch.arange(views) < 2).expand(5, -1)
        parts = [drawn(5, 3, 2, seed=seed)[:, :views].masked_fill(~here[:, :, None], math.nan) for seed in (0, 1)]
        mean, log_variance = (part.requires_grad_() for part in parts)
        torch.manual_seed(0)
        value = elbo(mean, log_variance, here, log_p, experts=experts, noise=torch.zeros_like)
        value.sum().backward()
        for part in (mean, log_variance):
            assert part.grad.isfinite().all()
            assert not part.grad[:, 2:].count_nonzero()
        values.append(value.detach())
    if experts in ("mixture", "mvtcae"):
        torch.testing.assert_close(*values)


@pytest.mark.parametrize("experts", KINDS)
def test_gradcheck(experts):
    mean, log_variance = drawn(4, 2, 2).requires_grad_(), drawn(4, 2, 2, seed=1).requires_grad_()

    def value(mean, log_variance):
        torch.manual_seed(0)
        return elbo(mean, log_variance, HERE[:, :2], scores((0.3, -0.5)), experts=experts)

    assert torch.autograd.gradcheck(value, (mean, log_variance))


def batch_of(z, raw, present):
    return Batch({}, present, torch.arange(len(next(iter(z.values())))), z=z, raw=raw)


def test_the_term_is_the_function_over_rows_with_a_view_in_nats_a_number():
    z = {view: drawn(6, 4, seed=place).float() for place, view in enumerate("abc")}
    raw = {"a": drawn(6, 3).float(), "b": drawn(6, 5, seed=1).float()}
    present = {"a": torch.tensor([1, 1, 0, 0, 0, 0]).bool(), "b": torch.tensor([1, 0, 1, 0, 0, 0]).bool()}
    present["c"] = torch.tensor([1, 1, 0, 1, 1, 0]).bool()
    term = ELBO("mvtcae", beta=2.0, likelihoods=(("b", "laplace"),), hidden=8)
    state = term.state(Space(dict.fromkeys("abc", 4), raw={"a": (3,), "b": (5,)}))
    torch.manual_seed(0)
    value, parts = term.loss(batch_of(z, raw, present), state)
    assert [state[v].family for v in "ab"] == ["gaussian", "laplace"]
    rows = torch.stack(list(z.values()), 1)
    mean, log_variance = rows.chunk(2, -1)
    log_p = {0: lambda q: state["a"](q, raw["a"]), 1: lambda q: state["b"](q, raw["b"])}
    here = torch.stack(list(present.values()), 1)
    torch.manual_seed(0)
    bound = elbo(mean, log_variance, here, log_p, experts="mvtcae", beta=2.0)[:3].mean()  # rows with a or b
    assert value.item() == pytest.approx(-bound.item() / 8, abs=1e-5)
    assert parts["nats"].item() == pytest.approx(bound.item(), abs=1e-4)
    assert parts["scale.a"] == 1


@pytest.mark.parametrize("experts", KINDS)
def test_recovery_a_linear_factor_is_found_and_drawn(experts):
    """Two views of the same two numbers: the code of one gives the other back, better than the mean of the view."""
    torch.manual_seed(0)
    h = drawn(300, 2).float()
    raw = {"a": h @ drawn(2, 6, seed=1).float(), "b": h @ drawn(2, 4, seed=2).float()}
    raw = {view: (x - x.mean(0)) / x.std(0) for view, x in raw.items()}
    towers = nn.ModuleDict({"a": nn.Linear(6, 6), "b": nn.Linear(4, 6)})
    term = ELBO(experts, hidden=32)
    state = term.state(Space({"a": 6, "b": 6}, raw={"a": (6,), "b": (4,)}))
    optimizer = torch.optim.Adam([*towers.parameters(), *state.parameters()], lr=0.01)
    here = {view: torch.ones(300, dtype=torch.bool) for view in raw}
    for _ in range(300):
        optimizer.zero_grad()
        batch = batch_of({view: towers[view](x) for view, x in raw.items()}, raw, here)
        term.loss(batch, state)[0].backward()
        optimizer.step()
    for source, target in (("a", "b"), ("b", "a")):
        mean, log_variance = towers[source](raw[source]).chunk(2, -1)
        only = torch.ones(300, 1, dtype=torch.bool)
        code = product(mean[:, None], log_variance[:, None], only, prior=experts == "product")[0]
        error = (state[target].mean(code) - raw[target]).square().mean().item()
        assert error < 0.15, "1 is what the mean of the view gives"


def test_refusals():
    with pytest.raises(UsageError, match="no experts 'mixtures'; did you mean 'mixture'"):
        ELBO("mixtures")
    for wrong in ({"beta": -1.0}, {"alpha": 1.0}, {"hidden": 0}, {"scale": -0.5}):
        with pytest.raises(UsageError, match="ELBO needs beta of 0 or more"):
            ELBO(**wrong)
    with pytest.raises(UsageError, match=r"means and log-variances, an even width for all views, got \{'a': 3\}"):
        ELBO().state(Space({"a": 3}, raw={"a": (3,)}))
    with pytest.raises(UsageError, match="an even width for all views"):
        ELBO().state(Space({"a": 4, "b": 6}, raw={"a": (3,)}))
    with pytest.raises(ModalityError, match=r"ELBO cannot decode 'b': .* views that can be: 'a'"):
        ELBO(likelihoods=(("b", "laplace"),)).state(Space({"a": 4, "b": 4}, raw={"a": (3,)}))
    with pytest.raises(ModalityError, match=r"ELBO cannot decode 'a': .* views that can be: none"):
        ELBO().state(Space({"a": 4}))
    with pytest.raises(UsageError, match=r"mopoe sums over 2\^11 subsets; take mvtcae"):
        ELBO("mopoe").state(Space(dict.fromkeys("abcdefghijk", 4), raw={"a": (3,)}))
    z, raw = {"a": torch.full((2, 4), math.nan)}, {"a": torch.zeros(2, 3)}
    state = ELBO().state(Space({"a": 4}, raw={"a": (3,)}))
    with pytest.raises(DataError, match="holds NaN or infinity in 2 of 2 rows"):
        ELBO().loss(batch_of(z, raw, {"a": torch.ones(2, dtype=torch.bool)}), state)
