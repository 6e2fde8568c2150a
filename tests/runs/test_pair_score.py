import numpy as np
import pytest
from PIL import Image

import bouba
from bouba import CCA, CLIP, LSTM, MLP, ConvNet, NGrams, SimCLR, Views, pair_score
from bouba.errors import DataError, ModalityError, UsageError
from bouba.metrics import clip_score

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220), "yellow": (220, 210, 30)}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Plain pictures by path, and what they are called."""
    folder, random = tmp_path_factory.mktemp("drawn"), np.random.default_rng(0)
    paths, captions = [], []
    for number in range(64):
        name = list(COLOURS)[number % 4]
        colour = np.clip(np.array(COLOURS[name]) + random.integers(-20, 20, 3), 0, 255)
        Image.new("RGB", (16, 16), tuple(int(c) for c in colour)).save(folder / f"{number}.png")
        paths.append(folder / f"{number}.png")
        captions.append(f"a {name} square")
    return paths, captions


@pytest.fixture(scope="module")
def model(drawn):
    paths, captions = drawn
    views = bouba.read({"picture": [str(p) for p in paths], "caption": captions}, image="picture", text="caption")
    views = views.replace(key=np.array(captions))
    towers = {"picture": ConvNet(size=16, channels=8), "caption": NGrams(width=32, buckets=2000, read=40)}
    return CLIP(towers, dim=8, epochs=12, batch_size=32).fit(views)


def test_clip_score_is_what_a_loop_says():
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 20, 5))
    expected = [2.5 * max(x @ y / np.linalg.norm(x) / np.linalg.norm(y), 0) for x, y in zip(a, b)]
    assert clip_score(a, b) == pytest.approx(expected)
    rotation, _ = np.linalg.qr(random.normal(size=(5, 5)))
    assert clip_score(3 * a @ rotation, b @ rotation) == pytest.approx(expected)  # one space, whatever its axes
    assert clip_score(a, a) == pytest.approx(2.5)
    assert not clip_score(a, -a).any()


def test_scores_are_those_of_the_model(model, drawn):
    paths, captions = drawn
    scores = pair_score(model, paths[:8], captions[:8])
    views = bouba.read(
        {"picture": [str(p) for p in paths[:8]], "caption": captions[:8]}, image="picture", text="caption"
    )
    z = model.embed(views)
    assert scores == pytest.approx(clip_score(z["picture"], z["caption"]))
    assert pair_score(model, captions[:8], paths[:8]) == pytest.approx(scores)  # views are told by their kinds
    assert pair_score(model, [str(p) for p in paths[:8]], captions[:8], weight=100) == pytest.approx(40 * scores)


def test_recovery_right_captions_score_above_wrong_ones(model, drawn):
    paths, captions = drawn
    right, wrong = pair_score(model, paths, captions), pair_score(model, paths, captions[1:] + captions[:1])
    assert (right > wrong).mean() > 0.95


def test_missing_cells_have_no_score(model, drawn, tmp_path):
    paths, captions = drawn
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    scores = pair_score(model, [paths[0], None, broken, paths[3]], [captions[0], captions[1], captions[2], None])
    assert np.isnan(scores).tolist() == [False, True, True, True]


def test_no_caption_is_cut_in_silence(model, drawn, caplog):
    paths, captions = drawn
    long = [captions[0], captions[1] + " on a very long line that goes on and on", captions[2]]
    with pytest.raises(DataError, match="1 of 3 texts of 'caption' are longer than their encoder reads, first row 1"):
        pair_score(model, paths[:3], long)
    scores = pair_score(model, paths[:3], long, cut="warn")
    assert np.isfinite(scores).all()
    assert "1 of 3 texts of 'caption' are longer than their encoder reads" in caplog.text


def test_every_text_encoder_from_scratch_tells_what_it_cuts():
    texts = ["one two", "one two three four five six seven eight"]
    for spec in (NGrams(read=12), LSTM(longest=3, vocabulary=200)):
        assert spec.build(spec.learn(texts)).is_cut(texts) == [False, True]


def test_two_views_of_one_kind_go_in_the_order_of_the_model():
    random = np.random.default_rng(0)
    a = random.normal(size=(60, 4))
    b = a @ random.normal(size=(4, 5)) + 0.1 * random.normal(size=(60, 5))
    model = CCA(n_components=3).fit(Views({"left": a, "right": b}))
    scores = pair_score(model, list(a[:5]), list(b[:5]))
    z = model.embed(Views({"left": a[:5], "right": b[:5]}))
    assert scores == pytest.approx(clip_score(z["left"], z["right"]))
    assert pair_score(model, list(b[:5]), list(a[:5]), views=("right", "left")) == pytest.approx(scores)


def test_refusals(model, drawn):
    paths, captions = drawn
    with pytest.raises(UsageError, match="two lists of as many cells"):
        pair_score(model, paths[:2], captions[:3])
    with pytest.raises(UsageError, match="two lists of as many cells"):
        pair_score(model, "a.png", "b")
    with pytest.raises(UsageError, match="cut is refuse or warn"):
        pair_score(model, paths[:2], captions[:2], cut="drop")
    with pytest.raises(UsageError, match="which views are these"):
        pair_score(model, captions[:2], captions[:2])
    with pytest.raises(ModalityError, match="views are two of picture, caption"):
        pair_score(model, paths[:2], captions[:2], views=("picture", "title"))
    with pytest.raises(UsageError, match="clip_score takes pairs and a weight above 0"):
        clip_score(np.eye(2), np.eye(2), weight=0)
    alone = SimCLR({"x": MLP()}, dim=2, epochs=1).fit(Views({"x": np.random.default_rng(0).normal(size=(20, 3))}))
    with pytest.raises(UsageError, match="share no space"):
        pair_score(alone, [1], [1])
