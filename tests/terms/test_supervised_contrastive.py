"""SupervisedContrastive, the term and its function."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import bouba
from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.terms import Space, SupervisedContrastive, nt_xent, supervised_contrastive


def by_the_formula(z, label, temperature):
    """Anchor by anchor and positive by positive, as equation 2 reads."""
    known = [i for i in range(len(z)) if label[i] >= 0]

    def s(i, j):
        return torch.dot(z[i] / z[i].norm(), z[j] / z[j].norm()) / temperature

    costs = []
    for i in known:
        positives = [p for p in known if p != i and label[p] == label[i]]
        if positives:
            everyone = torch.stack([s(i, j) for j in known if j != i]).logsumexp(0)
            costs.append(sum(everyone - s(i, p) for p in positives) / len(positives))
    return sum(costs) / len(costs)


LABELS = {
    "three classes": [0, 1, 0, 2, 1, 1, 2, 0, 0],
    "some unlabelled": [0, -1, 0, 2, 1, 1, -1, 0, -1],
    "some alone": [0, 1, 2, 3, 4, 4, 5, 6, 7],
    "one class": [3] * 9,
}


def cells(size=9, width=4, seed=0, dtype=torch.float64):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(size, width, generator=draw, dtype=torch.float64).to(dtype).requires_grad_()


def value_and_gradients(loss, leaves):
    return [loss.detach(), *torch.autograd.grad(loss, leaves)]


@pytest.mark.parametrize("tile", [None, 1, 4])
@pytest.mark.parametrize("label", LABELS.values(), ids=LABELS.keys())
def test_definition(label, tile):
    label, leaves = torch.tensor(label), (cells(), torch.tensor(0.3, dtype=torch.float64, requires_grad=True))
    expected = value_and_gradients(by_the_formula(leaves[0], label, leaves[1]), leaves)
    ours = supervised_contrastive(leaves[0], label, temperature=leaves[1], tile=tile)
    for mine, theirs in zip(value_and_gradients(ours, leaves), expected):
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-11)


def test_gradcheck():
    tau, label = torch.tensor(0.5, dtype=torch.float64, requires_grad=True), torch.tensor([0, 1, 0, -1, 1, 2])
    assert torch.autograd.gradcheck(
        lambda z, t: supervised_contrastive(z, label, temperature=t, tile=2), (cells(6, 3), tau)
    )


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999), size=st.integers(1, 8))
def test_law_two_rows_a_label_are_nt_xent(seed, size):
    z, twin = cells(size, seed=seed), cells(size, seed=seed + 1)
    label = torch.arange(size).repeat(2)
    ours = supervised_contrastive(torch.cat([z, twin]), label, temperature=0.5)
    torch.testing.assert_close(ours, nt_xent(z, twin, temperature=0.5), rtol=1e-10, atol=1e-10)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 999))
def test_law_order_rotation_and_names_of_the_classes(seed):
    z, label = cells(seed=seed), torch.tensor(LABELS["some unlabelled"])
    value = supervised_contrastive(z, label)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    turn, _ = torch.linalg.qr(cells(4, 4, seed=seed + 1))
    renamed = torch.where(label < 0, label, 7 - label)
    for other in ((z[order], label[order]), (z @ turn, label), (z, renamed)):
        torch.testing.assert_close(supervised_contrastive(*other), value, rtol=1e-10, atol=1e-10)


def test_law_several_captions_of_a_picture():
    """Pictures and captions in one, the key as label: what a loop over each picture's captions gives."""
    pictures, captions = cells(3), cells(6, seed=1)
    about = torch.tensor([0, 0, 0, 1, 1, 2])
    z, label = torch.cat([pictures, captions]), torch.cat([torch.arange(3), about])
    torch.testing.assert_close(
        supervised_contrastive(z, label, temperature=0.3), by_the_formula(z, label, 0.3), rtol=1e-12, atol=1e-12
    )


def test_law_all_alike_and_classes_apart():
    label = torch.arange(12) % 3
    assert supervised_contrastive(torch.ones(12, 3), label).item() == pytest.approx(math.log(11), abs=1e-6)
    solved = supervised_contrastive(torch.eye(3)[label], label, temperature=0.01)
    assert solved.item() == pytest.approx(math.log(3), abs=1e-5)  # its three positives compete


@pytest.mark.parametrize("label", [[0, 1, 2], [-1, -1, -1], [-1, 0, -1]], ids=str)
def test_without_positives_the_loss_and_its_gradient_are_zero(label):
    z = cells(3)
    assert not any(x.count_nonzero() for x in value_and_gradients(supervised_contrastive(z, torch.tensor(label)), (z,)))


