"""Transformer text encoder: by explicit loops, blind to padding, and order told where a bag of words cannot."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bouba
from bouba import Learner, Views
from bouba.errors import UsageError
from bouba.terms import SupervisedContrastive
from bouba.towers import LSTM, NGrams, Transformer

SMALL = Transformer(vocabulary=80, width=8, longest=6, layers=2, heads=2)
SAID = ["a red apple", "红苹果，水果", "", "   ", "!?", "apple " * 300, "[PAD] apple", "half \ud83d pair", "🍎"]


def built(spec=SMALL, texts=tuple(SAID[:2])):
    torch.manual_seed(0)
    return spec.build(spec.learn(list(texts))).eval()


def features(encoder, texts):
    with torch.no_grad():
        return encoder(**encoder.prepare(texts))


def normal(h, norm):
    return torch.stack([(row - row.mean()) / (row.var(correction=0) + norm.eps) ** 0.5 for row in h]) * norm.weight + (
        norm.bias
    )


def attended(h, part, heads):
    """Each place: the others' values, weighed by softmax of query times key over the root of their width."""
    q, k, v = (h @ part.in_proj_weight.T + part.in_proj_bias).chunk(3, 1)
    width = q.shape[1] // heads
    out = torch.zeros_like(h)
    for place, head in itertools.product(range(len(h)), range(heads)):
        own = slice(head * width, (head + 1) * width)
        weights = [torch.exp(q[place, own] @ k[other, own] / width**0.5) for other in range(len(h))]
        out[place, own] = sum(w / sum(weights) * v[other, own] for other, w in enumerate(weights))
    return part.out_proj(out)


def test_definition_of_the_layers():
    encoder = built()
    tokens = encoder.prepare(["a red apple"])["tokens"][0]
    with torch.no_grad():
        h = torch.stack([encoder.embed.weight[t] + encoder.places.weight[i] for i, t in enumerate(tokens)])
        for layer in encoder.layers:
            h = h + attended(normal(h, layer.norm1), layer.self_attn, heads=2)
            h = h + layer.linear2(torch.nn.functional.gelu(layer.linear1(normal(h, layer.norm2))))
        expected = normal(h, encoder.norm).mean(0)
    torch.testing.assert_close(features(encoder, ["a red apple"])[0], expected, rtol=1e-4, atol=1e-5)
    assert encoder.width == len(expected) == 8


def test_layers_do_not_start_as_copies_of_one():
    first, second = built().layers
    assert not torch.allclose(first.linear1.weight, second.linear1.weight)


def test_law_a_text_does_not_see_its_batch():
    encoder = built()
    together = features(encoder, SAID)
    assert torch.isfinite(together).all()
    for text, row in zip(SAID, together):
        torch.testing.assert_close(features(encoder, [text])[0], row, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(features(encoder, SAID[::-1]), together.flip(0), rtol=1e-4, atol=1e-5)


@given(st.integers(0, 20), st.booleans())
@settings(max_examples=20, deadline=None)
def test_law_padding_changes_nothing_in_training_or_after(more, training):
    encoder = built(Transformer(vocabulary=80, width=8, longest=6, dropout=0.0)).train(training)
    inputs = encoder.prepare(SAID[:2])
    padded = {part: torch.nn.functional.pad(tensor, (0, more)) for part, tensor in inputs.items()}
    torch.testing.assert_close(encoder(**padded), encoder(**inputs), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoder.raw(padded), encoder.raw(inputs))
    gradients = torch.autograd.grad(encoder(**padded).sum(), encoder.embed.weight)[0]
    assert not gradients[0].any()  # what pads learns nothing


def test_long_texts_are_cut_and_a_row_without_a_text_is_finite():
    encoder = built()
    assert encoder.prepare(["apple " * 1000])["tokens"].shape[1] == 6
    with torch.no_grad():
        assert torch.isfinite(encoder(torch.zeros(2, 3, dtype=torch.int64))).all()


def test_dropped_words_move_up():
    encoder = built(Transformer(vocabulary=80, width=8, drop=0.5), ["a red apple"] * 3)
    inputs = encoder.prepare(["a red apple"] * 50)
    torch.manual_seed(0)
    seen = {tuple(t for t in row if t) for row in encoder.vary(inputs)["tokens"].tolist()}
    said = inputs["tokens"][0].tolist()
    assert seen == {tuple(c) for n in (1, 2, 3) for c in itertools.combinations(said, n)}


def test_recovery_which_came_first_is_told_by_order_alone(tmp_path):
    """Texts of three animals; all orders of the same three have the same words and the same runs of letters."""
    animals = ["cat", "dog", "fox", "hen", "owl", "pig"]
    said = list(itertools.permutations(animals, 3))
    first = np.array([names[0] for names in said])
    texts = [f"so {' so '.join(names)} so" for names in said]
    test = np.random.default_rng(0).permutation(len(said)) < 40
    views = Views({"said": texts}, kinds={"said": "text"}, y={"first": first})
    right = {}
    for tower in (Transformer(width=32), LSTM(width=32), NGrams(width=32)):
        model = Learner({"said": tower}, SupervisedContrastive("first"), dim=8, epochs=30, batch_size=32, lr=5e-3)
        z = model.fit(views[~test]).embed(views)["said"]
        means = {name: z[~test & (first == name)].mean(0) for name in animals}
        guessed = np.array([max(means, key=lambda name: row @ means[name]) for row in z])
        right[type(tower).__name__] = (guessed == first)[test].mean()
        if isinstance(tower, Transformer):
            model.save(tmp_path / "model")
            np.testing.assert_array_equal(bouba.load(tmp_path / "model").embed(views)["said"], z)
    assert min(right["Transformer"], right["LSTM"]) > 0.9
    assert right["NGrams"] < 0.6  # one in three is what words alone can tell


@pytest.mark.parametrize("how", [{"heads": 3}, {"layers": 0}, {"width": 6}])
def test_refusals(how):
    with pytest.raises(UsageError, match="1 layer or more, and heads that divide its width; got layers="):
        Transformer(**how)
    with pytest.raises(UsageError, match="drop is a share, 0 or more and below 1, got 1"):
        Transformer(drop=1.0)
