"""Several pictures, texts or sounds in one cell."""

import csv

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import bouba
from bouba import CLIP, FewPairs, FusionClassifier, Pooled, Several, Views, read
from bouba.data.schema import Schema
from bouba.errors import DataError, UsageError
from bouba.towers import CRNN, LSTM, ConvNet, NGrams

WORDS = ["red", "small", "round", "a red one", "very old"]


def picture(red, side=12):
    return Image.new("RGB", (side, side), (red, 60, 200 - red // 2))


def fitted(spec, cells):
    torch.manual_seed(0)
    return spec.build(spec.learn(cells)).eval()


@pytest.mark.parametrize("spec", [NGrams(), LSTM(), ConvNet(size=8, channels=2), CRNN(channels=2, mels=8, seconds=0.1)])
@pytest.mark.parametrize("pool", ["mean", "attention"])
def test_definition(spec, pool):
    random = np.random.default_rng(0)
    things = {
        "text": WORDS,
        "image": [picture(red) for red in (10, 80, 150, 220, 250)],
        "audio": [(random.normal(size=n).astype(np.float32) / 9, 16000) for n in (900, 1500, 1200, 1600, 1000)],
    }[spec.kind]
    cells = [Several(things[:3]), things[3], Several(things[3:])]
    encoder = fitted(Pooled(spec, pool=pool), cells)
    features = encoder(**encoder.prepare(cells))
    for row, cell in zip(features, [things[:3], things[3:4], things[3:]], strict=True):
        each = encoder.inner(**encoder.inner.prepare(cell))  # (n, F)
        weights = torch.full((len(cell), 1), 1 / len(cell))
        if pool == "attention":
            scores = [encoder.attention(one[None]).item() for one in each]
            weights = torch.tensor(np.exp(scores) / np.exp(scores).sum(), dtype=torch.float32)[:, None]
        assert torch.allclose(row, (weights * each).sum(0), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5), st.randoms())
def test_law_the_order_of_things_does_not_matter(words, random):
    for pool in ("mean", "attention"):
        encoder = fitted(Pooled(NGrams(), pool=pool), [Several(WORDS)])
        mixed = random.sample(words, len(words))
        one, other = encoder(**encoder.prepare([Several(words), Several(mixed)]))
        assert torch.allclose(one, other, atol=1e-5)


def test_rows_padded_for_a_longer_batch_are_the_same():
    encoder = fitted(Pooled(LSTM()), [Several(["a", "b b b"]), "a b"])
    alone, longer = encoder.prepare(["b"]), encoder.prepare(["b", Several(["a", "a very long text about it"])])
    padded = {
        n: torch.nn.functional.pad(t, (0, longer[n].shape[1] - t.shape[1])) if t.dim() == 2 else t
        for n, t in alone.items()
    }
    assert torch.allclose(encoder(**padded), encoder(**longer)[:1], atol=1e-6)


def shelf(n=60, seed=0):
    """Products with one to three photographs, of which half of the colours show in one alone, and captions likewise."""
    random = np.random.default_rng(seed)
    photos, captions = [], []
    for i in range(n):
        red = int(random.integers(256))
        others = [picture(int(random.integers(256))) for _ in range(i % 3)]
        photos.append(None if i % 11 == 5 else Several([*others, picture(red)]))
        captions.append([f"red {red // 32}", "for sale", None][: 1 + i % 3])
    return Views({"photo": photos, "caption": captions}, kinds={"photo": "image", "caption": "text"}), photos


def test_recovery_what_only_the_last_picture_shows_is_learnt(tmp_path):
    random = np.random.default_rng(1)
    bright = random.integers(0, 2, 160)
    photos = [Several([picture(120), picture(250 if b else 0)]) for b in bright]
    views = Views({"photo": photos}, kinds={"photo": "image"}, y={"bright": np.where(bright, "yes", "no")})
    options = {"epochs": 8, "dim": 8, "lr": 1e-2, "calibration": 0.0, "batch_size": 32}
    small = ConvNet(size=8, channels=4)
    model = FusionClassifier({"photo": small}, **options).fit(views[:120])
    assert model.specs_ == {"photo": Pooled(small)}  # without being told
    first = Views({"photo": [cell[0] for cell in photos]}, kinds={"photo": "image"}, y=views.y)
    blind = FusionClassifier({"photo": small}, **options).fit(first[:120])
    assert model.score(views[120:]) > 0.9 > 0.8 > blind.score(first[120:])
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model")
    assert again.specs_ == model.specs_
    assert np.array_equal(again.predict_proba(views), model.predict_proba(views))


def test_missing_cells_and_things_through_clip(tmp_path):
    views, photos = shelf()
    assert views.present["photo"].tolist() == [photo is not None for photo in photos]
    towers = {"photo": Pooled(ConvNet(size=8, channels=2), pool="attention", most=2), "caption": NGrams()}
    model = CLIP(towers, dim=4, epochs=2, batch_size=20).fit(views)
    z = model.embed(views)
    assert not z["photo"][~views.present["photo"]].any()
    assert np.isfinite(z["caption"]).all()
    one = model.embed(views[:1])
    assert np.allclose(one["photo"][0], z["photo"][0], atol=1e-5)
    model.save(tmp_path / "model")
    again = bouba.load(tmp_path / "model").embed(views)
    assert all(np.array_equal(again[view], z[view]) for view in z)


def write_shelf(folder, n=40):
    for i in range(n):
        for side, red in (("front", 6 * i), ("back", 255 - 6 * i)):
            picture(red).save(folder / f"{side}{i}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    with (folder / "things.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["photo_front", "photo_back", "photos", "title", "kind"])
        for i in range(n):
            front, back = f"front{i}.png", "" if i == 3 else f"back{i}.png"
            both = f"{front}|{'broken.png' if i == 5 else back}"
            writer.writerow([front, back, both, f"thing number {i}", "low" if i < n / 2 else "high"])
    return folder / "things.csv"


def test_the_reader_takes_several_columns_or_a_text_with_bars_where_it_is_told_so(tmp_path):
    table = write_shelf(tmp_path)
    views = read(table, image="photo_*", text="title", ignore="photos")
    assert [len(views["photo"][i]) if isinstance(views["photo"][i], Several) else 1 for i in range(5)] == [
        2,
        2,
        2,
        1,
        2,
    ]
    assert views.sources["photo"] == ("photo_front", "photo_back")
    split = read(table, image="photos|", text="title", ignore=["photo_front", "photo_back"])
    assert [str(path).rsplit("/", 1)[1] for path in split["photos"][0]] == ["front0.png", "back0.png"]
    assert not isinstance(split["photos"][5], Several)  # its other picture is broken, and listed
    assert [entry["row"] for entry in split.bad_rows] == [5]
    for one in (views, split):
        schema = Schema.from_dict(Schema.of(one).to_dict())
        from bouba.data.read import read_like

        again = read_like(table, schema)
        view = next(iter(one.columns))
        assert [str(cell) for cell in again[view]] == [str(cell) for cell in one[view]]
    plain = read(table, text=["photos", "title"], ignore=["photo_front", "photo_back"])
    assert not plain["photos"].holds_several  # nobody said so


def test_a_run_on_the_command_line_shows_the_first_picture(tmp_path):
    pytest.importorskip("lancedb")
    pytest.importorskip("plotly")
    from bouba import Run

    table = write_shelf(tmp_path)
    recipe = {"towers": {"photos": {"encoder": "ConvNet", "size": 8, "channels": 2}, "title": {"encoder": "NGrams"}}}
    read_as = {"image": ["photos|"], "text": ["title"], "ignore": ["photo_front", "photo_back", "kind"]}
    run = Run.fit(table, method="clip", read=read_as, recipe=recipe, epochs=1, dim=4, out=tmp_path / "run", holdout=0.3)
    assert isinstance(run.model.specs_["photos"], Pooled)
    run = Run.open(tmp_path / "run")
    hits = run.search("thing number 7", k=40)
    shown = {str(hit.cells["photos"]) if hasattr(hit, "cells") else str(hit) for hit in hits}
    assert any("front7.png" in cell for cell in shown)
    assert len(run.evaluate(table)) > 0


def test_frozen_encoders_of_a_closed_form_take_the_mean():
    from bouba.align.encoded import Encoded

    class Reader:
        def __call__(self, cells):
            return np.array([[len(cell), 1.0] for cell in cells])

    encoded = Encoded(NGrams(), {}, {})
    encoded.__dict__["reader"] = Reader()
    values = encoded([Several(["a", "abc"]), "ab"])
    assert np.allclose(values[0], values[1])
    assert FewPairs is not None


def test_refusals():
    with pytest.raises(UsageError, match="no pool 'max'"):
        Pooled(NGrams(), pool="max")
    with pytest.raises(UsageError, match="most and width are 1 or more"):
        Pooled(NGrams(), most=0)
    with pytest.raises(UsageError, match="an encoder of single things, got another Pooled"):
        Pooled(Pooled(NGrams()))
    with pytest.raises(UsageError, match="Pooled reads image, text, audio"):
        Pooled(NGrams()).on("vector")
    with pytest.raises(UsageError, match="NGrams reads text"):
        Pooled(NGrams()).on("image")
    assert bouba.data.decode.check("image", Several([picture(3), b"no"])) is not None
    with pytest.raises(DataError, match="no column like 'shot_"):
        read({"title": ["a", "b"]}, image="shot_*")


def test_a_recipe_names_it_and_its_encoder():
    from bouba.runs.describing import recipe_of
    from bouba.runs.recipe import build

    spec = Pooled(ConvNet(size=8), pool="attention")
    model = CLIP({"photo": spec})
    assert build(recipe_of(model)).towers == {"photo": spec}
