"""The bench pairs digits by class, spoils each cell once, and compares on the same rows."""

import numpy as np
import pytest

from bouba import CRNN, ConvNet
from bouba.bench import av_digits
from bouba.bench.bits import packed
from bouba.errors import DataError, UsageError
from bouba.evaluation import paired_over_seeds
from bouba.evaluation.fingerprint import fingerprint


@pytest.fixture
def files(tmp_path):
    """Digits 0 and 1: a bar that stands or lies, a low or a high tone; 2 speakers of 8 recordings a digit."""
    random = np.random.default_rng(0)

    def images(n):
        y = np.arange(n) % 2
        x = random.integers(0, 40, (n, 12, 12)).astype(np.uint8)
        for picture, lies in zip(x, y):
            at = random.integers(2, 8)
            (picture.T if lies else picture)[2:10, at : at + 3] = 250
        return {"x": x, "y": y.astype(np.uint8)}

    train, test = images(200), images(60)
    np.savez(tmp_path / "mnist.npz", train_x=train["x"], train_y=train["y"], test_x=test["x"], test_y=test["y"])
    speaker, label, index = (a.ravel() for a in np.meshgrid(["ann", "bob"], [0, 1], np.arange(8), indexing="ij"))
    lengths = random.integers(900, 1500, len(label))
    waves = [np.sin(np.arange(n) * (0.3 + 0.9 * y)) * 9000 for n, y in zip(lengths, label)]
    np.savez(
        tmp_path / "fsdd_8khz.npz",
        wave=np.concatenate(waves).astype(np.int16),
        offset=np.concatenate([[0], np.cumsum(lengths)]),
        label=label.astype(np.uint8),
        speaker=speaker,
        index=index.astype(np.uint8),
    )
    return tmp_path


def test_rows_are_pairs_of_one_digit_and_no_recording_or_image_is_in_both_parts(files, monkeypatch):
    monkeypatch.setattr(av_digits, "_leading", lambda pixels: (np.zeros(144), np.eye(144)))  # everything is kept
    monkeypatch.setattr(av_digits, "NOISE", 0.0)
    train, test = av_digits.digits(files, rows=60, test_rows=40)
    assert (len(train), len(test)) == (60, 40)
    assert train.modalities == {"picture": "image", "sound": "audio"}
    assert not set(train.key) & set(test.key)
    assert len(set(test.key)) == 20, "recordings 0 to 4 of two speakers and two digits"
    spoken = np.load(files / "fsdd_8khz.npz")
    for views, is_test in ((train, False), (test, True)):
        assert all((spoken["index"][views.key] < 5) == is_test)
        np.testing.assert_array_equal(views.y["digit"], spoken["label"][views.key].astype(str))
        np.testing.assert_array_equal(views.domain, spoken["speaker"][views.key])
        shown = 255.0 - np.stack(list(views["picture"]))
        part = "test" if is_test else "train"
        images = np.load(files / "mnist.npz")
        far = np.abs(shown[:, None] - images[f"{part}_x"]).max((2, 3))  # (rows, images)
        assert not far.min(1).any()
        np.testing.assert_array_equal(images[f"{part}_y"][far.argmin(1)].astype(str), views.y["digit"])
        assert len(set(far.argmin(1))) == len(views), "no image stands twice"


def test_cells_are_spoilt_once_and_as_much_as_is_said(files):
    first, again = (
        av_digits.digits(files, rows=60, test_rows=20)[0],
        av_digits.digits(files, rows=60, test_rows=20)[0],
    )
    np.testing.assert_array_equal(np.stack(list(first["picture"])), np.stack(list(again["picture"])))
    a, b = (np.flatnonzero(first.key == first.key[0])[:2]).tolist()
    assert not np.array_equal(first["sound"][a][0], first["sound"][b][0]), "a recording is spoilt anew in each row"
    np.testing.assert_array_equal(first["sound"][a][0], again["sound"][a][0])
    random = np.random.default_rng(0)
    wave = np.sin(np.arange(8000) * 0.3)
    noisy = av_digits._noisy(wave, random)
    scale = (noisy @ wave) / (wave @ wave)
    decibel = 10 * np.log10(np.square(scale * wave).mean() / np.square(noisy - scale * wave).mean())
    assert decibel == pytest.approx(av_digits.DECIBEL, abs=0.5)
    pixels = np.random.default_rng(1).normal(size=(500, 20)) * np.linspace(3, 0.1, 20)
    mean, components = av_digits._leading(pixels)
    kept = ((pixels - mean) @ components.T).var(0).sum() / pixels.var(0).sum()
    assert kept <= av_digits.ENERGY
    more = np.linalg.svd(pixels - mean)[2][: len(components) + 1]
    assert ((pixels - mean) @ more.T).var(0).sum() / pixels.var(0).sum() > av_digits.ENERGY


