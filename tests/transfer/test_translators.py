"""What every translator keeps, and what each is worth on views with a known answer."""

import pickle

import numpy as np
import pytest

from bouba.data import Views, decode
from bouba.data.views import Column
from bouba.errors import DataError, ModalityError, UsageError
from bouba.metrics import diversity, frechet_distance
from bouba.persist import load
from bouba.towers import MLP, ConvNet, NGrams
from bouba.transfer import ConditionalGAN, FlowTranslator, NearestTranslator, RegressionTranslator

FOUND = {
    "gan": (ConditionalGAN, {"hidden": 16, "depth": 2}),
    "flow": (FlowTranslator, {"hidden": 16, "steps": 3}),
    "regression": (RegressionTranslator, {"hidden": 16, "depth": 2}),
    "nearest": (NearestTranslator, {}),
}
QUICK = {"epochs": 2, "dim": 4, "batch_size": 20}


def views(n=60, seed=0):
    """Vectors, words and pictures; the fifth row has no picture."""
    random = np.random.default_rng(seed)
    numbers = 5 + 2 * random.normal(size=(n, 3)).astype(np.float32)
    words = [("red", "green", "blue")[i % 3] + f" thing {i}" for i in range(n)]
    pictures = [np.full((9, 9, 3), 255, np.uint8) for _ in range(n)]
    for i, picture in enumerate(pictures):
        picture[2:7, 2:7] = np.eye(3, dtype=np.uint8)[i % 3] * 255
    shown = np.array([i != 4 for i in range(n)])
    return Views(
        {"numbers": numbers, "words": Column.of(words, "text"), "picture": Column.of(pictures, "image", shown)}
    )


def make(name, source="words", target="numbers", **more):
    method, own = FOUND[name]
    return method(source, target, **{**QUICK, **own, **more})


@pytest.fixture(scope="module")
def fitted():
    return {name: make(name).fit(views()) for name in FOUND}


@pytest.mark.parametrize(("name", "module"), [("gan", "generator"), ("flow", "velocity")])
def test_an_average_that_keeps_nothing_is_what_the_last_step_left(name, module):
    """The average is measured after the optimiser's step, not before it."""
    state = make(name, decay=0.0).fit(views())._state()
    average, last = state.average.get_buffer("average0"), next(getattr(state, module).parameters())
    np.testing.assert_array_equal(average.numpy(), last.detach().numpy())


@pytest.mark.parametrize("name", FOUND)
def test_draws_are_in_the_unit_of_the_target_and_the_same_for_the_same_seed(name, fitted):
    data = views(8, seed=1).select("words")
    drawn = fitted[name].translate(data, 3)
    assert drawn.shape == (8, 3, 3)
    assert abs(drawn.mean() - 5) < 2.5, "standardised numbers would lie about 0"
    np.testing.assert_array_equal(fitted[name].translate(data, 3), drawn)
    measured = {part for row in fitted[name].history_ for part in row if part.startswith("similarity")}
    assert measured <= {"similarity.words"}, "the target's tower is not trained, so it cannot collapse"
    other = fitted[name].translate(data, 3, random_state=1)
    assert np.array_equal(other, drawn) == (name in ("regression", "nearest"))


@pytest.mark.parametrize("name", FOUND)
def test_saved_pickled_and_cloned_models_draw_the_same(name, fitted, tmp_path):
    data = views(6, seed=1).select("words")
    fitted[name].save(tmp_path / "model")
    expected = fitted[name].translate(data, 2)
    for other in (load(tmp_path / "model"), pickle.loads(pickle.dumps(fitted[name]))):
        assert type(other) is type(fitted[name])
        np.testing.assert_array_equal(other.translate(data, 2), expected)
    again = make(name).fit(views())
    np.testing.assert_array_equal(again.translate(data, 2), expected)


@pytest.mark.parametrize("name", FOUND)
def test_pictures_come_back_as_pictures_from_words_or_raw_numbers(name):
    data = views(24)
    model = make(name, "numbers", "picture", side=8, raw=name != "nearest").fit(data)
    drawn = model.translate(data[:5], 2)
    assert (drawn.shape, drawn.dtype) == ((5, 2, 8, 8, 3), np.uint8)
    assert model.truth(data[:4]).shape == (4, 8, 8, 3)
    assert set(model.kinds_) == {"numbers", "picture"}, "the words are not read"
    assert np.isfinite(model.score(data))


