"""PseudoPairs, the term and its function."""

import doctest
import importlib
import math

import numpy as np
import pytest
import torch

from bouba import MLP, InfoNCE, Learner, Views
from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.terms import PseudoPairs, Space, pseudo_pairs

SPACE = Space(dict.fromkeys("ab", 3))


def cells(n=5, m=6, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(rows, 3, generator=draw, dtype=torch.float64) for rows in (n, n, m)]


def by_the_book(z, twin, candidates, groups, tau, threshold):
    def cosine(a, b):
        return float(a @ b / (a.norm() * b.norm()))

    def shares(numbers):
        return [math.exp(v) / sum(map(math.exp, numbers)) for v in numbers]

    n, m = len(z), len(candidates)
    p = [shares([cosine(z[i], c) / tau for c in candidates]) for i in range(n)]
    r = [shares([cosine(a, candidates[j]) / tau for a in z]) for j in range(m)]
    learnt = [shares([cosine(twin[i], c) / tau for c in candidates]) for i in range(n)]
    total, used = 0.0, []
    for i in range(n):
        own = {g: [j for j in range(m) if groups[j] == g] for g in set(groups)}
        best = max(own, key=lambda g: sum(p[i][j] for j in own[g]))
        forward = sum(p[i][j] for j in own[best])
        back = sum(r[j][i] for j in own[best]) / len(own[best])
        used.append(min(forward, back) >= threshold)
        total += -math.log(sum(learnt[i][j] for j in own[best])) * used[-1]
    return total / n, used


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("key", [None, [3, -1, 3, 0, -1, 0]], ids=["no keys", "keys"])
def test_definition(key, threshold):
    z, twin, candidates = cells()
    groups = list(range(6)) if key is None else [0, 1, 0, 2, 3, 2]
    key = None if key is None else torch.tensor(key)
    value, used = pseudo_pairs(z, candidates, twin=twin, key=key, temperature=0.5, threshold=threshold)
    book, believed = by_the_book(z, twin, candidates, groups, 0.5, threshold)
    assert value.item() == pytest.approx(book, abs=1e-10)
    assert used.tolist() == believed


def test_law_turning_the_whole_space_changes_nothing():
    z, twin, candidates = cells()
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    value = pseudo_pairs(z, candidates, twin=twin, threshold=0.2, temperature=0.3)[0].item()
    turned = pseudo_pairs(z @ turn, candidates @ turn, twin=twin @ turn, threshold=0.2, temperature=0.3)[0].item()
    assert turned == pytest.approx(value, abs=1e-10)


def test_law_two_cells_that_want_one_candidate_are_both_in_doubt():
    z = torch.tensor([[1.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    _, used = pseudo_pairs(z, torch.eye(3), temperature=0.05, threshold=0.6)
    assert used.tolist() == [False, False, True]


def test_term_reads_the_rows_that_lack_the_other_view():
    z, twin, candidates = (x.float() for x in cells(4, 3))
    present = {"a": torch.tensor([1, 1, 1, 1, 0, 0, 0]).bool(), "b": torch.tensor([0, 0, 0, 0, 1, 1, 1]).bool()}
    put = lambda a, b: {"a": torch.cat([a, a[:3] * 0]), "b": torch.cat([b[:1].repeat(4, 1) * 0, b])}  # noqa: E731
    batch = Batch({}, present, torch.arange(7), z=put(z, candidates), twin=put(twin, candidates + 0.1))
    term = PseudoPairs(threshold=0.2, temperature=0.3)
    value, parts = term.loss(batch, term.state(SPACE))
    one, used = pseudo_pairs(z, candidates, twin=twin, temperature=0.3, threshold=0.2)
    two, _ = pseudo_pairs(candidates, z, twin=candidates + 0.1, temperature=0.3, threshold=0.2)
    assert value.item() == pytest.approx((one + two).item() / 2, rel=1e-5)
    assert parts["used.a-b"].item() == pytest.approx(used.float().mean().item())


def things(seed, n=40):
    """Forty things, each seen four times in each domain; in the target the left view is displaced."""
    random = np.random.default_rng(seed)
    latent, code = random.normal(size=(n, 8)), np.tile(np.repeat(np.arange(n), 4), 2)
    domain = np.repeat(["source", "target"], 4 * n).astype(object)
    left = latent[code] + 0.15 * random.normal(size=(8 * n, 8)) + 0.7 * (domain == "target")[:, None]
    right = latent[code] @ random.normal(size=(8, 6)) + 0.02 * random.normal(size=(8 * n, 6))
    left = left @ np.random.default_rng(7).normal(size=(8, 12))
    return Views({"left": left, "right": right}, domain=domain, key=code.astype(str).astype(object))


def test_recovery_displaced_cells_find_their_partners_among_those_of_the_source():
    gains = []
    for seed in range(3):
        views = things(seed)
        target = views[views.domain == "target"]
        quick = {"epochs": 40, "dim": 8, "batch_size": 80, "lr": 3e-3, "random_state": seed}
        towers = {"left": MLP((64,)), "right": MLP((64,))}
        plain = Learner(towers, InfoNCE(), **quick).fit(views[views.domain == "source"])
        paired = Learner(towers, InfoNCE() + PseudoPairs(), **quick).fit(views, target={"target": ["left"]})
        gains.append(paired.score(target) - plain.score(target))
    assert min(gains) > 0
    assert np.mean(gains) > 0.04


def test_refusals():
    z, twin, candidates = cells()
    with pytest.raises(UsageError, match="PseudoPairs needs two views or more, got 1"):
        PseudoPairs().state(Space({"a": 3}))
    with pytest.raises(ModalityError, match="PseudoPairs pairs name 'c'"):
        PseudoPairs((("a", "c"),)).state(SPACE)
    with pytest.raises(UsageError, match=r"threshold is a probability in \[0, 1\], got 2"):
        PseudoPairs(threshold=2).state(SPACE)
    with pytest.raises(UsageError, match="temperature must be one finite number above 0, got 0"):
        PseudoPairs(temperature=0).state(SPACE)
    with pytest.raises(UsageError, match=r"candidates \(M, d\), got \(5, 3\), \(5, 3\) and \(6, 2\)"):
        pseudo_pairs(z, candidates[:, :2], twin=twin)
    candidates[1, 1] = math.nan
    with pytest.raises(DataError, match="candidates holds NaN or infinity in 1 of 6 rows, first in row 1"):
        pseudo_pairs(z, candidates)


def test_examples():
    assert doctest.testmod(importlib.import_module("bouba.terms.pseudo_pairs")).failed == 0
