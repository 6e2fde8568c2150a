"""What a trained tower is worth for a new label: probes, fine-tuning, and the tower that starts another model."""

import numpy as np
import pytest
import torch

import bouba
from bouba import CLIP, MLP, ConvNet, FusionClassifier, Learner, SameAs, Views
from bouba.data.views import Column
from bouba.errors import DataError, ModalityError, UsageError
from bouba.metrics import linear_probe as fitted_probe
from bouba.terms import InfoNCE
from bouba.transfer.probe import fine_tune, linear_probe
from bouba.transfer.trained import Trained

QUICK = {"dim": 8, "batch_size": 64, "lr": 5e-3}


def hidden_classes(n=600, seed=0):
    """Two views that share which of four directions a row has; each drowns it in 40 columns of its own noise."""
    random, mix = np.random.default_rng(seed), np.random.default_rng(9)
    y = random.integers(0, 4, n)
    h = np.eye(4)[y] + 0.15 * random.normal(size=(n, 4))
    columns = {view: h @ mix.normal(size=(4, 44)) + 1.2 * random.normal(size=(n, 44)) for view in "ab"}
    return Views(columns, y={"which": np.array([f"c{i}" for i in y])})


@pytest.fixture(scope="module")
def model():
    towers = {view: MLP((32,), dropout=0.3) for view in "ab"}
    return CLIP(towers, epochs=12, **QUICK).fit(hidden_classes(1200, seed=1))


def test_definition_each_number_is_a_probe_on_so_many_rows_a_class(model):
    views, test = hidden_classes(120), hidden_classes(80, seed=2)
    found = linear_probe(model, views, "which", view="a", shots=(1, 4), repeats=3, test=test, random_state=5)
    z, z_test = (model.embed(v.select("a"))["a"] for v in (views, test))
    y, truth = views.y["which"], test.y["which"]
    for shots in (1, 4):
        accuracies = []
        for repeat in range(3):
            order = np.random.default_rng([5, repeat]).permutation(120)
            rows = [row for c in ("c0", "c1", "c2", "c3") for row in [r for r in order if y[r] == c][:shots]]
            accuracies.append(np.mean(fitted_probe(z[rows], y[rows], z_test) == truth))
        record = found.value(method="trained", metric=f"which_accuracy@{shots}")
        assert record.value == pytest.approx(np.mean(accuracies))
        assert record.low <= record.value <= record.high
        assert (record.chance, record.n, record.direction) == (0.25, 80, "a")


def test_recovery_a_trained_tower_needs_fewer_labels_than_raw_numbers_and_an_untrained_one(model):
    untrained = CLIP(dict(model.towers), epochs=1, **{**QUICK, "lr": 1e-12}).fit(hidden_classes(64))
    found = linear_probe(
        model, hidden_classes(600), "which", view="a", shots=(1, 10), repeats=6, against={"untrained": untrained}
    )
    value = lambda method, shots: found.value(method=method, metric=f"which_accuracy@{shots}")  # noqa: E731
    for shots in (1, 10):
        assert value("trained", shots).low > value("untrained", shots).value
        assert value("trained", shots).value > value("raw", shots).value
    assert value("trained", 10).value > value("trained", 1).value > 0.3


def test_definition_a_trained_tower_gives_what_the_model_gave(model):
    views = hidden_classes(10)
    spec = Trained.of(model, "b")
    encoder = spec.build(spec.learn([]))
    spec.start(encoder)
    with torch.no_grad():
        z = encoder.eval()(**encoder.prepare(list(views["b"]))).numpy()
    np.testing.assert_allclose(z, model.embed(views)["b"], atol=1e-6)
    assert (encoder.width, encoder.raw_width, spec.kind) == (8, 44, "vector")
    assert repr(spec) == f"Trained(tower={model.specs_['b']!r}, width=8, train=True, lr_scale=0.3)"


def test_recovery_fine_tuning_starts_from_what_was_learnt(model):
    """With one label a class it beats the same tower from random weights, and does not change the model."""
    views, test = hidden_classes(300, seed=3), hidden_classes(300, seed=4)
    rows = np.concatenate([np.flatnonzero(views.y["which"] == c)[:1] for c in ("c0", "c1", "c2", "c3")])
    few, before = views[rows], {k: v.clone() for k, v in model.module_.state_dict().items()}
    options = {"epochs": 80, "batch_size": 4, "lr": 5e-3}
    right = lambda m, label: np.mean(m.predict(test.select("a"))[label] == test.y["which"])  # noqa: E731
    tuned = fine_tune(model, few, "which", view="a", **options)
    scratch = Learner({"a": MLP((32,), dropout=0.3)}, bouba.Prediction(("which",)), dim=8, **options).fit(few)
    assert right(tuned, "which") > right(scratch, "which") + 0.1
    given = fine_tune(model, few.replace(y={}), list(few.y["which"]), view="a", **options)
    assert right(given, "y") == right(tuned, "which")
    assert all(torch.equal(before[k], v) for k, v in model.module_.state_dict().items())
    assert fine_tune(model, few, "which", epochs=1).kinds_ == {"a": "vector", "b": "vector"}


