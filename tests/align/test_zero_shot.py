"""Classes named in words: the definition, prompts averaged, and what is refused."""

import numpy as np
import pytest
from sklearn.base import clone

from bouba import CLIP, MLP, NGrams, Views
from bouba.align import ZeroShotClassifier
from bouba.errors import ModalityError, UsageError
from bouba.evaluation import class_embeddings, evaluate

COLOURS = ("red", "green", "blue", "light-grey")


def coloured(n=160, seed=0):
    """Numbers that say a colour, and a sentence that names it among other words."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(len(COLOURS), 6))
    which = random.integers(len(COLOURS), size=n)
    words = np.array(["a big", "one small", "my own"])[random.integers(3, size=n)]
    said = [f"{word} {COLOURS[c].replace('-', ' ')} thing" for word, c in zip(words, which)]
    numbers = centres[which] + 0.3 * random.normal(size=(n, 6))
    labels = np.array(COLOURS)[which]
    return Views({"numbers": numbers, "words": said}, kinds={"words": "text"}, y={"colour": labels}, key=said)


@pytest.fixture(scope="module")
def model():
    towers = {"numbers": MLP((32,)), "words": NGrams(buckets=500, width=32)}
    return CLIP(towers, epochs=25, dim=16, batch_size=40, lr=5e-3).fit(coloured())


def test_definition(model):
    views = coloured(30, seed=1)
    templates = ("a {}", "one small {} thing")
    classifier = ZeroShotClassifier(model, COLOURS, templates=templates).fit()
    z = model.embed(views)["numbers"]
    for row in range(3):
        expected = []
        for label in classifier.classes_:
            total = np.zeros(16)
            for template in templates:
                words = Views({"words": [template.replace("{}", label.replace("-", " "))]}, kinds={"words": "text"})
                spoken = model.embed(words)["words"][0]
                total += spoken / np.linalg.norm(spoken)
            expected.append(z[row] @ total / np.linalg.norm(z[row]) / np.linalg.norm(total))
        np.testing.assert_allclose(classifier.decision_function(views)[row], expected, atol=1e-6)
        weights = np.exp(np.array(expected) / model.temperature_)
        np.testing.assert_allclose(classifier.predict_proba(views)[row], weights / weights.sum(), atol=1e-5)


def test_recovery_without_a_single_label(model):
    views = coloured(100, seed=2)
    classifier = ZeroShotClassifier(model, COLOURS).fit()
    assert classifier.score(views, views.y["colour"]) > 0.9
    taken = clone(classifier).set_params(classes=None).fit(y=views.y["colour"])
    np.testing.assert_array_equal(taken.predict(views), classifier.predict(views))


def test_evaluate_says_classes_in_the_templates(model):
    views = coloured(60, seed=3)
    classifier = ZeroShotClassifier(model, COLOURS, templates=("my own {} thing",)).fit()
    found = evaluate(model, views, templates=("my own {} thing",)).value(metric="colour_zero_shot", direction="numbers")
    assert found.value == pytest.approx(classifier.score(views, views.y["colour"]))


def test_refusals(model):
    views = coloured(10)
    with pytest.raises(UsageError, match="needs classes: name them, or give y"):
        ZeroShotClassifier(model).fit()
    with pytest.raises(UsageError, match=r"two classes or more, got \['red'\]"):
        ZeroShotClassifier(model, ["red"]).fit()
    with pytest.raises(UsageError, match=r"a template needs \{\} where the class name goes, got 'a drawing'"):
        ZeroShotClassifier(model, COLOURS, templates=("a drawing",)).fit()
    with pytest.raises(UsageError, match=r"templates is a sequence of sentences, got 'a \{\}'"):
        class_embeddings(model, COLOURS, view="words", templates="a {}")
    with pytest.raises(ModalityError, match="which view is to be classified"):
        ZeroShotClassifier(model, COLOURS).fit().predict(views.select("words"))
    absent = views.replace(columns={"numbers": views["numbers"].without(np.arange(10) < 3)})
    with pytest.raises(ModalityError, match="3 of 10 rows have no 'numbers'"):
        ZeroShotClassifier(model, COLOURS).fit().predict(absent)