def test_rows_of_zeros_and_a_solved_batch_in_float32():
    z = torch.eye(4).repeat(2, 1)
    z[1], z[5] = 0.0, 0.0
    z.requires_grad_()
    value, gradient = value_and_gradients(supervised_contrastive(z, torch.arange(8) % 4, temperature=0.01), (z,))
    assert value.isfinite()
    assert gradient.abs().max() < 1e3


def test_half_precision_is_computed_in_float32():
    z, label = cells(dtype=torch.bfloat16), torch.tensor(LABELS["three classes"])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert supervised_contrastive(z, label).item() == supervised_contrastive(z.float(), label).item()


def test_recovery_aligns_two_views_through_their_classes_alone():
    """No row has both views. Projections learnt by label let one view find its class in the other; PCA's do not."""
    draw = torch.Generator().manual_seed(0)
    kind = torch.arange(200) % 5
    left, right = (torch.randn(5, 8, generator=draw)[kind] + 0.5 * torch.randn(200, 8, generator=draw) for _ in "ab")
    present = {"left": torch.arange(200) < 100, "right": torch.arange(200) >= 100}
    towers = nn.ModuleDict({"left": nn.Linear(8, 4), "right": nn.Linear(8, 4)})
    term = SupervisedContrastive()
    state = term.state(Space({"left": 4, "right": 4}, classes={"kind": ("a", "b", "c", "d", "e")}))
    optimizer = torch.optim.Adam(towers.parameters(), lr=0.02)
    for _ in range(100):
        z = {"left": towers["left"](left), "right": towers["right"](right)}
        optimizer.zero_grad()
        value, parts = term.loss(Batch({}, present, torch.arange(200), z=z, y={"kind": kind}), state)
        value.backward()
        optimizer.step()

    def found(a, b):
        nearest = (F.normalize(a[:100], dim=1) @ F.normalize(b[100:], dim=1).T).argmax(1)
        return (kind[100:][nearest] == kind[:100]).float().mean()

    assert found(z["left"].detach(), z["right"].detach()) > 0.9
    components = [x @ torch.pca_lowrank(x, 4)[2] for x in (left, right)]
    assert found(*components) < 0.5
    assert parts["positives"] == 39


def a_batch(**changes):
    draw = torch.Generator().manual_seed(0)
    z, twin = ({name: torch.randn(6, 4, generator=draw) for name in ("a", "b")} for _ in range(2))
    here = {"a": torch.ones(6, dtype=torch.bool), "b": torch.tensor([1, 1, 0, 1, 1, 0], dtype=torch.bool)}
    y = {"kind": torch.tensor([0, 0, 1, 1, -1, 2]), "number": torch.randn(6)}
    return Batch({}, here, torch.arange(6), z=z, twin=twin, y=y).replace(**changes)


SPACE = Space({"a": 4, "b": 4}, classes={"kind": ("x", "y", "z")})


def test_term_by_label_takes_every_labelled_cell_of_every_view():
    batch, term = a_batch(), SupervisedContrastive(temperature=0.2)
    value, parts = term.loss(batch, term.state(SPACE))
    z = torch.cat([batch.z["a"][[0, 1, 2, 3, 5]], batch.z["b"][[0, 1, 3]]])
    expected = supervised_contrastive(z, torch.tensor([0, 0, 1, 1, 2, 0, 0, 1]), temperature=0.2)
    assert value.item() == pytest.approx(expected.item(), abs=1e-6)
    assert parts["positives"].item() == pytest.approx((4 * 3 + 3 * 2 + 0) / 8)
    least = (4 * math.log(3) + 3 * math.log(2)) / 7
    assert parts["of_chance"].item() == pytest.approx((expected.item() - least) / (math.log(7) - least), abs=1e-5)
    only_a = SupervisedContrastive("kind", views=("a",), temperature=0.2).loss(batch, term.state(SPACE))[0]
    expected = supervised_contrastive(batch.z["a"], batch.y["kind"], temperature=0.2)
    assert only_a.item() == pytest.approx(expected.item(), abs=1e-6)


def test_term_by_key_takes_unknown_keys_for_things_of_their_own():
    key = torch.tensor([4, 4, -1, 2, -1, 2])
    batch, term = a_batch(key=key), SupervisedContrastive(by="key", twins=True)
    value, _ = term.loss(batch, term.state(SPACE))
    z = torch.cat([batch.z["a"], batch.twin["a"], *(kind["b"][[0, 1, 3, 4]] for kind in (batch.z, batch.twin))])
    label = torch.tensor([4, 4, 10, 2, 11, 2] * 2 + [4, 4, 2, 11] * 2)
    assert value.item() == pytest.approx(supervised_contrastive(z, label).item(), abs=1e-6)
    alone, _ = term.loss(batch.replace(key=None), term.state(SPACE))
    label = torch.tensor([0, 1, 2, 3, 4, 5] * 2 + [0, 1, 3, 4] * 2)
    assert alone.item() == pytest.approx(supervised_contrastive(z, label).item(), abs=1e-6)


