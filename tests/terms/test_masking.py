"""What holds for every contrastive term: missing cells are never read, a batch without rows still steps."""

import pytest
import torch

from bouba import persist
from bouba.batch import Batch
from bouba.terms import (
    CORAL,
    MMD,
    DomainAdversarial,
    Entropy,
    ExplicitNegatives,
    InfoNCE,
    NTXent,
    PseudoPairs,
    Reconstruction,
    SelfTraining,
    SigmoidPairs,
    Space,
    SupervisedContrastive,
    Triplet,
)

TERMS = [
    InfoNCE(),
    NTXent(learn=True),
    SigmoidPairs(),
    Triplet(),
    Triplet(mining="hardest", similarity="euclidean"),
    Triplet(mining="all"),
    SupervisedContrastive(learn=True),
    SupervisedContrastive(by="key", twins=True),
    ExplicitNegatives("a", "b", ("c",)),
    ExplicitNegatives("a", "b", ("c",), in_batch=True),
    Reconstruction(hidden=8),
    Reconstruction(hidden=8, cross=True),
    MMD(unbiased=False),
    MMD(kernel="linear", unbiased=False),
    CORAL(),
    DomainAdversarial(hidden=8),
    DomainAdversarial(hidden=8, condition="kind", entropy_weight=True),
    Entropy(),
    SelfTraining(threshold=0.3),
    SelfTraining(threshold=0.3, twins=False),
    PseudoPairs(threshold=0.1),
    PseudoPairs((("a", "b"),), threshold=0.1, twins=False),
]
SPACE = Space(
    dict.fromkeys("abc", 4),
    domains=("p", "q"),
    classes={"kind": ("x", "y", "z")},
    raw={"a": (3,), "b": (5,)},
    predicted=("kind",),
)
every_term = pytest.mark.parametrize("term", TERMS, ids=repr)


def a_batch(size=8, seed=0, present=0.7):
    draw = torch.Generator().manual_seed(seed)
    here = {view: torch.rand(size, generator=draw) < present for view in SPACE.dims}
    z, twin = ({v: torch.randn(size, 4, generator=draw).requires_grad_() for v in SPACE.dims} for _ in range(2))
    raw = {view: torch.randn(size, *shape, generator=draw) for view, shape in SPACE.raw.items()}
    y = {"kind": torch.randint(-1, 3, (size,), generator=draw)}
    key = torch.randint(-1, 5, (size,), generator=draw)
    domain = torch.arange(size) % 2
    said = [{"kind": torch.randn(size, 3, generator=draw).log_softmax(1).requires_grad_()} for _ in range(2)]
    more = {"predicted": said[0], "predicted_twin": said[1], "domain": domain, "key": key, "progress": 0.5}
    return Batch({}, here, torch.arange(size), z=z, twin=twin, raw=raw, y=y, **more)


def spoilt(batch):
    """The same with NaN in every cell that is missing."""

    def spoil(columns):
        return {
            view: torch.where(batch.present[view][:, None], x.detach(), torch.nan).requires_grad_()
            for view, x in columns.items()
        }

    nowhere = ~batch.any_present[:, None]
    said = [
        {label: x.detach().masked_fill(nowhere, torch.nan).requires_grad_() for label, x in columns.items()}
        for columns in (batch.predicted, batch.predicted_twin)
    ]
    columns = {name: spoil(getattr(batch, name)) for name in ("z", "twin", "raw")}
    return batch.replace(**columns, predicted=said[0], predicted_twin=said[1])


@every_term
@pytest.mark.parametrize(("size", "seed"), [(1, 0), (2, 1), (8, 2), (8, 3), (8, 4)])
def test_missing_cells_have_no_say_and_get_no_gradient(term, size, seed):
    torch.manual_seed(0)
    state, whole = term.state(SPACE), a_batch(size, seed)
    broken = spoilt(whole)
    value, parts = term.loss(whole, state)
    again, parts_again = term.loss(broken, state)
    assert value.item() == again.item()
    assert parts == parts_again
    assert all(torch.as_tensor(part).isfinite().all() for part in parts.values())
    again.backward()
    for view, z in broken.z.items():
        assert z.grad.isfinite().all()
        assert not z.grad[~broken.present[view]].count_nonzero()
    for log_p in (broken.predicted["kind"], broken.predicted_twin["kind"]):
        assert log_p.grad is None or not log_p.grad[~broken.any_present].count_nonzero()


@every_term
@pytest.mark.parametrize("size", [1, 5])
def test_a_batch_without_usable_rows_costs_nothing_and_reaches_everything_learnt(term, size):
    state, batch = term.state(SPACE), spoilt(a_batch(size, present=0.0))
    value, parts = term.loss(batch, state)
    value.backward()
    assert value.item() == 0
    assert all(torch.as_tensor(part).isfinite().all() for part in parts.values())
    for tensor in [*batch.z.values(), *(p for p in state.parameters() if p.requires_grad)]:
        assert tensor.grad is not None
        assert not tensor.grad.count_nonzero()


@every_term
def test_rows_may_come_in_any_order(term):
    torch.manual_seed(0)
    state, batch = term.state(SPACE), a_batch(12, present=0.9)
    order = torch.randperm(12)
    value = term.loss(batch, state)[0].item()
    assert value > 0
    assert term.loss(batch.map(lambda column: column[order]), state)[0].item() == pytest.approx(value, rel=1e-5)


@every_term
def test_a_term_is_its_constructor_call_and_survives_saving(term):
    assert eval(repr(term)) == term
    assert persist.rebuild(persist.describe(term)) == term
