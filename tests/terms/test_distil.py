import math

import numpy as np
import pytest
import torch

import bouba
from bouba import CCA, MLP, Distil, DistilSimilarities, InfoNCE, Learner, Views, taught
from bouba.errors import ModalityError, UsageError
from bouba.terms import Space, distil, distil_similarities
from bouba.terms.contract import SPACE, a_batch


def test_definition_of_distil():
    z, t = torch.randn(2, 9, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = sum(1 - float(a @ b / a.norm() / b.norm()) for a, b in zip(z, t)) / 9
    assert distil(z, t).item() == pytest.approx(expected)
    assert distil(2 * z, 5 * t).item() == pytest.approx(expected)  # lengths say nothing


def test_definition_of_distil_similarities():
    draw = torch.Generator().manual_seed(1)
    z, t = (
        torch.randn(6, 3, dtype=torch.float64, generator=draw),
        torch.randn(6, 8, dtype=torch.float64, generator=draw),
    )
    u, v = z / z.norm(dim=1, keepdim=True), t / t.norm(dim=1, keepdim=True)
    total = 0.0
    for i in range(6):
        p = [math.exp(float(v[i] @ v[j]) / 0.2) for j in range(6) if j != i]
        q = [math.exp(float(u[i] @ u[j]) / 0.2) for j in range(6) if j != i]
        total += sum(a / sum(p) * math.log(a / sum(p) / (b / sum(q))) for a, b in zip(p, q))
    assert distil_similarities(z, t, temperature=0.2).item() == pytest.approx(total / 6)


def test_a_rotated_student_is_far_from_the_teacher_and_has_its_neighbourhoods():
    z = torch.randn(12, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    rotation, _ = torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3)))
    assert distil_similarities(z @ rotation, z).item() == pytest.approx(0, abs=1e-12)
    assert distil(z @ rotation, z).item() > 0.3


def test_rows_without_the_vector_teach_nothing():
    term = Distil("taught", views=("a",))
    batch = a_batch(term, SPACE, size=10, seed=3)
    state = term.state(SPACE)
    both = batch.present["a"] & batch.present["taught"]
    expected = distil(state["a"](batch.z["a"][both]), batch.teachers["taught"][both])
    assert term.loss(batch, state)[0].item() == pytest.approx(expected.item(), rel=1e-6)
    assert 0 < both.sum() < 10


def test_a_map_stands_between_different_widths_only():
    narrow, equal = (Space(dims={"a": 4}, teachers={"t": width}) for width in (6, 4))
    assert [tuple(p.shape) for p in Distil("t").state(narrow).parameters()] == [(6, 4)]
    assert not list(Distil("t").state(equal).parameters())


@pytest.fixture(scope="module")
def rows():
    """Noisy numbers, and pairs of them by which a teacher sees through the noise."""
    random = np.random.default_rng(0)
    latent = random.normal(size=(700, 6))
    maps = random.normal(size=(2, 6, 30))
    return Views(
        {name: latent @ maps[i] + 2.0 * random.normal(size=(700, 30)) for i, name in enumerate(("left", "right"))}
    )


@pytest.fixture(scope="module")
def teacher(rows):
    return CCA(n_components=6, ridge=0.1).fit(rows[:400])


def test_recovery_a_student_finds_what_its_teacher_finds_without_a_pair(rows, teacher):
    """No term but Distil: each view learns from its own vectors, so no pair is read, and yet one finds the other."""
    views = taught(rows[:400], teacher)
    assert list(views.modalities) == ["left", "right", "taught left", "taught right"]
    objective = Distil("taught left", views=("left",)) + Distil("taught right", views=("right",))
    towers = {"left": MLP(), "right": MLP()}
    student = Learner(towers, objective, dim=6, epochs=30, batch_size=64).fit(views)
    test = rows[400:]
    chance = sum(1 / rank for rank in range(1, 301)) / 300
    assert student.score(test) > 0.5 * teacher.score(test) > 10 * chance
    # of the teacher's width, so that the two can be searched together
    pairs = zip(student.embed(test)["left"], teacher.embed(test)["left"])
    assert np.mean([a @ b / np.linalg.norm(a) / np.linalg.norm(b) for a, b in pairs]) > 0.8


def test_the_fitted_model_knows_its_own_views_only(rows, teacher, tmp_path):
    views = taught(rows[:120], teacher)
    objective = InfoNCE() + 0.5 * Distil("taught left") + 0.5 * DistilSimilarities("taught right", views=("right",))
    model = Learner(objective=objective, dim=4, epochs=2, batch_size=40).fit(views)
    assert model.kinds_ == {"left": "vector", "right": "vector"}
    assert set(model.history_[0]) >= {"InfoNCE", "Distil.left", "Distil.right", "DistilSimilarities.right"}
    model.save(tmp_path / "student")
    again = bouba.load(tmp_path / "student")
    assert again.objective == objective
    z = again.embed(rows[:10])
    assert np.array_equal(z["left"], model.embed(rows[:10])["left"])
    assert set(z) == {"left", "right"}


def test_validation_reads_the_teacher_too(rows, teacher):
    views = taught(rows[:200], teacher)
    model = Learner(objective=Distil("taught left"), dim=6, epochs=3, batch_size=50).fit(views, validation=0.2)
    assert model.history_[-1]["validation"] < model.history_[0]["validation"]


def test_refusals(rows, teacher):
    views = taught(rows[:60], teacher)
    with pytest.raises(ModalityError, match="the teacher 'taught lefr' is no view of the table; did you mean"):
        Learner(objective=Distil("taught lefr"), epochs=1).fit(views)
    with pytest.raises(ModalityError, match=r"Distil names 'up', but no such view"):
        Learner(objective=Distil("taught left", views=("up",)), epochs=1).fit(views)
    texts = Views({"a": np.eye(8), "words": list("abcdefgh")}, kinds={"words": "text"})
    with pytest.raises(
        UsageError, match=r"a teacher is a view of ready vectors, and .words. is text; see bouba.taught"
    ):
        Learner(objective=Distil("words"), epochs=1).fit(texts)
    with pytest.raises(UsageError, match="there is no view to teach beside left"):
        Learner(objective=Distil("left"), epochs=1).fit(rows[:60].select("left"))
    with pytest.raises(UsageError, match="there is a view 'taught left' already"):
        taught(views, teacher)
    with pytest.raises(ModalityError, match="the teacher reads left, right, and there is a, words"):
        taught(texts, teacher)
    with pytest.raises(UsageError, match="temperature must be one finite number above 0, got 0"):
        DistilSimilarities("taught", temperature=0).state(SPACE)
    with pytest.raises(UsageError, match="B of 3 or more, got"):
        distil_similarities(torch.ones(2, 3), torch.ones(2, 3))
