"""SimSiam, BYOL and DINO: terms whose target stands still, and the moving averages of towers that two of them read."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bouba import MLP, Learner, SameAs, Views, load
from bouba.batch import Batch
from bouba.errors import DataError, ModalityError, UsageError
from bouba.metrics import accuracy, knn
from bouba.nn.moving_average import MovingAverage
from bouba.terms import BYOL, DINO, NTXent, SimSiam, Space, dino, predicted_cosine, sim_siam
from bouba.towers import ConvNet

SPACE = Space(dict.fromkeys("abc", 4))


def normal(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def a_batch(size=10, present=0.7):
    draw = torch.Generator().manual_seed(0)
    here = {view: torch.rand(size, generator=draw) < present for view in "abc"}
    z, twin, averaged = ({view: torch.randn(size, 4, generator=draw) for view in "abc"} for _ in "zta")
    return Batch({}, here, torch.arange(size), z=z, twin=twin, averaged=averaged)


def numbers(n=60, d=5, seed=0):
    return Views({"x": np.random.default_rng(seed).normal(size=(n, d))})


def hidden_classes(seed, n=600):
    """Eight classes: the signs of three latent numbers, each told eight times with noise, among 30 columns of noise."""
    random = np.random.default_rng(seed)
    latent = random.normal(size=(n, 3))
    told = np.repeat(latent, 8, axis=1) + 0.5 * random.normal(size=(n, 24))
    return np.hstack([told, random.normal(size=(n, 30))]), ((latent > 0) @ [1, 2, 4]).astype(str)


def test_definition_of_sim_siam_and_its_gradient_that_stops():
    z, other = normal(6, 3).requires_grad_(), normal(6, 3, seed=1).requires_grad_()
    torch.manual_seed(0)
    h, norm = nn.Linear(3, 3).double(), nn.BatchNorm1d(3, affine=False).double()
    expected = sum(
        (1 - F.cosine_similarity(h(norm(a)), norm(b.detach()), dim=1)).mean() / 2 for a, b in ((z, other), (other, z))
    )
    value = sim_siam(z, other, h)
    assert value.item() == pytest.approx(expected.item(), rel=1e-12)
    for mine, theirs in zip(torch.autograd.grad(value, (z, other)), torch.autograd.grad(expected, (z, other))):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-12)
    (gradient,) = torch.autograd.grad(predicted_cosine(z, other, h).sum() + 0 * other.sum(), other)
    assert not gradient.count_nonzero()


def test_definition_of_dino_by_a_loop():
    student, teacher, centre = normal(5, 4), normal(5, 4, seed=1), normal(4, seed=2)
    total = 0.0
    for s, t in zip(student, teacher):
        p = [math.exp((t[k] - centre[k]) / 0.2) for k in range(4)]
        q = [math.exp(s[k] / 0.5) for k in range(4)]
        total -= sum(p[k] / sum(p) * math.log(q[k] / sum(q)) for k in range(4))
    assert dino(student, teacher, centre, temperature=0.5, teacher_temperature=0.2).item() == pytest.approx(total / 5)
    assert dino(teacher / 2, teacher, 0 * centre, temperature=0.1, teacher_temperature=0.2).item() == pytest.approx(
        torch.distributions.Categorical(logits=teacher / 0.2).entropy().mean().item()
    ), "a student that sorts as the teacher does costs the entropy"


def test_definition_of_the_terms_over_views_and_the_rows_that_have_them():
    batch = a_batch()
    for term in (SimSiam(), BYOL()):
        torch.manual_seed(0)
        state = term.state(SPACE)
        value, parts = term.loss(batch, state)
        total = 0.0
        for view, rows in batch.present.items():
            z, twin, slow = (of[view][rows] for of in (batch.z, batch.twin, batch.averaged))
            if isinstance(term, SimSiam):
                total += sim_siam(z, twin, state[view]).item()
            else:
                total += sum(predicted_cosine(copy, slow, state[view]).item() for copy in (z, twin))
        assert value.item() == pytest.approx(total / 3, rel=1e-5)
        assert 0 < parts["spread"] < 1.2


def test_dino_moves_its_centre_after_the_step_and_so_does_the_teacher():
    term = DINO(groups=3, decay=0.0, momentum=0.5, views=("a",))
    state = term.state(SPACE)["a"]
    batch = a_batch(present=1.1)
    first, _ = term.loss(batch, {"a": state})
    assert term.loss(batch, {"a": state})[0].item() == first.item(), "a function of the batch until the step"
    scores = state.teacher(batch.averaged["a"])
    assert not state.centre.count_nonzero()
    state.after_step()
    torch.testing.assert_close(state.centre, scores.mean(0) / 2)
    with torch.no_grad():
        state.prototypes.weight.neg_()
    state.after_step()
    torch.testing.assert_close(state.teacher(batch.averaged["a"]), -scores)


@pytest.mark.parametrize("term", [SimSiam(), BYOL(), DINO(groups=32)], ids=repr)
def test_recovery_neighbours_agree_more_than_untrained(term):
    x, y = hidden_classes(0)
    views, towers = Views({"x": x}), {"x": MLP(mask=0.4)}
    found = {}
    for name, lr, epochs in (("learnt", 2e-3, 25), ("untrained", 0.0, 1)):
        model = Learner(towers, term, dim=16, epochs=epochs, lr=lr, batch_size=100).fit(views[:300])
        z = model.embed(views)["x"]
        found[name] = accuracy(y[300:], knn(z[:300], y[:300], z[300:]))
    assert found["learnt"] > found["untrained"] + 0.1, found
    last = model.history_[-1]
    assert all(math.isfinite(value) for value in last.values())


def towers_of(*names):
    return {name: MLP(hidden=(6,), mask=0.2) for name in names}


def test_averages_follow_the_towers_and_are_read():
    model = Learner(towers_of("x"), BYOL(decay=0.0), dim=4, epochs=2, batch_size=20).fit(numbers())
    module = model.module_
    average, tower = module.averages["x"], module.towers["x"]
    for name, values in zip(average.names, average._averages()):
        torch.testing.assert_close(values, tower.get_parameter(name).detach())
    slow = Learner(towers_of("x"), BYOL(decay=0.999), dim=4, epochs=2, batch_size=20).fit(numbers()).module_
    gaps = [
        (values - slow.towers["x"].get_parameter(name)).abs().max()
        for name, values in zip(slow.averages["x"].names, slow.averages["x"]._averages())
    ]
    assert max(gaps) > 1e-4
    assert int(slow.averages["x"].steps) == 6
    assert Learner(towers_of("x"), NTXent(), dim=4, epochs=1).fit(numbers()).module_.averages is None


def test_definition_of_the_first_loss_of_byol():
    """One step at rate 0: the averages are the towers, so that nothing but what varies lies between them."""
    plain = {"x": MLP(hidden=(6,), dropout=0.0)}
    model = Learner(plain, BYOL(), dim=4, epochs=1, batch_size=60, lr=0.0).fit(numbers())
    z = torch.from_numpy(model.embed(numbers())["x"])
    predictor = model.module_.state[0]["x"].train()
    assert model.history_[0]["loss"] == pytest.approx(2 * predicted_cosine(z, z, predictor).item(), rel=1e-5)


def test_views_that_share_a_tower_share_its_average():
    both = Views({"front": numbers(seed=1)["x"], "back": numbers(seed=2)["x"]})
    model = Learner({"front": MLP(), "back": SameAs("front")}, BYOL(), dim=4, epochs=1).fit(both)
    averages = model.module_.averages
    assert averages["front"] is averages["back"]
    assert int(averages["front"].steps) == len(range(0, 60, 32))


def test_batch_norm_of_the_average_is_its_own():
    tower = ConvNet(channels=4).build({})
    average = MovingAverage(tower, 0.9)
    pixels = torch.rand(8, 3, 32, 32)
    before = tower.layers[0][1].running_mean.clone()
    average.run(tower.train(), pixels)
    torch.testing.assert_close(tower.layers[0][1].running_mean, before)
    tower.eval()
    assert not torch.allclose(average.run(tower, pixels), tower(pixels))
    average.run(tower.train(), pixels)
    tower(pixels)
    tower(pixels)
    torch.testing.assert_close(average.run(tower.eval(), pixels), tower(pixels))


@pytest.mark.parametrize("term", [BYOL(), DINO(groups=8), SimSiam()], ids=repr)
def test_saved_and_resumed_to_the_bit(term, tmp_path):
    views = numbers(80)
    options = {"dim": 4, "batch_size": 20, "lr": 0.01}
    whole = Learner(towers_of("x"), term, epochs=4, **options).fit(views)

    class Cut(Exception):
        pass

    def cut(row):
        if row["epoch"] == 2:
            raise Cut

    with pytest.raises(Cut):
        Learner(towers_of("x"), term, epochs=4, **options).fit(views, folder=tmp_path / "run", on_epoch=cut)
    again = Learner(towers_of("x"), term, epochs=4, **options).fit(views, folder=tmp_path / "run", resume=True)
    for name, value in whole.module_.state_dict().items():
        assert torch.equal(value, again.module_.state_dict()[name]), name
    whole.save(tmp_path / "model")
    copy = load(tmp_path / "model")
    assert np.array_equal(copy.embed(views)["x"], whole.embed(views)["x"])
    for name, value in whole.module_.state_dict().items():
        assert torch.equal(value, copy.module_.state_dict()[name]), name


def test_chunks_change_nothing_of_the_loss_where_nothing_is_drawn():
    """What an embedding is shifted by has no gradient but rounding, which Adam makes into steps."""
    plain = {"x": MLP(hidden=(6,), dropout=0.0)}
    for term in (BYOL(), DINO(groups=8), SimSiam()):
        options = {"dim": 4, "epochs": 2, "batch_size": 20, "lr": 0.01}
        whole, parts = (Learner(plain, term, chunk_size=c, **options).fit(numbers()) for c in (None, 7))
        assert [row["loss"] for row in parts.history_] == pytest.approx([r["loss"] for r in whole.history_], rel=1e-4)


def test_missing_cells_are_left_out():
    columns = Views({"x": numbers()["x"], "y": numbers(seed=1)["x"]})
    absent = np.arange(60) % 3 == 0
    views = columns.replace(columns={"x": columns["x"], "y": columns["y"].without(absent)})
    for term in (SimSiam(), BYOL(), DINO(groups=8)):
        model = Learner(towers_of("x", "y"), term, dim=4, epochs=2).fit(views)
        z = model.embed(views)["y"]
        assert not z[absent].any()
        assert np.isfinite(z).all()


def test_refusals():
    with pytest.raises(UsageError, match=r"one decay of the towers' moving average, and the terms want 0\.9 and 0\.99"):
        Learner(towers_of("x"), BYOL(decay=0.9) + DINO(decay=0.99), dim=4).fit(numbers())
    with pytest.raises(UsageError, match=r"decay of the towers' moving average must lie in \[0, 1\), got 1.0"):
        Learner(towers_of("x"), BYOL(decay=1.0), dim=4).fit(numbers())
    with pytest.raises(UsageError, match="width of a predictor"):
        SimSiam(hidden=0).state(SPACE)
    with pytest.raises(UsageError, match="temperatures must be"):
        DINO(temperature=0.0).state(SPACE)
    with pytest.raises(UsageError, match="2 groups or more"):
        DINO(groups=1).state(SPACE)
    with pytest.raises(ModalityError, match="BYOL names 'd'"):
        BYOL(views=("d",)).state(SPACE)
    for term in (SimSiam(), BYOL(), DINO()):
        with pytest.raises(UsageError, match="compares a batch with its twins"):
            term.loss(a_batch().replace(twin={}), term.state(SPACE))
    z = normal(3, 2)
    with pytest.raises(DataError, match="target holds NaN"):
        predicted_cosine(z, z.clone().fill_(torch.nan), nn.Identity())
    with pytest.raises(UsageError, match="one shape"):
        dino(z, normal(3, 4), torch.zeros(2))
