"""A distribution over all views: codes from any of them, draws of all."""

import numpy as np
import pytest
import torch
from made import related, with_holes

import bouba
from bouba import ELBO, MLP, ConvNet, Learner, MultimodalAutoencoder, MultimodalVAE, SumFusion, Views
from bouba.errors import DataError, ModalityError, UsageError
from bouba.evaluation import evaluate_generations
from bouba.nn.experts import KINDS, Experts, belief, product
from bouba.transfer import impute

QUICK = {"dim": 8, "epochs": 30, "batch_size": 40, "lr": 5e-3, "hidden": 64}


@pytest.fixture(scope="module")
def models():
    """One of each kind, fitted where two fifths of the cells are missing."""
    return {kind: MultimodalVAE(experts=kind, **QUICK).fit(with_holes(related())) for kind in KINDS}


def array(column):
    return np.stack(list(column))


@pytest.mark.parametrize("kind", KINDS)
def test_definition_of_codes_and_draws(kind, models):
    """Tower by tower, what is believed together, a draw, each decoder, back into the unit of the view."""
    model, views = models[kind], related(9, seed=2).select("a", "c")
    with torch.no_grad():
        z = {}
        for name in ("a", "c"):
            tower = model.module_.towers[name].eval()
            z[name] = tower(tower.encoder.prepare(list(views[name])))
        mean, log_variance = belief(torch.stack(list(z.values()), 1))
        both = torch.ones(9, 2, dtype=torch.bool)
        if kind == "mixture":
            code = mean.mean(1)
        else:
            code, log_variance = product(mean, log_variance, both, prior=kind == "product")
        encoder = model.module_.towers["b"].encoder
        expected = model.module_.state[0]["b"].mean(code).numpy() * encoder.scale.numpy() + encoder.mean.numpy()
    np.testing.assert_allclose(model.transform(views), code.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.reconstruct(views)["b"], expected, rtol=1e-4, atol=1e-4)
    assert model.embed(views)["a"].shape == (9, 16)
    codes = model._fitted().run(views, lambda batch: {"": model._codes(batch, 4000).view(len(batch), 4000, -1)})[""]
    variance = log_variance.exp()
    if kind == "mixture":  # (B, V, dim)
        variance = variance.mean(1) + mean.var(1, correction=0)
    np.testing.assert_allclose(codes.mean(1), code, atol=0.12)
    np.testing.assert_allclose(codes.var(1), variance, rtol=0.15, atol=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_recovery_missing_views_come_back_from_what_is_there(kind, models):
    """Trained with holes, asked for a view that is not there: better than its mean; the row's own, not any row's."""
    model, whole = models[kind], related(300, seed=3)
    for name in whole.columns:
        others = [other for other in whole.columns if other != name]
        assert model.explained(whole.select(*others), whole)[name] > 0.8
        for one in others:
            assert model.explained(whole.select(one), whole)[name] > 0.5
    shuffled = whole[np.random.default_rng(0).permutation(300)]
    assert model.explained(whole.select("a"), shuffled)["b"] < 0
    holes = with_holes(whole)
    truth, filled = array(whole["b"]), impute(holes, model)
    gone = ~holes["b"].present
    error = array(filled["b"])[gone] - truth[gone]
    zeros = array(holes.replace(columns={"b": whole["b"]})["b"])[gone] - truth.mean(0)  # the mean of the view
    assert np.square(error).mean() < 0.3 * np.square(zeros).mean()


@pytest.mark.parametrize("kind", KINDS)
def test_law_what_is_missing_is_never_read_and_rows_do_not_touch_each_other(kind, models):
    model, holes = models[kind], with_holes(related(40, seed=4))
    random = np.random.default_rng(0)
    columns = {}
    for name, column in holes.columns.items():
        cells = [cell if here else 1e6 * random.normal(size=len(column[int(column.present.argmax())]))
                 for cell, here in zip(list(related(40, seed=4)[name]), column.present)]  # fmt: skip
        columns[name] = bouba.data.views.Column.of(np.stack(cells), "vector", column.present)
    spoilt = holes.replace(columns=columns)
    np.testing.assert_array_equal(model.transform(spoilt), model.transform(holes))
    np.testing.assert_allclose(model.transform(holes[7]), model.transform(holes)[7:8], rtol=1e-4, atol=1e-5)


def either(n=600, seed=0):
    """`told` does not say which of two answers `given` is."""
    random = np.random.default_rng(seed)
    side, told = random.choice([-1, 1], n), random.normal(size=(n, 2))
    given = np.column_stack([told[:, 0] + 3 * side, told[:, 1]]) + 0.1 * random.normal(size=(n, 2))
    return Views({"told": told, "given": given})


def test_recovery_draws_are_answers_where_the_mean_is_none():
    views, towers = either(), {"told": MLP((32,)), "given": MLP((32,))}
    options = {"dim": 4, "epochs": 60, "hidden": 64, "batch_size": 60, "lr": 5e-3}
    train, test = views[:400], views[400:].select("told")
    drawn = MultimodalVAE(towers, **options).fit(train).translate(test, 20, to="given")
    mean = MultimodalAutoencoder(towers, **options, fusion=SumFusion(drop=0.3)).fit(train).reconstruct(test)["given"]
    told = array(views[400:]["told"])
    answers = np.abs(np.abs(drawn[:, :, 0] - told[:, None, 0]) - 3) < 1
    assert answers.mean() > 0.4
    assert (np.abs(np.abs(mean[:, 0] - told[:, 0]) - 3) < 1).mean() < 0.2, "the mean of two answers is none"
    assert 0.2 < (drawn[:, :, 0] > told[:, None, 0]).mean() < 0.8, "both answers are drawn"


def test_draws_depend_on_the_seed_alone_and_views_of_one_draw_go_together(models):
    model, views = models["mvtcae"], related(5).select("a")
    state = torch.get_rng_state()
    drawn = model.draw(views, 3, random_state=4)
    assert {name: items.shape for name, items in drawn.items()} == {"a": (5, 3, 5), "b": (5, 3, 7), "c": (5, 3, 4)}
    np.testing.assert_array_equal(model.translate(views, 3, to="b", random_state=4), drawn["b"])
    assert not np.array_equal(model.translate(views, 3, to="b", random_state=5), drawn["b"])
    sampled = model.sample(600, random_state=1)
    np.testing.assert_array_equal(model.sample(600, random_state=1)["c"], sampled["c"])
    assert torch.equal(torch.get_rng_state(), state)
    again = model.explained(Views({"a": sampled["a"]}), Views(sampled))  # what is drawn of nothing belongs together
    assert min(again.values()) > 0.5


def test_it_is_the_learner_it_says_it_is():
    views, how = with_holes(related(80)), {"dim": 8, "epochs": 2}
    model = MultimodalVAE(hidden=32, experts="mopoe", beta=2.0, **how).fit(views)
    same = Learner(objective=ELBO("mopoe", beta=2.0, hidden=32), fusion=Experts(kind="mopoe"), **how).fit(views)
    np.testing.assert_array_equal(same.transform(views), model.transform(views))


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_equal_to_the_bit(kind, models, tmp_path):
    model, views = models[kind], with_holes(related(20, seed=6))
    model.save(tmp_path / "model")
    other = bouba.load(tmp_path / "model")
    assert type(other) is MultimodalVAE
    np.testing.assert_array_equal(other.transform(views), model.transform(views))
    for name, items in model.draw(views, 2).items():
        np.testing.assert_array_equal(other.draw(views, 2)[name], items)
        np.testing.assert_array_equal(other.sample(3)[name], model.sample(3)[name])


def squares(n=160, seed=0):
    """Pictures and numbers of red or blue squares."""
    random = np.random.default_rng(seed)
    red = random.random(n) < 0.5
    light = 180 + random.integers(0, 60, n)
    pictures = [np.full((8, 8, 3), (c, 20, 20) if r else (20, 20, c), np.uint8) for r, c in zip(red, light)]
    numbers = np.where(red, 5.0, -5.0)[:, None] + random.normal(size=(n, 3))
    colour = np.where(red, "red", "blue").astype(object)
    return Views({"photo": pictures, "sizes": numbers}, kinds={"photo": "image"}, y={"colour": colour})


class Rule:
    """A judge that knows: red pictures are redder than blue, red numbers are above 0."""

    def classes(self, label):
        return np.array(["blue", "red"], object)

    def outputs(self, X, subsets=None):
        if "photo" in X.columns:
            light = np.array([np.asarray(cell, int).mean((0, 1)) for cell in X["photo"]])
            score = light[:, 0] - light[:, 2]
        else:
            score = array(X["sizes"]).mean(1)
        return {"colour": np.stack([-score, score], 1)[:, None]}

    def embed(self, X):
        return {name: np.array([np.asarray(cell, float).mean() for cell in X[name]])[:, None] for name in X.columns}


@pytest.mark.parametrize("family", ["laplace", "bernoulli", "gaussian"])
def test_pictures_by_each_likelihood_are_coherent_for_a_judge(family):
    views, test, judge = squares(), squares(60, seed=5), Rule()
    towers = {"photo": ConvNet(size=8, channels=4, augment=None, thumbnail=8), "sizes": MLP((16,))}
    options = {"dim": 4, "epochs": 25, "batch_size": 20, "lr": 1e-2, "hidden": 64, "beta": 5.0, "alpha": 0.5}
    model = MultimodalVAE(towers, likelihoods={"photo": family}, **options).fit(views)
    items = model.translate(views.select("sizes"), 2, to="photo")
    assert items.shape == (160, 2, 8, 8, 3)
    assert items.dtype == np.uint8
    found = evaluate_generations(model, test, judge=judge, label="colour", space=judge, samples=200, seed=0)
    values = {(r.metric, r.direction): r for r in found}
    for direction in ("sizes->photo", "photo->sizes"):
        record = values["cross_coherence", direction]
        assert record.chance == 0.5
        assert record.value > 0.9
        assert record.n == 60
    drawn = model.draw(test.select("sizes"), 1)["photo"][:, 0].astype(int).mean((1, 2))
    right = (drawn[:, 0] > drawn[:, 2]) == (test.y["colour"] == "red")
    assert values["cross_coherence", "sizes->photo"].value == pytest.approx(right.mean())
    joint = values["joint_coherence", "nothing->all"]
    assert joint.low > joint.chance == 0.5
    sampled = model.sample(200)
    red = sampled["photo"].astype(int).mean((1, 2))
    assert joint.value == pytest.approx(((red[:, 0] > red[:, 2]) == (sampled["sizes"].mean(1) > 0)).mean())
    shuffled = test.replace(y={"colour": test.y["colour"][np.random.default_rng(0).permutation(60)]})
    wrong = evaluate_generations(model, shuffled, judge=judge, label="colour", samples=20)
    assert wrong.value(metric="cross_coherence", direction="sizes->photo").value < 0.75
    assert {d for metric, d in values if metric == "frechet_distance"} == {"nothing->photo", "nothing->sizes"}


def test_refusals(models):
    model, views = models["mvtcae"], related(6)
    with pytest.raises(ModalityError, match="no view 'd' that can be drawn"):
        model.translate(views, to="d")
    with pytest.raises(UsageError, match="n is how many are drawn, 1 or more, got 0"):
        model.translate(views, 0, to="a")
    with pytest.raises(UsageError, match="n is how many are drawn"):
        model.sample(0)
    gone = np.arange(6) == 4
    empty = views.replace(columns={name: views[name].without(gone) for name in views.columns})
    with pytest.raises(DataError, match="1 of 6 rows have none of a, b, c, first row 4"):
        model.draw(empty)
    with pytest.raises(UsageError, match="no experts 'products'; did you mean 'product'"):
        MultimodalVAE(experts="products").fit(views)
    with pytest.raises(
        UsageError, match=r"experts say how MultimodalVAE fuses views; leave fusion=SumFusion\(drop=0.3\)"
    ):
        MultimodalVAE(fusion=SumFusion(drop=0.3)).fit(views)
    with pytest.raises(UsageError, match="bernoulli is the likelihood of pictures"):
        MultimodalVAE(likelihoods={"a": "bernoulli"}).fit(views)
    with pytest.raises(UsageError, match="no label column 'kind'"):
        evaluate_generations(model, views, judge=None, label="kind")