def figures_of(shares, rows=200):
    """(method, views) -> share of right rows by seed; the same rows are right first in all of them."""
    runs = [
        {"method": method, "views": views, "seed": seed, "percent": 100 * share, "rows": rows}
        | {"right": packed(np.arange(rows) < round(share * rows))}
        for (method, views), by_seed in shares.items()
        for seed, share in enumerate(by_seed)
    ]
    return {"recordings": [str(row // 2) for row in range(rows)], "runs": runs}


def test_definition_of_gain_and_of_what_a_missing_view_costs(again):
    """Two seeds; the better view is the one with the higher mean, and differences are paired by seed and row."""
    values = {("picture alone", "picture"): (0.6, 0.7), ("sound alone", "sound"): (0.4, 0.4)}
    values |= {("sum", "picture + sound"): (0.75, 0.8), ("sum", "picture"): (0.6, 0.68), ("sum", "sound"): (0.3, 0.5)}
    figures = figures_of(values)
    tables = av_digits.tables(figures)
    assert list(tables) == ["fusions"], "no voice was left out, nothing was imputed"
    assert tables == av_digits.tables(again(figures))
    [line] = [line for line in tables["fusions"].lines if line[0] == "sum"]
    assert [float(cell.strip("*").partition(" ")[0]) for cell in line[1:]] == [77.5, 12.5, 64.0, -1.0, 40.0, 0.0]
    both, better = (
        av_digits._right(figures["runs"], *of) for of in (("sum", "picture + sound"), ("picture alone", "picture"))
    )
    _, low, high, _ = paired_over_seeds(both, better, groups=figures["recordings"])
    assert line[2].strip("*").endswith(f"[{100 * low:.1f}, {100 * high:.1f}]")
    assert line[2].startswith("**") == (low > 0)
    [line] = [line for line in tables["fusions"].lines if line[0] == "trained on that view"]
    assert [cell.partition(" ")[0] for cell in line[1:]] == ["-", "-", "65.0", "-", "40.0", "-"]


def test_the_command_end_to_end(files, monkeypatch, kept_by):
    small = {
        "picture": ConvNet(size=12, channels=2, augment=None),
        "sound": CRNN(rate=8000, seconds=0.2, mels=16, channels=2, width=4),
    }
    monkeypatch.setattr(av_digits, "TOWERS", small)
    seen = []
    fit = av_digits.FusionClassifier.fit
    monkeypatch.setattr(av_digits.FusionClassifier, "fit", lambda self, X: seen.append(X) or fit(self, X))
    arguments = ["--data", files, "--seeds", 2, "--epochs", 1, "--rows", 48]
    arguments += ["--test-rows", 40, "--fusion", "gated"]
    kept = kept_by(av_digits, *arguments)
    runs = kept.measured["runs"]
    where = [(run["method"], run["views"], run["seed"]) for run in runs]
    assert len(set(where)) == len(where) == 2 * 5 + 2
    assert {run["rows"] for run in runs if not run["method"].startswith("without")} == {40}
    assert {run["rows"] for run in runs if run["method"].startswith("without")} == {20}
    assert len(set(kept.measured["recordings"])) == 20, "recordings 0 to 4 of two speakers and two digits"
    assert kept.environment["data"] == fingerprint(*(files / name for name in av_digits.FILES))
    assert str(files) not in kept.command
    voices = av_digits.tables(kept.measured)["voices"]
    assert voices.header == ["sound alone, percent right", "ann", "bob", "mean"]
    each = [run["percent"] for run in runs if run["method"].startswith("without")]
    assert voices.lines[0][1:3] == [f"{x:.1f}" for x in each]
    assert voices.lines[0][3].startswith(f"{np.mean(each):.1f} [")
    train, _ = av_digits.digits(files, rows=48, test_rows=40)
    left_out = [views for views in seen if len(views) < 48]
    assert len(left_out) == 2
    assert all(views.domain is None for views in seen)
    for speaker, views in zip(("ann", "bob"), left_out):
        np.testing.assert_array_equal(views.key, train.key[train.domain != speaker])
    count = len(seen)
    assert kept_by(av_digits, *arguments).measured == kept.measured
    assert len(seen) == count, "nothing is trained again"


def test_definition_of_left_out_and_imputed(files, monkeypatch):
    """Embeddings of late fusion are read; what is not imputed is not there, and what is was decoded from the other."""
    random = np.random.default_rng(0)
    asked, given = [], []
    predict, fill = av_digits.FusionClassifier.predict, av_digits.impute
    monkeypatch.setattr(av_digits.FusionClassifier, "predict", lambda self, X: asked.append(X) or predict(self, X))
    monkeypatch.setattr(av_digits, "impute", lambda X, model: given.append((X, model)) or fill(X, model))
    y = np.arange(40) % 2
    columns = {name: np.eye(2)[y] @ random.normal(size=(2, 6)) for name in ("picture", "sound")}
    views = av_digits.Views(columns, y={"digit": y.astype(str)}, key=np.arange(40), domain=["ann"] * 40)
    found = {(r["method"], r["views"]): r["percent"] for r in av_digits.filled(views, views, 0, epochs=5)}
    modes = ("rows with gaps", "complete rows")
    assert set(found) == {
        *((mode, v) for mode in modes for v in ("picture", "sound", "picture + sound")),
        *((f"{mode}, imputed", v) for mode in modes for v in ("picture", "sound")),
    }
    filled_in = [X for X in asked if any(mask.any() for mask in X.imputed.values())]
    assert len(filled_in) == len(given) == 4
    for X, (before, model) in zip(filled_in, given):
        [view], [other] = before.columns, set(columns) - set(before.columns)
        assert X.imputed[other].all()
        assert not X.imputed[view].any()
        np.testing.assert_allclose(np.stack(list(X[other])), model.reconstruct(before)[other], rtol=1e-5)
    assert found["complete rows", "picture + sound"] == 100


def test_definition_of_the_gain_by_imputing(again):
    values = {("picture alone", "picture"): 0.5, ("sound alone", "sound"): 0.5}
    values |= {(mode, "picture + sound"): 0.9 for mode in av_digits.GAPS}
    for place, mode in enumerate(av_digits.GAPS):
        for view in ("picture", "sound"):
            values[mode, view], values[f"{mode}, imputed", view] = 0.4, 0.45 + 0.1 * place
    figures = figures_of({where: [v + 0.01 * s for s in range(2)] for where, v in values.items()})
    table = av_digits.tables(figures)["imputed"]
    assert table == av_digits.tables(again(figures))["imputed"]
    gains = [[float(line[place].strip("*").partition(" ")[0]) for place in (4, 7)] for line in table.lines]
    assert [table.header[place] for place in (4, 7)] == ["gain", "gain"]
    assert gains == [[5.0, 5.0], [15.0, 15.0]]


def test_refusals(files, tmp_path):
    with pytest.raises(UsageError, match="no fusion 'gate'; did you mean 'gated'"):
        av_digits.command(files, fusion=["gate"])
    with pytest.raises(DataError, match="holds no handwritten digits"):
        av_digits.digits(tmp_path / "none")
    with pytest.raises(DataError, match="pictures of digit 0 are needed, there are 100; take fewer rows"):
        av_digits.digits(files, rows=900)
    np.savez(files / "fsdd_8khz.npz", wave=np.zeros(3))
    with pytest.raises(DataError, match=r"holds no spoken digits .* give an .npz with wave, offset"):
        av_digits.digits(files)
