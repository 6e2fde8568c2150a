"""Near-duplicates: what is found, what is not, and that no order of rows matters."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from bouba import Views, duplicates, samples, split
from bouba.data import scratch
from bouba.data.duplicates.nearest import candidates, standing_out
from bouba.data.duplicates.registration import aligned_distance
from bouba.data.duplicates.texts import ALIKE, near_texts, normalised
from bouba.data.split import units_of
from bouba.metrics.similarity import unit_rows


def scene(seed, size=96):
    """A photograph of a sort: smooth light, with texture up to every edge."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((size, size, 3))
    for cells in (3, 6, 12, 24):
        coarse = Image.fromarray(random.integers(0, 255, (cells, cells, 3), dtype=np.uint8))
        pixels += np.asarray(coarse.resize((size, size), Image.Resampling.BICUBIC), float) / cells
    return Image.fromarray((255 * (pixels - pixels.min()) / np.ptp(pixels)).astype(np.uint8))


def drawing(seed, size=96):
    """Shapes on white, with room around them."""
    random = np.random.default_rng(seed)
    picture = Image.new("RGB", (size, size), "white")
    draw = ImageDraw.Draw(picture)
    for _ in range(6):
        x, y, w, h = (random.integers(low, high) for low, high in ((20, 50), (20, 50), (8, 26), (8, 26)))
        shape = draw.ellipse if random.random() < 0.5 else draw.rectangle
        shape((x, y, x + w, y + h), fill=tuple(random.integers(0, 200, 3).tolist()))
    return picture


