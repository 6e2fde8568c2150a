"""Cells on a page: pictures and clips are seen, everything else is told in words."""

import io

import numpy as np
import pytest
from made import film
from PIL import Image

from bouba import Views
from bouba.data.kinds import KINDS
from bouba.report.build import (
    OTHERS,
    Method,
    clip_bytes,
    draw_queries,
    embedding_map,
    facts,
    galleries,
    picture_bytes,
    samples,
)


def animation(side=8, noise=False):
    random = np.random.default_rng(0)
    shades = [
        random.integers(0, 255, (side, side, 3), np.uint8) if noise else np.full((side, side, 3), s, np.uint8)
        for s in (0, 100, 200)
    ]
    pictures = [Image.fromarray(shade) for shade in shades]
    file = io.BytesIO()
    pictures[0].save(file, "WEBP", save_all=True, append_images=pictures[1:], lossless=True)
    return file.getvalue()


def test_a_small_animation_is_shown_as_it_is_and_a_large_one_by_its_middle(tmp_path):
    small, large = animation(), animation(200, noise=True)
    (tmp_path / "a.webp").write_bytes(small)
    assert clip_bytes(small) == clip_bytes(str(tmp_path / "a.webp")) == small
    assert len(large) > 20_000
    shown = Image.open(io.BytesIO(clip_bytes(large)))
    assert (shown.format, shown.size, getattr(shown, "n_frames", 1)) == ("WEBP", (96, 96), 1)


def test_a_film_is_shown_by_its_middle(tmp_path):
    (tmp_path / "a.mp4").write_bytes(film([Image.new("RGB", (32, 32), (s,) * 3) for s in (0, 120, 240)]))
    shown = Image.open(io.BytesIO(clip_bytes(str(tmp_path / "a.mp4"))))
    assert shown.convert("RGB").getpixel((9, 9))[0] == pytest.approx(120, abs=6)


@pytest.mark.parametrize(
    ("kind", "cell", "words"),
    [
        ("text", "a cat", "a cat"),
        ("table", {"a": 1, "b": "x", "c": None, "d": 0.5}, "a = 1, b = x, d = 0.5"),
        ("audio", "sounds/cat.wav", "cat.wav"),
        ("audio", b"four", "4 bytes"),
        ("audio", (np.zeros(3), 8000), "tuple"),
        ("vector", np.array([1.0, 2.5]), "[1.  2.5]"),
    ],
)
def test_other_cells_in_words(kind, cell, words):
    assert KINDS[kind].summary(cell) == words


class Told:
    """A model whose embeddings are given."""

    def __init__(self, z):
        self.z = z

    def embed(self, views):
        return dict.fromkeys(views.modalities, self.z[views.rows])


def test_galleries_and_maps_of_clips_and_tables():
    cells = [animation()] * 24
    rows = [{"size": i, "city": "Bonn"} for i in range(24)]
    views = Views({"clip": cells, "t": rows}, kinds={"clip": "video", "t": "table"})
    method = Method("told", Told(np.random.default_rng(0).normal(size=(24, 3))))
    [gallery] = galleries([method], views, ask="t", answer="clip", rows=[3], title="t -> clip")
    [query] = gallery.queries
    assert (query.text, query.picture, query.rank) == ("size = 3, city = Bonn", None, 1)
    assert query.found[0].picture == cells[0] == picture_bytes(cells[0])
    assert embedding_map(method, views, view="clip", title="map").pictures == cells
    assert embedding_map(method, views, view="t", title="map").pictures is None
    assert [shown.data for shown in samples(views, image="clip", caption=None, keys=["3"])] == cells[:1]
    assert ("t", "table") in facts(views)


class Predicts(Told):
    """And that says of each row what it is told."""

    predicts = True

    def __init__(self, z, log_p):
        super().__init__(z)
        self.log_p = log_p

    def outputs(self, views):
        return {"kind": self.log_p[views.rows][:, None]}

    def classes(self, label):
        return np.array(["a", "b"])


def test_a_map_is_coloured_by_labels_and_by_what_is_predicted_of_them():
    random = np.random.default_rng(0)
    log_p = np.log(random.dirichlet([1, 1], 60))
    names = [f"class {i}" for i in (*range(20), *[0] * 20, *[1] * 10, *range(2, 12))]
    y = {"kind": list("ab" * 30), "size": names, "id": [f"row {i}" for i in range(60)], "one": ["same"] * 60}
    views = Views({"x": random.normal(size=(60, 2))}, y=y)
    points = embedding_map(Method("p", Predicts(random.normal(size=(60, 3)), log_p)), views, view="x", title="map")
    assert list(points.labels) == ["kind", "size", "kind, predicted"]
    assert points.labels["kind, predicted"] == ["ab"[i] for i in log_p.argmax(1)]
    assert len(set(points.labels["size"])) == 12
    assert points.labels["size"][0] == "class 0"  # a common one keeps its name
    assert points.labels["size"][19] == OTHERS


class Finds:
    """A model that finds the first `known` of its rows, and of the others never the right one among the first three."""

    def __init__(self, known, n=40):
        self.known, self.n = known, n

    def embed(self, views):
        right, wrong = np.eye(self.n)[views.rows], np.eye(self.n)[(views.rows + 1) % self.n]
        wrong = (
            wrong + 0.9 * np.eye(self.n)[(views.rows + 2) % self.n] + 0.8 * np.eye(self.n)[(views.rows + 3) % self.n]
        )
        return {"a": np.where((views.rows < self.known)[:, None], right, wrong), "b": right}


@pytest.mark.parametrize(("known", "hits"), [(0, 0), (10, 2), (21, 4), (30, 6), (40, 8)])
def test_examples_are_in_the_measured_proportion(known, hits):
    views = Views({"a": np.eye(40), "b": np.eye(40)})
    method = Method("m", Finds(known))
    for seed in range(3):
        drawn = draw_queries(method, views, ask="a", answer="b", n=8, k=3, random_state=seed)
        assert (drawn.found, drawn.of, len(drawn.rows)) == (known, 40, 8)
        assert sum(row < known for row in drawn.rows) == hits
        assert drawn == draw_queries(method, views, ask="a", answer="b", n=8, k=3, random_state=seed)
    found = {"m": (drawn.found, drawn.of)}
    [gallery] = galleries([method], views, ask="a", answer="b", rows=drawn.rows, title="t", k=3, found=found)
    assert sum(query.hit for query in gallery.queries) == hits
    assert gallery.found == (known, 40)


def test_examples_are_ordered_as_they_are_measured():
    """A cell that is near to everything loses its place where the model corrects that."""

    class Hub(Finds):
        def embed(self, views):
            z = np.eye(40)[views.rows] + 0.0
            hub = z.copy()
            hub[0] += 1.0
            return {"a": z, "b": hub}

        def hub_offsets(self, z):
            return {view: np.where(np.arange(40) == 0, 9.0, 0.0) for view in z}

    views = Views({"a": np.eye(40), "b": np.eye(40)})
    plain = draw_queries(
        Method("m", type("Plain", (Hub,), {"hub_offsets": lambda s, z: {}})(40)), views, ask="a", answer="b", n=8, k=1
    )
    corrected = draw_queries(Method("m", Hub(40)), views, ask="a", answer="b", n=8, k=1)
    assert (plain.found, corrected.found) == (40, 39)
