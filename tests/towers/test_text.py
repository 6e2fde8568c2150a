"""Text encoders: n-grams by an explicit loop, subwords learnt from the data, no dependence on the batch."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.towers import LSTM, NGrams
from bouba.towers.text import n_grams, subwords

SAID = ["a red apple", "红苹果，水果", "", "   ", "!?", "apple " * 3000, "[PAD] apple", "half \ud83d pair", "🍎"]
SPECS = [NGrams(buckets=97, width=4), LSTM(vocabulary=80, width=4)]


def built(spec, texts=tuple(SAID[:2])):
    torch.manual_seed(0)
    return spec.build(spec.learn(list(texts))).eval()


def features(encoder, texts):
    with torch.no_grad():
        return encoder(**encoder.prepare(texts))


@given(st.text("ab 苹", max_size=8), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_definition_of_n_grams(text, longest):
    words = text.lower().split()
    padded = " " + " ".join(words) + " "
    expected = [f"<{word}>" for word in words]
    for n in range(1, longest + 1):
        for start in range(len(padded)):
            if start + n <= len(padded):
                expected.append(padded[start : start + n])
    assert n_grams(text, longest) == expected


def test_n_gram_features_are_the_mean_embedding():
    encoder = built(SPECS[0])
    grams = encoder.prepare(["Ox"])["grams"][0]
    assert len(grams) == len(n_grams("ox", 4))
    assert 1 <= grams.min() <= grams.max() <= 97
    mean = sum(encoder.embed.weight[g] for g in grams) / len(grams)
    torch.testing.assert_close(features(encoder, ["ox"])[0], encoder.layers(mean).detach())


@pytest.mark.parametrize("spec", SPECS)
def test_law_a_text_does_not_see_its_batch(spec):
    encoder = built(spec)
    together = features(encoder, SAID)
    assert together.shape == (len(SAID), encoder.width)
    assert torch.isfinite(together).all()
    for text, row in zip(SAID, together):
        torch.testing.assert_close(features(encoder, [text])[0], row, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(features(encoder, SAID[::-1]), together.flip(0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("spec", SPECS)
def test_law_padding_to_any_length_changes_nothing(spec):
    encoder = built(spec)
    [(name, tokens)] = encoder.prepare(SAID[:2]).items()
    padded = torch.nn.functional.pad(tokens, (0, 7))
    torch.testing.assert_close(encoder(**{name: padded}), encoder(**{name: tokens}))


@pytest.mark.parametrize("spec", SPECS)
def test_very_long_texts_are_cut(spec):
    encoder = built(spec)
    [tokens] = encoder.prepare(["apple " * 100_000]).values()
    assert tokens.shape[1] <= (64 if isinstance(spec, LSTM) else 4 * 1010 + 200)
    assert tokens.all()


@pytest.mark.parametrize("spec", SPECS)
def test_case_and_outer_blanks_do_not_count_and_chinese_does(spec):
    encoder = built(spec)
    a, b, c, d = features(encoder, ["A Red Apple ", "a red apple", "红苹果", "青苹果"])
    torch.testing.assert_close(a, b)
    assert not torch.allclose(c, d)


def test_subwords_are_learnt_from_the_data_in_any_script():
    from tokenizers import Tokenizer

    learned = subwords(["红苹果 apple"] * 5 + ["绿苹果 apples"] * 5, 60)
    assert learned == subwords(["红苹果 apple"] * 5 + ["绿苹果 apples"] * 5, 60)
    tokenizer = Tokenizer.from_str(learned)
    assert tokenizer.encode("APPLE").tokens == ["apple"]
    assert "苹果" in tokenizer.get_vocab()
    assert (tokenizer.token_to_id("[PAD]"), tokenizer.token_to_id("[UNK]")) == (0, 1)
    assert tokenizer.encode("月").ids == [1]


def test_a_written_pad_pads_nothing():
    encoder = built(SPECS[1], ["apple pie"])
    [with_pad, without] = (encoder.prepare([text])["tokens"].tolist() for text in ("[PAD] apple", "apple"))
    assert with_pad == without
    assert encoder.prepare([""])["tokens"].tolist() == [[1]]


def test_lstm_takes_the_maximum_over_real_states():
    encoder = built(LSTM(vocabulary=80, width=4))
    tokens = encoder.prepare(["a red apple"])["tokens"]
    states, _ = encoder.lstm(encoder.embed(tokens))
    torch.testing.assert_close(encoder(tokens)[0], states[0].amax(0))
