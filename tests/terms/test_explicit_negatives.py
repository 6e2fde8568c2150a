"""ExplicitNegatives, the term and its function."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.terms import ExplicitNegatives, Space, explicit_negatives, info_nce
from bouba.terms.checks import SIMILARITIES


def by_the_formula(anchor, positive, negatives, temperature, present, similarity, in_batch=False, key=None):
    """Row by row: -log of the positive's share."""

    def s(x, y):
        if similarity == "cosine":
            return (x / x.norm() * y / y.norm()).sum() / temperature
        return ((x * y).sum() if similarity == "dot" else -(x - y).norm()) / temperature

    costs, size = [], len(anchor)
    for i in range(size):
        rivals = [negatives[i, j] for j in range(negatives.shape[1]) if present[i, j]]
        if in_batch:
            rivals += [positive[k] for k in range(size) if k != i and (key is None or key[i] < 0 or key[k] != key[i])]
        if rivals:
            own = torch.exp(s(anchor[i], positive[i]))
            costs.append(-torch.log(own / (own + sum(torch.exp(s(anchor[i], r)) for r in rivals))))
    return sum(costs) / len(costs)


def problem(size=6, several=3, width=4, seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    shapes = ((size, width), (size, width), (size, several, width))
    return [torch.randn(shape, generator=draw, dtype=torch.float64).to(dtype).requires_grad_() for shape in shapes]


PRESENT = torch.tensor([[1, 1, 1], [1, 0, 1], [0, 0, 0], [0, 0, 1], [1, 1, 0], [0, 1, 0]], dtype=torch.bool)


def value_and_gradients(loss, leaves):
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize(("in_batch", "key"), [(False, None), (True, None), (True, [0, 1, 0, -1, 1, -1])])
def test_definition(similarity, missing, in_batch, key):
    leaves = [*problem(), torch.tensor(0.4, dtype=torch.float64, requires_grad=True)]
    present = PRESENT if missing else torch.ones_like(PRESENT)
    options = {"similarity": similarity, "in_batch": in_batch, "key": None if key is None else torch.tensor(key)}
    expected = value_and_gradients(by_the_formula(*leaves, present, **options), leaves)
    given_present = present if missing else None
    ours = explicit_negatives(*leaves[:3], present=given_present, temperature=leaves[3], tile=2, **options)
    for mine, theirs in zip(value_and_gradients(ours, leaves), expected):
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("in_batch", [False, True])
def test_gradcheck(similarity, in_batch):
    tau = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    options = {"present": PRESENT[1:4, :2], "similarity": similarity, "in_batch": in_batch}
    assert torch.autograd.gradcheck(
        lambda *x: explicit_negatives(*x[:3], temperature=x[3], **options), (*problem(3, 2, 3), tau)
    )


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999))
def test_law_rotation_and_order_of_rows_and_of_negatives(seed):
    leaves = problem(seed=seed)
    draw = torch.Generator().manual_seed(seed)
    rows, columns = torch.randperm(6, generator=draw), torch.randperm(3, generator=draw)
    turn, _ = torch.linalg.qr(problem(4, seed=seed + 1)[0])
    for in_batch in (False, True):
        value = explicit_negatives(*leaves, present=PRESENT, in_batch=in_batch)
        turned = explicit_negatives(*(x @ turn for x in leaves), present=PRESENT, in_batch=in_batch)
        anchor, positive, negatives = (x[rows] for x in leaves)
        shuffled = explicit_negatives(
            anchor, positive, negatives[:, columns], present=PRESENT[rows][:, columns], in_batch=in_batch
        )
        torch.testing.assert_close(turned, value, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(shuffled, value, rtol=1e-9, atol=1e-9)


def test_law_others_positives_written_out_are_info_nce_one_way():
    anchor, positive, _ = problem(5)
    others = torch.stack([positive[[k for k in range(5) if k != i]] for i in range(5)])  # (5, 4, D)
    none = torch.zeros(5, 1, dtype=torch.bool)
    written = explicit_negatives(anchor, positive, others)
    by_batch = explicit_negatives(anchor, positive, others[:, :1], present=none, in_batch=True)
    back = explicit_negatives(positive, anchor, others[:, :1], present=none, in_batch=True)
    torch.testing.assert_close(written, by_batch, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close((by_batch + back) / 2, info_nce(anchor, positive), rtol=1e-10, atol=1e-10)


def test_law_all_alike_costs_the_log_of_the_candidates():
    z = torch.ones(5, 3)
    assert explicit_negatives(z, z, torch.ones(5, 4, 3)).item() == pytest.approx(math.log(5), abs=1e-6)
    both = explicit_negatives(z, z, torch.ones(5, 4, 3), in_batch=True)
    assert both.item() == pytest.approx(math.log(9), abs=1e-6)


@pytest.mark.parametrize(("size", "in_batch"), [(6, False), (1, False), (1, True)])
def test_without_negatives_the_loss_and_its_gradient_are_zero(size, in_batch):
    leaves = problem(size)
    absent = torch.zeros(size, 3, dtype=torch.bool)
    with torch.autograd.set_detect_anomaly(True):  # no NaN on the way either
        value = explicit_negatives(*leaves, present=absent, in_batch=in_batch)
        assert not any(x.count_nonzero() for x in value_and_gradients(value, leaves))


@pytest.mark.parametrize("in_batch", [False, True])
def test_a_solved_batch_at_scale_100_keeps_its_digits_in_float32(in_batch):
    z = torch.eye(4, 8)
    negatives = torch.eye(8)[4:].reshape(4, 1, 8)
    leaves = [x.clone().requires_grad_() for x in (z, z, negatives)]
    value, *gradients = value_and_gradients(explicit_negatives(*leaves, temperature=0.014, in_batch=in_batch), leaves)
    assert value.item() == pytest.approx((4 if in_batch else 1) * math.exp(-1 / 0.014), rel=1e-4)
    assert all(g.isfinite().all() for g in gradients)
    # along the anchor: d cos(anchor, negative) = negative, at weight p / tau / B
    pull = math.exp(-1 / 0.014) / 0.014 / 4
    torch.testing.assert_close(gradients[2][:, 0], pull * z, rtol=1e-3, atol=0)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_rows_of_zeros_are_finite_with_a_bounded_gradient(similarity):
    anchor, positive, negatives = (x.detach() for x in problem(dtype=torch.float32))
    anchor[2], positive[2], negatives[2], negatives[4, 1] = 0.0, 0.0, 0.0, 0.0
    leaves = [x.requires_grad_() for x in (anchor, positive, negatives)]
    value, *gradients = value_and_gradients(explicit_negatives(*leaves, similarity=similarity), leaves)
    assert value.isfinite()
    assert all(g.abs().max() < 1e3 for g in gradients)


def test_half_precision_is_computed_in_float32():
    leaves = problem(dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = explicit_negatives(*leaves, in_batch=True).item()
    assert value == explicit_negatives(*(x.float() for x in leaves), in_batch=True).item()


def test_recovery_learns_the_difference_that_only_written_negatives_show():
    """Eight numbers name a thing, a weak ninth is whether it is as said. Strangers differ in the eight, so InfoNCE
    picks partners by these; the wrong captions differ in the ninth alone."""
    draw = torch.Generator().manual_seed(0)

    def data(n):
        thing = torch.randn(n, 8, generator=draw)
        so = torch.randint(0, 2, (n, 1), generator=draw) * 2.0 - 1
        see, say = torch.randn(9, 9, generator=torch.Generator().manual_seed(1)), torch.eye(9).roll(1, 0)
        picture = torch.cat([thing, 0.1 * so], 1) @ see
        return picture, torch.cat([thing, 0.1 * so], 1) @ say, torch.cat([thing, -0.1 * so], 1) @ say

    def right(loss):
        torch.manual_seed(0)
        towers = [nn.Linear(9, 9), nn.Linear(9, 9)]
        optimizer = torch.optim.Adam([p for tower in towers for p in tower.parameters()], lr=0.01)
        for _ in range(150):
            picture, caption, wrong = data(64)
            optimizer.zero_grad()
            loss(towers[0](picture), towers[1](caption), towers[1](wrong)).backward()
            optimizer.step()
        picture, caption, wrong = data(500)
        anchor = nn.functional.normalize(towers[0](picture), dim=1)
        yes, no = (nn.functional.normalize(towers[1](x), dim=1) for x in (caption, wrong))
        return ((anchor * yes).sum(1) > (anchor * no).sum(1)).float().mean().item()

    ours = right(lambda a, p, n: explicit_negatives(a, p, n[:, None], in_batch=True))
    assert ours > 0.9
    assert ours > right(lambda a, p, n: info_nce(a, p)) + 0.05


def a_batch():
    draw = torch.Generator().manual_seed(0)
    masks = {
        "image": [1, 1, 1, 1, 1, 0],
        "text": [1, 1, 1, 1, 0, 1],
        "no": [1, 0, 0, 1, 1, 1],
        "not": [1, 1, 0, 0, 1, 1],
    }
    z = {name: torch.randn(6, 4, generator=draw) for name in masks}
    here = {name: torch.tensor(mask, dtype=torch.bool) for name, mask in masks.items()}
    return Batch({}, here, torch.arange(6), z=z, key=torch.tensor([0, 1, 0, -1, 2, 2]))


@pytest.mark.parametrize("in_batch", [False, True])
def test_term_reads_the_rows_that_have_anchor_positive_and_a_negative(in_batch):
    batch, term = a_batch(), ExplicitNegatives("image", "text", ("no", "not"), temperature=0.3, in_batch=in_batch)
    value, parts = term.loss(batch, term.state(Space(dict.fromkeys(batch.z, 4))))
    rows = [0, 1, 2, 3] if in_batch else [0, 1, 3]
    present = torch.stack([batch.present["no"][rows], batch.present["not"][rows]], 1)
    negatives = torch.stack([batch.z["no"][rows], batch.z["not"][rows]], 1)
    expected = by_the_formula(
        batch.z["image"][rows], batch.z["text"][rows], negatives, 0.3, present, "cosine", in_batch, batch.key[rows]
    )
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)
    counts = [2 + 2, 1 + 3, 0 + 2, 1 + 3] if in_batch else [2, 1, 1]
    chance = sum(math.log(1 + n) for n in counts) / len(counts)
    assert parts["of_chance"].item() == pytest.approx(expected.item() / chance, abs=1e-6)
    assert parts["temperature"].item() == pytest.approx(0.3)


def test_refusals():
    anchor, positive, negatives = (x.detach() for x in problem())
    with pytest.raises(UsageError, match=r"got anchor \(6, 4\) and positive \(5, 4\)"):
        explicit_negatives(anchor, positive[:5], negatives)
    for shape in ((5, 3, 4), (6, 3, 5), (6, 4), (6, 0, 4)):
        with pytest.raises(UsageError, match=r"negatives must be \(6, J, 4\) with J >= 1"):
            explicit_negatives(anchor, positive, torch.zeros(shape))
    with pytest.raises(UsageError, match=r"present must be bool \(6, 3\), got torch.bool \(6,\)"):
        explicit_negatives(anchor, positive, negatives, present=PRESENT[:, 0])
    with pytest.raises(UsageError, match="no similarity 'cos'"):
        explicit_negatives(anchor, positive, negatives, similarity="cos")
    negatives[4, 0, 1] = math.nan
    with pytest.raises(DataError, match="negatives holds NaN or infinity in 1 of 6 rows, first in row 4"):
        explicit_negatives(anchor, positive, negatives)
    space = Space({"image": 4, "text": 4, "wrong": 4})
    with pytest.raises(ModalityError, match="ExplicitNegatives names 'worng', but no such view; did you mean 'wrong'"):
        ExplicitNegatives("image", "text", ("worng",)).state(space)
    with pytest.raises(ModalityError, match="ExplicitNegatives names 'imge', but no such view; did you mean 'image'"):
        ExplicitNegatives("imge", "text", ("wrong",)).state(space)
    with pytest.raises(UsageError, match=r"names 'wrong' where a tuple of views is expected; write \('wrong',\)"):
        ExplicitNegatives("image", "text", "wrong").state(space)
    for negatives in ((), ("text",), ("wrong", "wrong")):
        with pytest.raises(UsageError, match="an anchor, a positive and negatives, all different"):
            ExplicitNegatives("image", "text", negatives).state(space)
