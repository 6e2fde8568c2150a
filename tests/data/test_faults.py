"""Cells whose headers are in order and whose data are not: found when they are used, and missing from then on."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from bouba import read
from bouba.align import CCA, CLIP
from bouba.data.faults import decoded
from bouba.data.loader import Codes, Rows
from bouba.errors import DataError
from bouba.fuse import FusionClassifier
from bouba.towers import ConvNet

BROKEN = (3, 17)


@pytest.fixture
def table(tmp_path):
    """Thirty pictures with captions and classes; the pixels of two are spoilt behind whole headers and ends."""
    random = np.random.default_rng(0)
    for i in range(30):
        file = tmp_path / f"{i}.png"
        Image.fromarray(random.integers(0, 255, (12, 12, 3), np.uint8)).save(file)
        if i in BROKEN:
            content = bytearray(file.read_bytes())
            content[80:140] = bytes(60)
            file.write_bytes(content)
    table = tmp_path / "t.csv"
    lines = [f"{i}.png,number {i} of the things,{'ab'[i % 2]}" for i in range(30)]
    table.write_text("photo,caption,label\n" + "\n".join(lines) + "\n")
    return table


def whole_table(table):
    """The same table where the two pictures are known to be missing."""
    lines = table.read_text().splitlines()
    lines = [line.removeprefix(f"{i - 1}.png") if i - 1 in BROKEN else line for i, line in enumerate(lines)]
    other = table.with_name("known.csv")
    other.write_text("\n".join(lines) + "\n")
    return other


def test_reading_looks_at_headers_and_strict_reading_at_pixels(table):
    views = read(table)
    assert views.present["photo"].all()
    assert not views.bad_rows
    with pytest.raises(
        DataError, match=r"2 of 30 cells cannot be read, the first is row 3, column 'photo': not a picture"
    ):
        read(table, strict=True)


@pytest.mark.parametrize(
    "model", [CLIP(epochs=2, dim=8, verbose=False), CCA(2, ridge=0.1)], ids=lambda m: type(m).__name__
)
def test_a_fit_goes_on_without_them_as_if_they_had_been_missing(table, model, caplog):
    from sklearn.base import clone

    views, known = read(table), read(whole_table(table))
    fitted, expected = clone(model).fit(views), clone(model).fit(known)
    assert np.flatnonzero(~views.present["photo"]).tolist() == list(BROKEN)
    assert [(bad["row"], bad["column"]) for bad in views.bad_rows] == [(row, "photo") for row in BROKEN]
    assert "3.png" in views.bad_rows[0]["reason"]
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert sum("it counts as missing" in warning for warning in warnings) == 2
    for view in ("photo", "caption"):
        ours, theirs = fitted.transform(views)[view], expected.transform(known)[view]
        np.testing.assert_array_equal(ours.present, theirs.present)
        np.testing.assert_array_equal(np.stack(list(ours)), np.stack(list(theirs)))


def test_training_without_memory_for_pictures_gives_the_same(table, monkeypatch):
    views, other = read(table), read(table)
    fitted = CLIP(epochs=2, dim=8, verbose=False).fit(views)
    initialise = Rows.__init__
    monkeypatch.setattr(Rows, "__init__", lambda *args, **named: initialise(*args, **named | {"memory": 0}))
    again = CLIP(epochs=2, dim=8, verbose=False).fit(other)
    np.testing.assert_array_equal(fitted.embed(views)["photo"], again.embed(other)["photo"])
    assert again.history_[-1]["loss"] == fitted.history_[-1]["loss"]


def test_a_model_meets_them_in_new_rows(table):
    model = CLIP(epochs=1, dim=8, verbose=False).fit(read(whole_table(table)))
    views = read(table)
    embedded = model.transform(views)
    assert np.flatnonzero(~embedded.present["photo"]).tolist() == list(BROKEN)
    assert not model.embed(views)["photo"][list(BROKEN)].any()
    assert [bad["row"] for bad in embedded.bad_rows] == list(BROKEN)


def test_a_row_that_has_nothing_else_is_predicted_from_nothing(table):
    views = read(table, image="photo", label="label", ignore="caption")
    model = FusionClassifier(epochs=1, dim=8, verbose=False).fit(views)
    assert model.predict(views).shape[0] == 30
    assert np.flatnonzero(~views.present["photo"]).tolist() == list(BROKEN)


def test_batches_mask_them_and_say_it_once(table, caplog):
    views = read(table)
    encoder = ConvNet(size=8, channels=2).build({})
    rows = Rows(views, {"photo": encoder}, Codes(), memory=0)
    for _ in range(2):
        batch = rows.batch(torch.tensor([2, 3, 17, 4, 3]))
        assert batch.present["photo"].tolist() == [True, False, False, True, False]
        assert not batch.inputs["photo"]["pixels"][[1, 2, 4]].any()
    assert len(caplog.records) == 2
    alone = rows.batch(torch.tensor([3]))
    assert alone.inputs["photo"]["pixels"].shape == (1, 3, 8, 8)


def test_subsets_share_what_was_found_and_list_their_own(table):
    views = read(table)
    part = views[np.arange(10, 20)]
    read_rows, count = decoded("photo", part["photo"], range(10), lambda cells: ConvNet().build({}).prepare(cells))
    assert read_rows == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    assert count["pixels"].shape[0] == 9
    assert [bad["row"] for bad in part.bad_rows] == [17]
    assert [bad["row"] for bad in views.bad_rows] == [17]
    assert views[:5].bad_rows == []
    assert [bad["row"] for bad in views.select("photo").bad_rows] == [17]


def test_an_error_that_no_cell_explains_is_raised(table):
    def fails(cells):
        raise DataError("the network is to blame")

    views = read(whole_table(table))
    with pytest.raises(DataError, match="the network is to blame"):
        decoded("photo", views["photo"], range(30), fails)
    assert decoded("photo", views["photo"], BROKEN, fails) == ([], None)


def test_headers_of_many_pictures_cost_little(tmp_path):
    """A picture of 640 x 480 decodes in 2.5 ms; its header takes a twentieth of that."""
    import time

    file = tmp_path / "0.jpg"
    Image.effect_noise((640, 480), 60).convert("RGB").save(file)
    for i in range(1, 400):
        (tmp_path / f"{i}.jpg").hardlink_to(file)
    read(tmp_path)
    start = time.process_time()
    assert len(read(tmp_path)) == 400
    assert time.process_time() - start < 0.3


def test_pictures_that_all_went_away_stop_the_run(table):
    """A disk that is gone is no thirty broken pictures: going on would train on nothing."""
    views = read(table)
    for file in table.parent.glob("*.png"):
        file.unlink()
    with pytest.raises(DataError, match=r"photo: none of 30 cells can be read, the first: .*no such file"):
        CLIP(epochs=1, dim=8, verbose=False).fit(views)
    assert views.present["photo"].all()


def test_many_broken_cells_are_counted_not_listed_in_the_log(table, caplog):
    for i in range(4, 20):
        (table.parent / f"{i}.png").write_bytes((table.parent / "3.png").read_bytes())
    views = read(table)
    decoded("photo", views["photo"], range(30), lambda cells: ConvNet(size=8).build({}).prepare(cells))
    assert len(caplog.records) == 11
    assert caplog.records[-1].message == "photo: 7 cells more cannot be read and count as missing"
    assert len(views.bad_rows) == 17


def test_features_of_a_frozen_network_are_kept_of_whole_cells(table, tmp_path, monkeypatch):
    """The second run reads features from disk, and finds the same cells broken."""
    from bouba.towers.frozen import Frozen

    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path / "cache"))
    inputs = []
    for _ in range(2):
        encoder = ConvNet(size=8, channels=2, augment=None).build({}).eval()
        encoder.load_state_dict({name: tensor * 0 + 0.01 for name, tensor in encoder.state_dict().items()})
        rows = Rows(read(table), {"photo": Frozen(encoder, "image", {})}, Codes())
        assert np.flatnonzero(~rows.present["photo"].numpy()).tolist() == list(BROKEN)
        inputs.append(rows.batch(rows.rows).inputs["photo"]["features"])
    assert inputs[0].equal(inputs[1])


def test_a_sound_that_breaks_behind_what_is_read_of_it_is_whole(tmp_path):
    """One is NaN within the second that the tower reads, one behind it: beside a broken one as without."""
    import soundfile

    from bouba.towers import CRNN

    for number, place in enumerate((None, 100, 12_000)):
        samples = np.full(16_000, 0.1, np.float32)
        if place is not None:
            samples[place] = np.nan
        soundfile.write(tmp_path / f"{number}.wav", samples, 8000, subtype="FLOAT")
    views = read(tmp_path)
    encoder = CRNN(rate=8000, seconds=1.0, mels=8).build({"mean": [0.0] * 8, "scale": [1.0] * 8})
    rows = Rows(views, {"audio": encoder}, Codes())
    assert rows.present["audio"].tolist() == [True, False, True]
    with pytest.raises(DataError, match="2 of 3 cells cannot be read"):
        read(tmp_path, strict=True)