def test_of_chance_is_one_where_all_look_alike_and_zero_where_solved():
    term, here = SupervisedContrastive(temperature=0.01), {"a": torch.ones(6, dtype=torch.bool)}
    y = {"kind": torch.tensor([0, 0, 0, 1, 1, 2])}
    for z, share in ((torch.ones(6, 4), 1.0), (torch.eye(3, 4)[y["kind"]], 0.0)):
        _, parts = term.loss(Batch({}, here, torch.arange(6), z={"a": z}, y=y), term.state(SPACE))
        assert parts["of_chance"].item() == pytest.approx(share, abs=1e-5)
    one = {"kind": torch.zeros(6, dtype=torch.int64)}
    _, parts = term.loss(Batch({}, here, torch.arange(6), z={"a": z}, y=one), term.state(SPACE))
    assert "of_chance" not in parts  # one class: nothing to tell apart


def test_twins_are_needed_only_where_they_are_read():
    assert SupervisedContrastive(twins=True).needs().twins
    assert not SupervisedContrastive().needs().twins


def test_a_batch_without_the_label_has_no_value():
    term = SupervisedContrastive()
    value, parts = term.loss(a_batch(y={}), term.state(SPACE))
    assert value is None
    assert set(parts) == {"temperature"}


def test_refusals():
    z = cells().detach()
    with pytest.raises(UsageError, match=r"label must hold one number a row, \(9,\), got \(4,\)"):
        supervised_contrastive(z, torch.zeros(4, dtype=torch.int64))
    with pytest.raises(UsageError, match="temperature must be one finite number above 0, got 0"):
        supervised_contrastive(z, torch.arange(9), temperature=0.0)
    z[4, 2] = math.nan
    with pytest.raises(DataError, match="z holds NaN or infinity in 1 of 9 rows, first in row 4"):
        supervised_contrastive(z, torch.arange(9))
    two = Space({"a": 4}, classes={"kind": ("x", "y"), "style": ("p", "q")})
    with pytest.raises(UsageError, match="takes one label column of 'kind', 'style'; say which: label="):
        SupervisedContrastive().state(two)
    with pytest.raises(UsageError, match="names 'knd', but no such label column; did you mean 'kind'"):
        SupervisedContrastive("knd").state(two)
    with pytest.raises(UsageError, match=r"needs a label column, and there is none; name one .*, or use by='key'"):
        SupervisedContrastive().state(Space({"a": 4}))
    with pytest.raises(UsageError, match="goes by 'label' or 'key', got 'keys'"):
        SupervisedContrastive(by="keys").state(two)
    with pytest.raises(UsageError, match="by='key' reads no label, got label='kind'; leave one out"):
        SupervisedContrastive("kind", by="key").state(two)
    with pytest.raises(UsageError, match="compares a batch with its twins, and this one has none"):
        SupervisedContrastive(twins=True).loss(a_batch(twin={}), SupervisedContrastive().state(SPACE))
    with pytest.raises(ModalityError, match="SupervisedContrastive names 'aa', but no such view"):
        SupervisedContrastive("kind", views=("aa",)).state(two)


@pytest.mark.parametrize("label", [None, "speaker"])
@pytest.mark.parametrize("number", [int, float])
def test_numbers_of_speakers_are_names(label, number):
    speaker = np.repeat(np.arange(30), 2).astype(number)
    views = bouba.Views({"voice": np.random.default_rng(0).normal(size=(60, 3))}, y={"speaker": speaker})
    model = bouba.Learner(objective=SupervisedContrastive(label), epochs=1, dim=2, batch_size=60).fit(views)
    assert model.codes_.classes["speaker"] == tuple(range(30))
    assert not model.codes_.numbers
    assert model.history_[0]["SupervisedContrastive.positives"] == pytest.approx(1)


def test_a_quantity_and_several_columns_of_numbers_are_refused():
    views = bouba.Views({"voice": np.eye(60)}, y={"age": np.linspace(20, 90, 60)})
    with pytest.raises(DataError, match="label 'age' holds 60 different numbers in 60 rows, which are no classes"):
        bouba.Learner(objective=SupervisedContrastive(), epochs=1).fit(views)
    two = views.replace(y={"speaker": np.arange(60) // 2, "room": np.arange(60) // 2})
    with pytest.raises(
        UsageError, match=r"needs classes, and 'speaker', 'room' hold numbers; say which .*: label=\.\.\."
    ):
        bouba.Learner(objective=SupervisedContrastive(), epochs=1).fit(two)
    with pytest.raises(UsageError, match="names 'speakr', but no such label column; did you mean 'speaker'"):
        bouba.Learner(objective=SupervisedContrastive("speakr"), epochs=1).fit(
            two.replace(y={"speaker": ["a", "b"] * 30})
        )
