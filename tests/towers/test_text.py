"""Text encoders: n-grams by an explicit loop, subwords learnt from the data, no dependence on the batch."""

import zlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.errors import UsageError
from bouba.towers import LSTM, NGrams
from bouba.towers.text import BAG, kept_words, n_grams, subwords

SAID = ["a red apple", "红苹果，水果", "", "   ", "!?", "apple " * 3000, "[PAD] apple", "half \ud83d pair", "🍎"]
SPECS = [NGrams(buckets=97, width=4), LSTM(vocabulary=80, width=4)]


def built(spec, texts=tuple(SAID[:2])):
    torch.manual_seed(0)
    return spec.build(spec.learn(list(texts))).eval()


def features(encoder, texts):
    with torch.no_grad():
        return encoder(**encoder.prepare(texts))


@given(st.text("ab 苹,", max_size=8), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_definition_of_n_grams(text, longest):
    padded = " " + " ".join(text.split()) + " "
    words, spans, start = [], [], None
    for place, letter in enumerate(padded):  # runs of letters; commas only count where there is no letter at all
        inside = letter.isalnum() or (letter == "," and not any(map(str.isalnum, text)))
        if inside and start is None:
            start = place
        if not inside and start is not None:
            words.append(f"<{padded[start:place]}>")
            spans.append((start, place))
            start = None
    expected, owners = list(words), list(range(1, len(words) + 1))
    for n in range(1, longest + 1):
        for start in range(len(padded)):
            if start + n <= len(padded):
                expected.append(padded[start : start + n])
                ended = sum(end <= start for _, end in spans)
                owners.append(max(1, min(ended + 1, len(spans))))
    assert n_grams(text, longest) == (expected, owners)


def test_n_gram_features_are_the_mean_embedding():
    encoder = built(SPECS[0])
    grams = encoder.prepare(["Ox"])["grams"][0]
    assert len(grams) == len(n_grams("ox", 4)[0])
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
    inputs = encoder.prepare(SAID[:2])
    padded = {part: torch.nn.functional.pad(tensor, (0, 7)) for part, tensor in inputs.items()}
    torch.testing.assert_close(encoder(**padded), encoder(**inputs))
    torch.testing.assert_close(encoder.raw(padded), encoder.raw(inputs))


@pytest.mark.parametrize("spec", SPECS)
def test_very_long_texts_are_cut(spec):
    encoder = built(spec)
    parts = encoder.prepare(["apple " * 100_000]).values()
    for part in parts:
        assert part.shape[1] <= (64 if isinstance(spec, LSTM) else 4 * 1010 + 200)
        assert part.all()


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


@pytest.mark.parametrize("spec", [NGrams(buckets=97, width=4, drop=0.5), LSTM(vocabulary=80, width=4, drop=0.5)])
def test_law_a_varied_text_is_one_of_its_subsets_of_words(spec):
    encoder = built(spec, ["a red apple"] * 3)
    inputs = encoder.prepare(["a red apple"] * 200)
    torch.manual_seed(0)
    seen = {tuple(sorted(row[row > 0].tolist())) for row in next(iter(encoder.vary(inputs).values()))}
    grams = next(iter(inputs.values()))[0]
    owners = inputs["words"][0]
    subsets = set()
    for chosen in range(1, 8):
        kept = [n for n in (1, 2, 3) if chosen >> (n - 1) & 1]
        subsets.add(tuple(sorted(g for g, w in zip(grams.tolist(), owners.tolist()) if w in kept)))
    assert seen == subsets  # every one of the seven that are not empty, and no other


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.floats(0, 0.99))
@settings(max_examples=50, deadline=None)
def test_law_words_stay_or_go_whole_and_one_stays(sizes, drop):
    words = torch.zeros(len(sizes), 2 * max(sizes), dtype=torch.int32)
    for row, size in zip(words, sizes):
        row[: 2 * size] = torch.arange(1, size + 1).repeat(2)
    kept = kept_words(words, drop)
    for row, size, which in zip(words, sizes, kept):
        first, second = which[:size], which[size : 2 * size]
        assert torch.equal(first, second)
        assert first.any()
        assert not which[row == 0].any()
    if drop == 0:
        assert torch.equal(kept, words > 0)


def test_how_often_a_word_is_dropped():
    torch.manual_seed(0)
    words = torch.arange(1, 11).repeat(4000, 1)
    kept = kept_words(words, 0.3).float().mean(0)
    # mean 0.7, standard error sqrt(0.21 / 4000) = 0.0072; ten words, so four of them
    torch.testing.assert_close(kept, torch.full((10,), 0.7), atol=0.029, rtol=0)


def test_dropped_subwords_leave_no_gap():
    encoder = built(LSTM(vocabulary=80, width=4, drop=0.5), ["a red apple"] * 3)
    inputs = encoder.prepare(["a red apple"])
    torch.manual_seed(3)
    for _ in range(20):
        [tokens] = encoder.vary(inputs)["tokens"].tolist()
        said = [t for t in inputs["tokens"][0].tolist() if t in tokens]
        assert tokens == said + [0] * (3 - len(said))


@pytest.mark.parametrize("spec", SPECS)
def test_nothing_is_dropped_by_default(spec):
    encoder = built(spec)
    inputs = encoder.prepare(SAID[:2])
    assert encoder.vary(inputs) is inputs


def test_definition_of_the_bag_of_words():
    encoder = built(NGrams(), [])
    [row] = encoder.raw(encoder.prepare(["red, Red apple!"]))
    places = {(zlib.crc32(word) % 20_000 + 1) % BAG for word in (b"<red>", b"<apple>")}
    expected = torch.zeros(BAG)
    expected[list(places)] = (BAG / 2) ** 0.5
    torch.testing.assert_close(row, expected)
    assert encoder.raw_width == BAG == len(row)


def test_definition_of_the_bag_of_subwords():
    encoder = built(SPECS[1], ["apple pie"] * 5)
    inputs = encoder.prepare(["pie pie apple", "月"])
    bags = encoder.raw(inputs)
    assert bags.shape == (2, encoder.raw_width)
    for row, tokens in zip(bags, inputs["tokens"].tolist()):
        said = {t for t in tokens if t}
        assert set(row.nonzero().flatten().tolist()) == said
        assert row.square().mean() == pytest.approx(1)


@pytest.mark.parametrize("spec", [NGrams, LSTM])
def test_refusal_of_dropping_everything(spec):
    with pytest.raises(UsageError, match="drop is a share, 0 or more and below 1, got 1"):
        spec(drop=1.0)