def test_weights_are_kept_where_they_are_not_to_be_trained():
    """BatchNorm's statistics too; and they are stepped where they are."""
    random = np.random.default_rng(0)
    y = np.arange(48) % 2
    shown = [np.full((8, 8, 3), 60 + 100 * c, np.uint8) + random.integers(0, 40, (8, 8, 3), np.uint8) for c in y]
    views = Views({"p": Column.of(shown, "image"), "n": random.normal(size=(48, 3))})
    towers = {"p": ConvNet(size=8, channels=2, augment=None), "n": MLP((4,))}
    model = Learner(towers, InfoNCE(), epochs=1, dim=4).fit(views)
    own = {name: tensor.clone() for name, tensor in model.module_.towers["p"].state_dict().items()}
    for train in (False, True):
        tuned = fine_tune(model, views, y, view="p", train=train, epochs=2)
        now = tuned.module_.towers["p"].encoder.state_dict()
        assert set(now) == {k for k in own if not k.startswith("statistics.")}
        same = [torch.equal(tensor, own[name]) for name, tensor in now.items()]
        assert all(same) if not train else not any(same[:4])
        assert tuned.predict(views.select("p"))["y"].shape == (48,)
    assert any("running_mean" in name for name in own)


def test_it_is_saved_with_the_new_model_and_says_when_it_cannot_be_fitted_again(model, tmp_path):
    views = hidden_classes(60)
    tuned = FusionClassifier({"a": Trained.of(model, "a"), "b": MLP((8,))}, label="which", epochs=1, dim=8).fit(views)
    tuned.save(tmp_path / "m")
    again = bouba.load(tmp_path / "m")
    np.testing.assert_array_equal(again.predict_proba(views), tuned.predict_proba(views))
    assert again.get_params()["towers"] == tuned.get_params()["towers"]
    with pytest.raises(UsageError, match=r"holds no weights any more; make it again: Trained\.of\(model, view\)"):
        again.fit(views)
    from_loaded = Trained.of(bouba.load(tmp_path / "m"), "a")
    assert from_loaded.tower == Trained.of(model, "a"), "a tower may move on from one model to the next"


def test_a_tower_that_is_anothers_is_that_tower():
    numbers = np.random.default_rng(0).normal(size=(20, 3))
    views = Views({"a": numbers, "b": numbers[:, ::-1].copy()})
    model = Learner({"a": MLP((4,)), "b": SameAs("a")}, InfoNCE(), epochs=1, dim=4).fit(views)
    assert Trained.of(model, "b") == Trained.of(model, "a")


def test_refusals(model):
    views = hidden_classes(40)
    with pytest.raises(ModalityError, match="no view 'c'; there is 'a', 'b'"):
        linear_probe(model, views, "which", view="c")
    with pytest.raises(DataError, match="no label column 'wich'; did you mean 'which'"):
        linear_probe(model, views, "wich", view="a")
    with pytest.raises(
        DataError, match=r"5 shots need as many training rows a class, 'which' has \d of 'c\d'; ask few"
    ):
        linear_probe(model, views, "which", view="a")
    with pytest.raises(UsageError, match=r"repeats must be 2 or more and shots 1 or more, got 1 and \(0,\)"):
        linear_probe(model, views, "which", view="a", shots=(0,), repeats=1)
    with pytest.raises(DataError, match="a probe needs two classes or more, label 'y' has 1"):
        linear_probe(model, views, np.ones(40), view="a", shots=(1,))
    with pytest.raises(DataError, match="no row has a label 'y' and a view of 'a'"):
        fine_tune(model, views, [None] * 40, view="a")
    with pytest.raises(ModalityError, match="the model has no view 'c'; there is 'a', 'b'"):
        Trained.of(model, "c")
    with pytest.raises(UsageError, match="int has no towers, or is not fitted"):
        Trained.of(3, "a")
    with pytest.raises(UsageError, match=r"lr_scale must be above 0, got 0; train=False keeps"):
        Trained.of(model, "a", lr_scale=0)
    with pytest.raises(UsageError, match="view 'a' is vector, ConvNet reads image"):
        Learner({"a": Trained(ConvNet(), 8)}, InfoNCE()).fit(views)


def test_a_tower_comes_with_the_statistics_of_the_domain_that_is_asked_for():
    random = np.random.default_rng(0)
    cells = [random.integers(0, 255, (8, 8, 3)).astype(np.uint8) // (1 + 3 * (i % 2)) for i in range(80)]
    views = Views({"photo": Column.of(cells, "image")}, y={"k": np.arange(80) // 40}, domain=["light", "dark"] * 40)
    towers = {"photo": ConvNet(size=8, channels=4, augment=None)}
    model = Learner(towers, bouba.Prediction(), dim=8, epochs=1).fit(views)
    for domain in ("light", "dark"):
        own = views[views.domain == domain]
        tuned = fine_tune(model, own, "k", view="photo", train=False, epochs=1)
        encoder = tuned.module_.towers["photo"].encoder
        found = tuned._fitted().run(own, lambda batch: {"": encoder(**batch.inputs["photo"])})[""]  # noqa: B023
        np.testing.assert_allclose(found, model.embed(own)["photo"], rtol=1e-4, atol=1e-5)
    with pytest.raises(DataError, match="no domain 'drak'"):
        Trained.of(model, "photo", domain="drak")
