"""A page shows cells that no file holds: the index keeps a small picture or a short sound of each."""

import io

import numpy as np
import pytest
import soundfile
from PIL import Image

from bouba import Views
from bouba.data.views import Column
from bouba.runs.contents import contents_of
from bouba.runs.indexing import write_search
from bouba.runs.miniatures import RATE, SECONDS, SIDE, Miniatures, file_of
from bouba.search import Index
from bouba.search.columns import describe

pytest.importorskip("lancedb")


def encoded(picture, form):
    out = io.BytesIO()
    picture.save(out, form)
    return out.getvalue()


def opened(data):
    return Image.open(io.BytesIO(data))


def test_pictures_become_small_webp_and_files_stay_files(tmp_path):
    large = np.zeros((300, 600, 3), np.uint8)
    large[:, 300:] = 255
    small = np.random.default_rng(0).integers(0, 255, (40, 30, 3)).astype(np.uint8)
    webp = encoded(Image.fromarray(small), "WEBP")
    path = tmp_path / "x.png"
    Image.fromarray(small).save(path)
    cells = [large, small, encoded(Image.fromarray(small), "PNG"), webp, {"bytes": webp, "path": "gone.png"},
             str(path), None, b"no picture"]  # fmt: skip
    shown = Miniatures(Column.of(cells, "image"))[:]
    assert [None if data is None else (opened(data).format, opened(data).size) for data in shown] == [
        ("WEBP", (SIDE, SIDE // 2)), *[("WEBP", (30, 40))] * 4, None, None, None,
    ]  # fmt: skip
    assert shown[3] == shown[4] == webp
    for data in shown[1:3]:  # without loss
        np.testing.assert_array_equal(np.asarray(opened(data).convert("RGB")), small)
    assert [file_of(cell) for cell in cells[4:6]] == [None, str(path)]


@pytest.mark.parametrize(("rate", "kept"), [(16_000, 16_000), (96_000, 48_000), (4_000, 8_000), (None, RATE)])
def test_sounds_become_thirty_seconds_of_ogg(rate, kept):
    native = rate or RATE
    tone = np.sin(np.arange(40 * native) * 2 * np.pi * 220 / native).astype(np.float32) / 2
    (data,) = Miniatures(Column.of([tone if rate is None else (tone, rate)], "audio"))[:]
    samples, stored = soundfile.read(io.BytesIO(data))
    assert (stored, len(samples)) == (kept, int(SECONDS * kept))
    assert np.argmax(np.abs(np.fft.rfft(samples))) / SECONDS == pytest.approx(220, abs=0.1)


class Half:
    """A model whose embedding of a picture or sound is what the test says."""

    aligns, fuses, compared_by, searchable = True, False, "dot", ("image", "audio")

    def embed(self, views):
        return {name: np.ones((len(views), 2), np.float32) for name in views.columns}


def test_the_index_keeps_them_and_a_digest_a_row(tmp_path):
    pictures = [np.full((8, 8, 3), 40 * i, np.uint8) for i in range(3)]
    views = Views(
        {"image": pictures, "audio": [np.zeros(400, np.float32), None, None]},
        kinds={"image": "image", "audio": "audio"},
        meta={"n": [1, 2, None]},
        rows=[5, 6, 7],
    )
    index = write_search(Half(), views, tmp_path)
    for made in (index, Index.open(tmp_path / "index")):
        for row, picture in zip((5, 6, 7), pictures):
            np.testing.assert_array_equal(np.asarray(opened(made.shown(row, "image")).convert("RGB")), picture)
        assert len(soundfile.read(io.BytesIO(made.shown(5, "audio")))[0]) == 400
        assert made.shown(6, "audio") is made.shown(99, "image") is made.shown(5, "no view") is None
        assert "_shown" not in {name for hit in made.search(np.ones(2)) for name in hit.columns}
    columns = {"n": [1, 2, None]}
    stored = made._table.search().select(["_row", "_content"]).limit(10).to_arrow().to_pydict()
    expected = dict(zip((5, 6, 7), contents_of(views, columns, describe(columns))))
    assert dict(zip(stored["_row"], stored["_content"])) == expected


def test_a_digest_is_of_bytes_texts_numbers_and_columns_whatever_their_type(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(data := encoded(Image.new("RGB", (4, 4)), "PNG"))
    stored = describe({"n": [1, 2], "w": ["a"]})

    def of(image=data, text="a dog", vector=(1.0, 2.0), **columns):
        views = Views(
            {"i": [image], "t": [text], "v": np.array([vector])}, kinds={"i": "image", "t": "text", "v": "vector"}
        )
        return contents_of(views, {name: [value] for name, value in columns.items()}, stored)[0]

    same = of(n=1)
    assert same == of(str(path), n=1.0, w=None, other="x") == of({"bytes": data, "path": "q"}, n=np.int64(1))
    assert same == of(vector=np.array([1, 2], np.float32), n=1)
    others = [of(n=2), of(n=1, w="b"), of(text="a cat", n=1), of(vector=(1.0, 3.0), n=1), of(data[:-1], n=1), of()]
    assert len({same, *others}) == 7
