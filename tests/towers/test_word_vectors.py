"""Word vectors: every format says the same, means by an explicit loop, unknown words, saved with the model."""

import gzip
import struct

import numpy as np
import pytest
import torch

import bouba
from bouba.data import Views
from bouba.data.views import Column
from bouba.errors import DataError, UsageError
from bouba.towers import WordVectors
from bouba.towers.word_vectors import candidates, known_words

VECTORS = {
    "the": [0.5, -1.0, 0.25],
    "red": [1.0, 0.0, 2.0],
    "Ox": [0.0, 3.0, -1.5],
    "苹果": [2.0, 2.0, 2.0],
    "红": [-1.0, 0.5, 0.0],
    "apple": [4.0, -2.0, 1.0],
}
FORMATS = ("glove", "word2vec text", "gz", "binary", "binary lines")


def write(folder, form="glove", vectors=VECTORS):
    lines = [" ".join([word, *map(str, numbers)]) for word, numbers in vectors.items()]
    header = f"{len(vectors)} 3\n"
    file = folder / f"{form.replace(' ', '-')}{'.gz' if form == 'gz' else ''}"
    if form == "glove":
        file.write_text("\n".join(lines) + "\n")
    elif form == "word2vec text":
        file.write_text(header + " \n".join(lines) + "\n")  # fastText leaves a blank at the end of a line
    elif form == "gz":
        file.write_bytes(gzip.compress((header + "\n".join(lines)).encode()))
    else:
        end = b"\n" if form == "binary lines" else b""
        rows = [word.encode() + b" " + struct.pack("<3f", *numbers) + end for word, numbers in vectors.items()]
        file.write_bytes(header.encode() + b"".join(rows))
    return file


def built(spec, texts):
    learned = spec.learn(texts)
    encoder = spec.build(learned)
    spec.start(encoder)
    return encoder


def features(encoder, texts):
    with torch.no_grad():
        return encoder(**encoder.prepare(texts)).numpy()


@pytest.mark.parametrize("form", FORMATS)
def test_definition_the_mean_of_known_words(form, tmp_path):
    encoder = built(WordVectors(write(tmp_path, form)), ["x"])
    texts = ["the red Ox", "The RED zebra", "red red apple!", "a 红苹果 apple", "zebra", ""]
    known = [["the", "red", "Ox"], ["the", "red"], ["red", "red", "apple"], ["红", "苹果", "apple"], [], []]
    for row, words in zip(features(encoder, texts), known):
        total = [0.0, 0.0, 0.0]
        for word in words:
            for place in range(3):
                total[place] += VECTORS[word][place] / len(words)
        np.testing.assert_allclose(row, total, rtol=1e-6)


def test_only_words_of_the_texts_and_the_first_are_kept(tmp_path):
    file = write(tmp_path)
    assert WordVectors(file, keep=2).learn(["an Apple"])["words"] == ["the", "red", "apple"]
    assert WordVectors(file, keep=0).learn(["大红苹果 ox"])["words"] == ["苹果", "红"]  # "Ox" is not "ox"
    assert WordVectors(file, keep=0).learn(["Ox"])["words"] == ["Ox"]


def test_law_every_known_word_is_a_candidate():
    for text in ("The 红苹果 OX", "苹果苹果苹果", "日本語の文 and English"):
        assert set(known_words(text, candidates(text))) <= candidates(text)
        assert known_words(text, candidates(text))


def test_frozen_and_tuned(tmp_path):
    file = write(tmp_path)
    texts = Column.of(["the red", "Ox", "apple", "zebra", "red apple", "the Ox"], "text")
    views = Views({"a": texts, "b": np.random.default_rng(0).normal(size=(6, 2))})
    for train in ("frozen", "finetune"):
        towers = {"a": WordVectors(file, train=train), "b": bouba.MLP(hidden=(4,))}
        model = bouba.Learner(towers, bouba.InfoNCE(), dim=3, epochs=2, batch_size=6).fit(views)
        encoder = model.module_.towers["a"].encoder
        number = encoder.words["apple"]
        assert np.allclose(encoder.embed.weight[number].detach(), VECTORS["apple"], atol=0) == (train == "frozen")
        assert encoder.unknown.any()  # learnt either way
        assert not encoder.embed.weight[0].any()
        expected = model.embed(views)["a"]
        model.save(tmp_path / train)
        moved = file.rename(tmp_path / "elsewhere")
        np.testing.assert_array_equal(bouba.load(tmp_path / train).embed(views)["a"], expected)
        moved.rename(file)


def test_a_decoder_gives_back_the_words(tmp_path):
    encoder = built(WordVectors(write(tmp_path)), ["x"])
    [row] = encoder.raw(encoder.prepare(["red red apple"]))
    assert set(row.nonzero().flatten().tolist()) == {encoder.words["red"], encoder.words["apple"]}
    assert len(row) == encoder.raw_width


def test_recovery_vectors_carry_over_to_words_never_trained_on(tmp_path):
    """Meanings are points on a line, each with many words; half of the words are never seen in training."""
    random = np.random.default_rng(0)
    meaning = np.repeat(np.linspace(-2, 2, 20), 6)
    words = [f"w{i:03d}" for i in range(len(meaning))]
    vectors = {w: np.round([m, m * m, *(0.1 * random.normal(size=1))], 3).tolist() for w, m in zip(words, meaning)}
    file = write(tmp_path, "glove", vectors)
    numbers = np.stack([np.sin(meaning), np.cos(meaning), meaning], 1) + 0.01 * random.normal(size=(120, 3))
    columns = {"word": Column.of(words, "text"), "numbers": numbers}
    views = Views(columns, key=np.repeat(np.arange(20), 6).astype(str))
    seen = np.arange(120) % 2 == 0
    scores = []
    for spec in (WordVectors(file), bouba.NGrams(longest=1, width=16)):
        towers = {"word": spec, "numbers": bouba.MLP(hidden=(32,), dropout=0)}
        model = bouba.Learner(towers, bouba.InfoNCE(), dim=8, epochs=60, batch_size=60, lr=1e-2)
        scores.append(model.fit(views[seen]).score(views[~seen]))
    assert scores[0] > scores[1] + 0.3, scores


def test_refusals(tmp_path):
    with pytest.raises(DataError, match=r"cannot read '.*nowhere' \(No such file"):
        WordVectors(tmp_path / "nowhere").learn(["x"])
    (tmp_path / "poem").write_text("how do I love thee\nlet me count the ways\n")
    with pytest.raises(DataError, match="holds no word vectors; a line is a word and its numbers"):
        WordVectors(tmp_path / "poem").learn(["x"])
    cut = write(tmp_path, "binary")
    cut.write_bytes(cut.read_bytes()[:-4])
    with pytest.raises(DataError, match="breaks off after 5 of 6 words"):
        WordVectors(cut).learn(["x"])
    bad = write(tmp_path, "glove")
    bad.write_text(bad.read_text() + "zebra 1.0 nan 2.0\n")
    with pytest.raises(DataError, match="'zebra' has no 3 finite numbers"):
        built(WordVectors(bad), ["x"])
    short = write(tmp_path, "glove")
    short.write_text(short.read_text() + "zebra 1.0\n")
    with pytest.raises(DataError, match="the line of 'zebra' breaks off"):
        WordVectors(short).learn(["x"])
    with pytest.raises(UsageError, match="no train='scratch'"):
        WordVectors(short, train="scratch")
    with pytest.raises(UsageError, match="keep must be 0 or more"):
        WordVectors(short, keep=-1)