@pytest.mark.parametrize("name", FOUND)
def test_pictures_are_drawn_in_components_and_saved_models_draw_the_same(name, tmp_path):
    data = views(40)
    towers = {"picture": ConvNet(size=9, channels=1, thumbnail=9, components=2)}
    model = make(name, "words", "picture", towers=towers).fit(data)
    drawn = model.translate(data[:5], 2)
    assert (drawn.shape, drawn.dtype) == ((5, 2, 9, 9, 3), np.uint8)
    shown = np.stack([data["picture"][row] for row in range(4)])
    assert np.abs(model.truth(data[:4]).astype(int) - shown).max() <= 1, "three colours differ in two ways"
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(load(tmp_path / "model").translate(data[:5], 2), drawn)


def test_recovery_a_gan_keeps_what_words_say():
    """Players who steer the tower of the words make all words alike: 36% of the draws were right, as by chance."""
    random = np.random.default_rng(0)
    code = random.integers(0, 3, 300)
    words = [f"{('red', 'green', 'blue')[c]} thing {i}" for i, c in enumerate(code)]
    data = Views({"words": Column.of(words, "text"), "numbers": np.eye(3)[code] + 0.05 * random.normal(size=(300, 3))})
    model = make("gan", hidden=32, dim=16, epochs=20, batch_size=50).fit(data[:250])
    drawn = model.translate(data[250:], 4)
    assert np.mean(drawn.mean(1).argmax(1) == code[250:]) > 0.9
    assert model.history_[-1]["similarity.words"] < 0.9


def test_the_truth_has_all_pixels_also_where_items_are_made_of_few_components():
    data = views(30)
    shown = data[np.flatnonzero(data.present["picture"])]
    tower = ConvNet(size=16, channels=1, augment=None, thumbnail=16, components=2)
    model = make("regression", target="picture", towers={"words": NGrams(), "picture": tower}, epochs=1).fit(shown)
    expected = [np.asarray(decode.fit_on_white(decode.image(cell), 16)) for cell in shown["picture"]]
    np.testing.assert_array_equal(model.truth(shown), expected)


@pytest.mark.slow
def test_recovery_components_draw_what_pixels_at_the_same_cost_do_not():
    """Blurred discs whose place is told: after as many steps, flow in eight numbers lies nearer than flow in pixels."""
    random = np.random.default_rng(0)
    told = random.uniform(-1, 1, size=(80, 2))
    place = np.arange(12)
    far = np.square(place[None, :, None] - 6 - 3 * told[:, :1, None])
    far = far + np.square(place[None, None, :] - 6 - 3 * told[:, 1:, None])
    discs = (255 * (1 - np.exp(-far / 12)))[..., None].repeat(3, -1).astype(np.uint8)
    data = Views({"told": told, "disc": Column.of(list(discs), "image")})
    off = {}
    for components in (None, 8):
        towers = {
            "told": MLP(()),
            "disc": ConvNet(size=12, channels=1, augment=None, thumbnail=12, components=components),
        }
        model = FlowTranslator(towers=towers, raw=True, hidden=48, steps=4, epochs=24, batch_size=20).fit(data)
        off[components] = np.square(model.translate(data)[:, 0].astype(float) - model.truth(data)).mean()
    assert off[8] < 0.5 * off[None]


def test_law_the_regression_of_a_linear_answer_is_found_and_its_draws_are_alike():
    random = np.random.default_rng(0)
    told = random.normal(size=(400, 3))
    told /= np.linalg.norm(told, axis=1, keepdims=True)
    data = Views({"told": told, "asked": 10 + told @ random.normal(size=(3, 5))})
    model = RegressionTranslator(towers={"told": MLP(())}, epochs=40, batch_size=40, dim=8).fit(data)
    drawn = model.translate(data, 2)
    error = np.square(drawn[:, 0] - np.stack(list(data["asked"]))).mean()
    assert error < 0.05 * np.stack(list(data["asked"])).var(0).mean()
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 1])


