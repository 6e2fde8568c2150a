import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bouba.errors import DataError
from bouba.metrics.similarity import unit_rows
from bouba.search import Known
from bouba.search.known import BRIDGE, LETTERS_TAU, MEANING_TAU
from bouba.search.ways import Way, bridge, directions, fused, row_vectors

WORDS = ["frog", "toad", "train", "tram", "snowman", "apple", "pear", "guitar"]
KINDS = {"picture": "image", "caption": "text"}


def known_words(rng, n=64, d=12):
    """Captions of a word and a number; pictures lie where their word lies, texts nowhere that helps."""
    places = rng.normal(size=(len(WORDS), d))
    pictures = places[np.arange(n) % len(WORDS)] + 0.1 * rng.normal(size=(n, d))
    texts = [f"a {WORDS[i % len(WORDS)]} {i}" for i in range(n)]
    meanings = places[np.arange(n) % len(WORDS)] @ rng.normal(size=(d, 5))
    embeddings = {"picture": pictures, "caption": rng.normal(size=(n, d))}
    return places, meanings, Known.of(KINDS, embeddings, {"caption": texts}, {"caption": meanings}, ["picture"])


def test_each_way_is_what_it_says(rng):
    _, meanings, known = known_words(rng)
    z, words, meaning = rng.normal(size=12), "a frog", meanings[0]
    rows = known.placed({"picture": rng.normal(size=(9, 12))})
    offsets = known.offsets(rows)
    alike, near = known.letters["caption"].similarities(words), unit_rows(meanings) @ unit_rows(meaning[None])[0]
    queries = {"direct": directions(z[None], known.means[1])[0]}
    for name, scaled in (("letters", alike / LETTERS_TAU), ("meaning", near / MEANING_TAU / known.spreads["caption"])):
        weights = [np.exp(s - max(scaled)) for s in scaled]
        total = sum(w * p for w, p in zip(weights, known.partners("caption"), strict=True))
        queries[name] = total / np.linalg.norm(total)
    ways = known.ways("caption", z, words, meaning)
    assert [way.name for way in ways] == list(queries)
    for way in ways:
        column = "text" if way.name == "direct" else BRIDGE
        centre, spread = known.scales[column]
        place = list(known.scales).index(column)
        for row in range(9):
            nearest = sorted(float(cell @ rows[row]) for cell in known.columns[column])[-10:]
            assert offsets[row, place] == pytest.approx(np.mean(nearest), abs=1e-5)
            expected = (2 * queries[way.name] @ rows[row] - np.mean(nearest) - centre) / spread
            assert way.scores(rows, offsets)[row] == pytest.approx(expected, abs=1e-3)


def test_words_find_pictures_that_their_embedding_does_not_find(rng):
    places, meanings, known = known_words(rng)
    rows = known.placed({"picture": places + 0.1 * rng.normal(size=places.shape)})
    offsets = known.offsets(rows)
    right = {"direct": 0, "letters": 0, "meaning": 0, "fused": 0}
    for answer, word in enumerate(WORDS):
        ways = known.ways("caption", rng.normal(size=12), word, meanings[answer])
        for way in (*ways, fused(ways)):
            right[way.name] += int(way.scores(rows, offsets).argmax() == answer)
    assert right["letters"] == right["meaning"] == len(WORDS)
    assert right["direct"] < right["fused"]


def test_what_says_nothing_is_no_way(rng):
    _, _, known = known_words(rng)
    z = rng.normal(size=12)
    assert [way.name for way in known.ways("caption", z, "xyzzy", np.zeros(5))] == ["direct"]
    assert [way.name for way in known.ways("picture", z)] == ["direct"]
    assert known.ways("picture", np.zeros(12)) == []


def test_a_row_is_found_by_whichever_views_it_has(rng):
    _, _, known = known_words(rng)
    a, b = rng.normal(size=(2, 5, 12))
    b[0] = a[1] = a[2] = b[2] = 0
    rows = known.placed({"picture": a, "caption": b})
    assert rows[0] == pytest.approx(directions(a[:1], known.means[0])[0])
    assert rows[1] == pytest.approx(directions(b[1:2], known.means[1])[0])
    assert not rows[2].any()
    assert np.linalg.norm(rows[3:], axis=1) == pytest.approx(1)
    assert row_vectors([a, b], [np.zeros(12)] * 2)[4] == pytest.approx(
        unit_rows(unit_rows(a[4:]) + unit_rows(b[4:]))[0]
    )


@given(st.lists(st.floats(-3, 3), min_size=2, max_size=4), st.integers(0, 99))
def test_scores_of_fused_ways_are_sums_with_signs(factors, seed):
    random = np.random.default_rng(seed)
    ways = [Way("direct", random.normal(size=4), random.normal(size=2), float(random.normal())) for _ in factors]
    cells, offsets = random.normal(size=(6, 4)), random.normal(size=(6, 2))
    total = fused([way.times(factor) for way, factor in zip(ways, factors, strict=True)])
    expected = sum(factor * way.scores(cells, offsets) for way, factor in zip(ways, factors, strict=True))
    assert total.scores(cells, offsets) == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 99), st.floats(-5, 5))
def test_a_bridge_does_not_change_when_all_similarities_move(seed, shift):
    random = np.random.default_rng(seed)
    similarities, partners = random.normal(size=8), random.normal(size=(8, 3))
    assert bridge(similarities + shift, 0.3, partners) == pytest.approx(bridge(similarities, 0.3, partners), abs=1e-6)
    nearest = unit_rows(partners[similarities.argmax()][None])[0]
    assert bridge(similarities, 1e-9, partners) == pytest.approx(nearest, abs=1e-6)


def test_saved_and_loaded_to_the_bit(rng, tmp_path):
    _, meanings, known = known_words(rng)
    known.save(tmp_path / "known")
    again = Known.load(tmp_path / "known")
    z = rng.normal(size=12)
    for one, two in zip(known.ways("caption", z, "frog", meanings[3]), again.ways("caption", z, "frog", meanings[3])):
        assert (one.name, one.centre) == (two.name, two.centre)
        assert np.array_equal(one.vector, two.vector)
        assert np.array_equal(one.weights, two.weights)


@pytest.mark.parametrize("broken", ["known.json", "means.npy", "vectors.npy", "meaning1.npy", "letters1.npz"])
def test_a_damaged_file_is_named(rng, tmp_path, broken):
    known_words(rng)[2].save(tmp_path / "known")
    (tmp_path / "known" / broken).write_bytes(b"{")
    with pytest.raises(DataError, match="damaged"):
        Known.load(tmp_path / "known")