def saved(picture, form, **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def margin(picture, pixels):
    return ImageOps.expand(picture, pixels, "white")


CHANGES = {
    "png": lambda p: saved(p, "PNG"),
    "jpeg": lambda p: saved(p, "JPEG", quality=70),
    "webp": lambda p: saved(p, "WEBP", quality=80),
    "half": lambda p: p.resize((p.width // 2, p.height // 2), Image.Resampling.LANCZOS),
    "larger": lambda p: p.resize((p.width * 2, p.height * 2), Image.Resampling.BICUBIC),
    "darker": lambda p: ImageEnhance.Brightness(p).enhance(0.9),
    "grey": lambda p: p.convert("L"),
    "mirrored": ImageOps.mirror,
}
OF_SCENES = CHANGES | {"cropped": lambda p: p.crop((4, 4, p.width - 3, p.height - 4))}
OF_DRAWINGS = CHANGES | {"margin": lambda p: margin(p, 12)}


@pytest.mark.parametrize(
    ("made", "name", "change"),
    [(scene, *one) for one in OF_SCENES.items()] + [(drawing, *one) for one in OF_DRAWINGS.items()],
    ids=[f"{made}-{name}" for made, names in (("scene", OF_SCENES), ("drawing", OF_DRAWINGS)) for name in names],
)
def test_a_picture_in_another_form_is_found_and_no_other_is(made, name, change):
    pictures = [made(seed) for seed in range(24)]
    found = duplicates(Views({"picture": [*pictures, *(change(p) for p in pictures)]}, kinds={"picture": "image"}))
    pairs = {pair.rows for pair in found.pairs}
    assert pairs <= {(row, row + 24) for row in range(24)}
    assert len(pairs) >= 23
    why = {"png": "equal", "mirrored": "mirrored"}.get(name, "alike")
    assert {pair.why for pair in found.pairs} == {why}


def digits(n=400):
    """Handwritten digits of scikit-learn, 8 x 8, as pictures."""
    from sklearn.datasets import load_digits

    return [
        Image.fromarray((a * 15).astype(np.uint8)).resize((32, 32), Image.Resampling.BICUBIC)
        for a in load_digits().images[:n]
    ]


def test_digits_by_different_hands_are_different():
    found = duplicates(Views({"digit": digits()}, kinds={"digit": "image"}))
    assert len(found.pairs) <= 1


def test_plain_colours_and_shapes_that_differ_in_colour_alone_are_different():
    colours = [(r, g, b) for r in (0, 120, 250) for g in (0, 120, 250) for b in (0, 120, 250)]
    plain = [Image.new("RGB", (32, 32), colour) for colour in colours]
    hearts = []
    for colour in colours[:-1]:
        heart = Image.new("RGB", (48, 48), "white")
        ImageDraw.Draw(heart).polygon([(24, 44), (4, 18), (14, 6), (24, 14), (34, 6), (44, 18)], fill=colour)
        hearts.append(heart)
    found = duplicates(Views({"picture": plain + hearts}, kinds={"picture": "image"}))
    coloured = [pair for pair in found.pairs if pair.rows[0] < 27 or pair.why == "equal"]
    assert coloured == []
    assert np.bincount(found.groups).max() <= 3  # a heart and one that is as light, but grey


def test_emoji_faces_are_different_and_variants_of_a_figure_are_near():
    views = samples.emoji(styles="openmoji")
    found = duplicates(views.select("image"))
    names = views.meta["name_en"]
    faces = np.flatnonzero(np.char.startswith(views.y["subgroup"].astype(str), "face-"))
    assert len(faces) > 80
    assert np.bincount(found.groups[faces]).max() <= 2
    assert np.bincount(found.groups).max() <= 8
    pairs = {frozenset((str(names[a]), str(names[b]))) for a, b in (pair.rows for pair in found.pairs)}
    assert frozenset(("man walking", "person walking")) in pairs or frozenset(("man running", "woman running")) in pairs


def test_texts_but_for_case_marks_and_width_are_equal_and_numbers_tell_them_apart():
    texts = [
        "A dog runs on the beach",
        "a DOG, runs on the beach!!",
        "ａ dog runs  on the beach",
        "page 12 of 90",
        "page 13 of 90",
    ]
    texts += [
        "a brown dog is running along the wide sandy beach",
        "the brown dog is running along the wide sandy beach",
    ]
    texts += ["a red car by a tree", "a red cat by a tree", "🙂", "🙁", "红色的心", "红色的心。", "", None]
    found = duplicates(Views({"text": texts}, kinds={"text": "text"}))
    groups = [set(np.flatnonzero(found.groups == g).tolist()) for g in np.flatnonzero(np.bincount(found.groups) > 1)]
    assert groups == [{0, 1, 2}, {5, 6}, {11, 12}]


def test_definition_of_near_texts():
    """Against every pair, with the formula written out."""
    random = np.random.default_rng(0)
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"]
    texts = [" ".join(random.choice(words, 6)) for _ in range(60)]
    texts = sorted({normalised(text) for text in [*texts, *(f"{text} and" for text in texts[:20])]})
    pieces = [{f" {text} "[i : i + 3] for i in range(len(text))} for text in texts]
    count = {piece: sum(piece in other for other in pieces) for one in pieces for piece in one}
    weight = {piece: np.log(2 + len(texts) / count[piece]) for piece in count}
    expected = {
        (a, b)
        for a in range(len(texts))
        for b in range(a + 1, len(texts))
        if sum(weight[p] for p in pieces[a] & pieces[b]) >= ALIKE * sum(weight[p] for p in pieces[a] | pieces[b])
    }
    assert len(expected) >= 20
    assert set(zip(*(rows.tolist() for rows in near_texts(texts)))) == expected


def test_templates_do_not_chain():
    things = ["house", "river", "engine", "window", "ladder", "carpet", "tomato", "violin", "planet", "bridge"]
    texts = [f"a photo of a {one} and a {other}, a good photo" for one in things for other in things if one != other]
    found = duplicates(Views({"text": texts}, kinds={"text": "text"}))
    words = lambda text: frozenset(text.replace(",", "").split())  # noqa: E731
    assert all(words(texts[a]) == words(texts[b]) for a, b in pairs(found))


def pairs(found):
    return [pair.rows for pair in found.pairs]


def take(seed, n=4000):
    """A spoken word of a sort: a few tones that fade, with noise of its own."""
    random = np.random.default_rng(seed)
    at = np.arange(n) / 8000
    tones = sum(np.sin(2 * np.pi * f * at + p) for f, p in zip(random.uniform(200, 1500, 4), random.uniform(0, 6, 4)))
    return ((tones * np.hanning(n) + 0.3 * random.normal(size=n) * np.hanning(n)) / 8).astype(np.float32)


def wav(samples, rate, form="WAV", subtype=None):
    soundfile = pytest.importorskip("soundfile")
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


SOUNDS = {
    "file": lambda x: wav(x, 8000, subtype="FLOAT"),
    "quiet": lambda x: (0.2 * x, 8000),
    "padded": lambda x: (np.concatenate([np.zeros(1234, np.float32), x, np.zeros(700, np.float32)]), 8000),
    "ogg": lambda x: wav(x, 8000, "OGG", "VORBIS"),
    "rate": lambda x: (np.interp(np.arange(len(x) * 2) / 2, np.arange(len(x)), x).astype(np.float32), 16000),
}


@pytest.mark.parametrize("change", SOUNDS.values(), ids=list(SOUNDS))
def test_a_recording_in_another_form_is_found_and_no_other_is(change):
    takes = [take(seed) for seed in range(20)]
    cells = [(samples, 8000) for samples in takes] + [change(samples) for samples in takes]
    found = duplicates(Views({"sound": cells}, kinds={"sound": "audio"}))
    assert {pair.rows for pair in found.pairs} == {(row, row + 20) for row in range(20)}


def test_two_takes_of_one_word_are_different():
    words = [take(seed) for seed in range(5)]
    random = np.random.default_rng(9)
    cells = []
    for word in words:
        for _ in range(6):
            at = np.cumsum(random.normal(1, 0.03, 3900))  # every take has its own time
            again = np.interp(at, np.arange(len(word)), word) + 0.02 * random.normal(size=3900)
            cells.append((again.astype(np.float32), 8000))
    assert duplicates(Views({"sound": cells}, kinds={"sound": "audio"})).pairs == []


def test_clips_are_compared_by_their_pictures():
    clips = [np.stack([np.asarray(scene(10 * seed + i, 48)) for i in range(6)]) for seed in range(8)]
    again = [saved_clip(clip) for clip in clips]
    found = duplicates(Views({"clip": [*clips, *again]}, kinds={"clip": "video"}))
    assert {pair.rows for pair in found.pairs} == {(row, row + 8) for row in range(8)}


def saved_clip(frames):
    first, *rest = (Image.fromarray(frame) for frame in frames)
    return saved(first, "WEBP", save_all=True, append_images=rest, quality=80)


def test_numbers_count_where_equality_is_no_chance():
    random = np.random.default_rng(0)
    measured = random.normal(size=(100, 5)).astype(np.float32)
    measured[50], measured[51] = measured[0], measured[1] * (1 + 1e-6)
    one_hot = np.eye(4)[random.integers(0, 4, 100)]
    counts = random.integers(0, 3, (100, 3)).astype(float)
    ages = random.integers(20, 60, (100, 1)).astype(float)
    found = duplicates(Views({"measured": measured, "one_hot": one_hot, "counts": counts, "age": ages}))
    assert [(pair.view, *pair.rows) for pair in found.pairs] == [("measured", 0, 50), ("measured", 1, 51)]


def test_rows_of_a_table_too():
    random = np.random.default_rng(0)
    rows = [{"a": random.normal(), "b": random.normal(), "c": random.normal(), "d": f"x{i % 3}"} for i in range(60)]
    rows[30] = dict(rows[7])
    found = duplicates(Views({"row": rows}, kinds={"row": "table"}))
    assert [pair.rows for pair in found.pairs] == [(7, 30)]


def test_what_is_missing_or_broken_is_like_nothing():
    pictures = [scene(0), None, b"no picture", scene(0), b"no picture", None]
    found = duplicates(
        Views({"picture": pictures, "text": [None] * 5 + ["a"]}, kinds={"picture": "image", "text": "text"})
    )
    assert [(pair.view, pair.rows) for pair in found.pairs] == [("picture", (0, 3))]
    assert found.rows.tolist() == [True, False, False, True, False, False]
    assert found.counts == {"picture": 2}


@given(st.permutations(range(20)))
@settings(max_examples=15, deadline=None)
def test_law_groups_do_not_depend_on_the_order_of_rows(order):
    pictures = [scene(seed % 9, 40 + 4 * (seed // 9)) for seed in range(20)]
    texts = [["a b c d e f g", "A b c d e f g", "x y z"][seed % 3] for seed in range(20)]
    views = Views({"picture": pictures, "text": texts}, kinds={"picture": "image", "text": "text"})
    for part in (views.select("picture"), views.select("text")):
        one, other = duplicates(part).groups, duplicates(part[list(order)]).groups
        assert np.array_equal(one[order][:, None] == one[order], other[:, None] == other)


def test_split_keeps_groups_and_what_is_joined_together():
    views = Views({"x": np.random.default_rng(0).normal(size=(12, 3))}, key=[0, 0, 1, 1, 2, 2, 3, 3, 4, 4, None, None])
    together = np.arange(12)
    together[[1, 2]] = 100
    for seed in range(10):
        parts = split(views, {"a": 0.5, "b": 0.5}, together=together, random_state=seed)
        assert any({0, 1, 2, 3} <= set(part.rows.tolist()) for part in parts.values())
        assert sorted(row for part in parts.values() for row in part.rows) == list(range(12))
    assert len(set(units_of(views).tolist())) == 7
    assert len(set(units_of(views, together).tolist())) == 6


def test_candidates_among_many_rows_are_those_of_all_distances(monkeypatch):
    random = np.random.default_rng(0)
    z = random.normal(size=(900, 12))
    z[450:] = z[:450] + 0.05 * random.normal(size=(450, 12))
    z = unit_rows(z).astype(np.float32)
    exact = set(zip(*(rows.tolist() for rows in candidates(z, 3, 0.5))))
    monkeypatch.setattr("bouba.data.duplicates.nearest.EXACT", 100)
    by_cells = set(zip(*(rows.tolist() for rows in candidates(z, 3, 0.5))))
    assert by_cells <= exact
    assert sum((row, row + 450) in by_cells for row in range(450)) >= 445


def test_a_gap_joins_and_a_crowd_does_not():
    first, second = np.array([0, 0, 1, 3, 3, 4, 3, 4, 5]), np.array([1, 2, 2, 4, 5, 5, 6, 6, 6])
    distance = np.array([0.15, 0.6, 0.6, 0.15, 0.2, 0.2, 0.3, 0.3, 0.3])
    assert standing_out(7, first, second, distance, near=0.05, far=0.2, k=5, limit=0.5).tolist() == [True] + [False] * 8
    assert (
        standing_out(7, first, second, distance, near=0.16, far=0.2, k=5, limit=0.5).tolist()
        == [True, False, False, True] + [False] * 5
    )
    assert not standing_out(7, first[3:6], second[3:6], distance[3:6], near=0.05, far=0.2, k=2, limit=0.5).any()


def test_a_part_of_a_photograph_is_moved_onto_it():
    whole = scene(3, 128).convert("L")
    part = whole.crop((0, 6, 120, 128))
    one, other, stranger = (
        np.asarray(p.convert("L").resize((32, 32), Image.Resampling.BOX))[None] for p in (whole, part, scene(4))
    )
    assert aligned_distance(one, other)[0] < 0.1
    assert aligned_distance(one, stranger)[0] > 0.5


def test_law_duplicates_are_the_same_where_everything_lies_on_disk(monkeypatch, tmp_path):
    pictures = [saved(scene(seed), "PNG") for seed in range(12)]
    pictures[9], pictures[10] = CHANGES["jpeg"](scene(1)), CHANGES["mirrored"](scene(2))
    random = np.random.default_rng(0)
    sounds = [(random.normal(size=8000).astype(np.float32), 8000) for _ in range(12)]
    sounds[11] = (0.5 * sounds[3][0], 8000)
    vectors = random.normal(size=(12, 9)).astype(np.float32)
    vectors[7] = vectors[4]
    texts = [f"a rather long caption of thing {chr(97 + i)} in a garden" for i in range(12)]
    columns = {"picture": pictures, "sound": sounds, "vector": vectors, "text": texts}
    views = Views(columns, kinds={"picture": "image", "sound": "audio", "text": "text"})
    in_memory = duplicates(views)
    assert {pair.view for pair in in_memory.pairs} >= {"picture", "sound", "vector"}
    monkeypatch.setattr(scratch, "LARGE", 1)
    monkeypatch.setattr(scratch, "BLOCK", 1)
    monkeypatch.setenv("BOUBA_CACHE", str(tmp_path))
    on_disk = duplicates(views)
    assert on_disk.pairs == in_memory.pairs
    assert all(np.array_equal(on_disk.contents[view], cells) for view, cells in in_memory.contents.items())