def test_definition_of_the_nearest_neighbours():
    data = views()
    model = make("nearest", "numbers", "words", towers={"words": NGrams()}).fit(data[:40])
    numbers = np.stack(list(data["numbers"]))
    centred = (numbers - numbers[:40].mean(0)) / numbers[:40].std(0)
    cosine = lambda a, b: a @ b / np.linalg.norm(a) / np.linalg.norm(b)  # noqa: E731
    drawn = model.translate(data[40:], 2)
    said = model.truth(data)
    for row in range(20):
        order = np.argsort([-cosine(centred[40 + row], centred[other]) for other in range(40)])
        np.testing.assert_array_equal(drawn[row], said[order[:2]])
    texts = Column.of(["red apple", "blue sky", "green leaf"], "text")
    spoken = make("nearest", "a", "b").fit(Views({"a": texts, "b": np.eye(3)}))
    asked = Views({"a": Column.of(["what a sky", "this leaf"], "text")})
    np.testing.assert_allclose(spoken.translate(asked)[:, 0], np.eye(3)[1:], atol=1e-6)


@pytest.mark.slow
def test_recovery_what_draws_comes_nearer_to_two_right_answers_than_what_guesses():
    """The answer is the told number, three up or three down: draws cover both, the mean covers neither."""
    random = np.random.default_rng(0)
    told = random.normal(size=(600, 2))
    sides = lambda: 3 * random.choice([-1, 1], size=(600, 1)) + 0.3 * random.normal(size=(600, 2))  # noqa: E731
    asked, real = told + sides(), told + sides()
    data = Views({"told": told, "asked": asked})
    common = {"towers": {"told": MLP(())}, "epochs": 60, "batch_size": 60, "dim": 8, "raw": True}
    far, varied = {}, {}
    for name, hidden in (("regression", 64), ("gan", 128), ("flow", 128)):
        drawn = FOUND[name][0]("told", "asked", hidden=hidden, **common).fit(data).translate(data, 4)
        far[name], varied[name] = frechet_distance(drawn[:, 0], real), diversity(drawn, real).mean()
    assert max(far["gan"], far["flow"]) < 0.5 * far["regression"]
    assert varied["regression"] == 0
    assert min(varied["gan"], varied["flow"]) > 0.3


def test_refusals(fitted):
    model, data = fitted["flow"], views(6)
    with pytest.raises(UsageError, match="n is how many items a row, 1 or more, got 0"):
        model.translate(data, 0)
    with pytest.raises(ModalityError, match="a translation needs view 'words', got 'numbers'"):
        model.translate(data.select("numbers"))
    with pytest.raises(DataError, match="a translation needs rows, got none"):
        model.translate(data[:0])
    gappy = Views({"words": Column.of(["a", None, "b"], "text")})
    with pytest.raises(DataError, match="1 of 3 rows lack 'words', first row 1; leave them out"):
        model.translate(gappy)
    with pytest.raises(ModalityError, match="no view 'wrds'; did you mean 'words'"):
        make("gan", "wrds").fit(data)
    with pytest.raises(UsageError, match="gives one view from another, got 'words' twice"):
        make("gan", "words", "words").fit(data)
    with pytest.raises(ModalityError, match="a tower for 'picture', which is neither 'words' nor 'numbers'"):
        make("gan", towers={"picture": NGrams()}).fit(data)
    apart = Views({"words": Column.of(["a", "b", None], "text"), "numbers": Column.of([None, None, [1.0]], "vector")})
    with pytest.raises(DataError, match="translation learns from rows with 'words' and 'numbers', got 0"):
        make("regression").fit(apart)
    with pytest.raises(UsageError, match="there are 60 training rows to copy, 61 were asked for"):
        fitted["nearest"].translate(data, 61)
    with pytest.raises(UsageError, match=r"steps must be 1 or more and guidance 0 or more, got 0 and 1\.0"):
        make("flow", steps=0).fit(data)
    with pytest.raises(ValueError, match="not fitted"):
        make("gan").translate(data)


@pytest.mark.parametrize("name", ["gan", "nearest"])
def test_refusal_validation_that_no_term_would_judge(name):
    """All epochs cost 0 there, and the first was kept; of a GAN the regression would choose."""
    with pytest.raises(UsageError, match="leave validation out"):
        make(name).fit(views(), validation=0.2)


def test_refusal_guidance_by_a_field_that_always_knew_the_source():
    with pytest.raises(UsageError, match="raise drop above 0"):
        FlowTranslator("words", "numbers", guidance=2.0, drop=0.0, **QUICK).fit(views())
