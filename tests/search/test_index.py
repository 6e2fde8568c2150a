"""What the index finds, against loops that recompute it."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.search import Hit, Index, index

SIMILARITIES = ("cosine", "dot", "euclidean")


def similarity(kind: str, a: np.ndarray, b: np.ndarray) -> float:
    if kind == "dot":
        return float(a @ b)
    if kind == "euclidean":
        return -float(np.sqrt(((a - b) ** 2).sum()))
    length = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / length) if length else 0.0


def brute_force(kind, views, present, vector, k, keep=lambda row, view: True) -> list[tuple[float, int, str]]:
    """Definition: score every present cell that passes the filter, sort, cut."""
    cells = []
    for view, vectors in views.items():
        for row in range(len(vectors)):
            if present[view][row] and keep(row, view):
                cells.append((-similarity(kind, vectors[row], vector), row, view))
    return [(-score, row, view) for score, row, view in sorted(cells)[:k]]


def table(rng, n=60, d=7):
    """Small whole numbers: every product is exact in float32, so ties are true ties."""
    views = {view: rng.integers(-3, 4, size=(n, d)).astype(float) for view in ("image", "text")}
    return views, {view: rng.random(n) < 0.7 for view in views}


def found(hits: list[Hit]) -> list[tuple[int, str]]:
    return [(hit.row, hit.view) for hit in hits]


@pytest.mark.parametrize("kind", ["dot", "euclidean"])
def test_equals_brute_force_ties_and_all(tmp_path, rng, kind):
    views, present = table(rng)
    made = Index.create(tmp_path / "i", views, present=present, similarity=kind)
    for k in (1, 3, 10, 59, 1000):
        for view in (None, "image", "text"):
            vector = rng.integers(-3, 4, size=7).astype(float)
            expected = brute_force(kind, views, present, vector, k, lambda row, v, view=view: view in (None, v))
            hits = made.search(vector, k=k, view=view)
            assert found(hits) == [(row, view) for _, row, view in expected]
            np.testing.assert_allclose([hit.score for hit in hits], [s for s, _, _ in expected], rtol=1e-6)


@pytest.mark.parametrize("kind", SIMILARITIES)
@pytest.mark.parametrize("size", [1e-12, 1.0, 1e9])
def test_scores_keep_float32_precision_at_any_size(tmp_path, rng, kind, size):
    """1 - dot in float32 would make every product of tiny vectors the same."""
    views = {"image": size * rng.normal(size=(300, 16))}
    present = {"image": np.ones(300, dtype=bool)}
    made = Index.create(tmp_path / "i", views, similarity=kind)
    for vector in size * rng.normal(size=(5, 16)):
        expected = brute_force(kind, views, present, vector, 20)
        hits = made.search(vector, k=20)
        assert found(hits) == [(row, view) for _, row, view in expected]
        np.testing.assert_allclose([hit.score for hit in hits], [s for s, _, _ in expected], rtol=1e-4)


@pytest.mark.parametrize("kind", SIMILARITIES)
def test_filter_comes_before_top_k(tmp_path, rng, kind):
    """The 3 kept rows are the last of 500 by similarity: a filter after the top k would lose them."""
    base = rng.normal(size=8)
    far = np.repeat(-base[None], 3, axis=0) + 0.01 * rng.normal(size=(3, 8))
    views = {"image": np.vstack([base + 0.01 * rng.normal(size=(497, 8)), far])}
    kinds = ["bird"] * 497 + ["cat"] * 3
    made = Index.create(tmp_path / "i", views, similarity=kind, columns={"kind": kinds, "n": range(500)})
    by_equals = made.search(base, k=3, equals={"kind": "cat"})
    by_where = made.search(base, k=3, where="kind = 'cat'")
    assert {hit.row for hit in by_equals} == {497, 498, 499}
    assert by_equals == by_where
    assert len(made.search(base, k=500, where="n >= 100 OR kind = 'cat'", equals={"kind": "bird"})) == 397
    assert made.search(base, where="kind = 'dog'") == []


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 40), k=st.integers(1, 50), kind=st.sampled_from(SIMILARITIES))
def test_law_top_k_is_a_prefix_and_filters_partition(tmp_path_factory, seed, n, k, kind):
    rng = np.random.default_rng(seed)
    views, present = table(rng, n=n, d=3)
    present["image"][0] = True
    made = Index.create(tmp_path_factory.mktemp("law") / "i", views, present=present, similarity=kind)
    vector = rng.integers(-3, 4, size=3) + 0.5
    everything = made.search(vector, k=10_000)
    assert len(everything) == len(made) == sum(mask.sum() for mask in present.values())
    assert made.search(vector, k=k) == everything[:k]
    apart = made.search(vector, k=n, view="image") + made.search(vector, k=n, view="text")
    assert sorted(found(apart)) == sorted(found(everything))


def test_ties_larger_than_k_go_by_row_number(tmp_path):
    same = np.ones((300, 4))
    made = Index.create(tmp_path / "i", {"b": same, "a": same}, rows=np.arange(300)[::-1])
    assert found(made.search(np.ones(4), k=5)) == [(0, "a"), (0, "b"), (1, "a"), (1, "b"), (2, "a")]
    assert made.search(np.ones(4), k=5) == Index.open(tmp_path / "i").search(np.ones(4), k=5)


def test_a_tiny_or_zero_question_has_finite_scores(tmp_path):
    made = Index.create(tmp_path / "i", {"v": np.diag([1.0, 2.0])}, similarity="dot")
    assert [hit.score for hit in made.search(np.array([0, 2.0**-140]))] == [
        pytest.approx(2.0**-139, rel=1e-6, abs=0),
        0,
    ]
    assert [hit.score for hit in made.search(np.zeros(2))] == [0, 0]


def test_cosine_keeps_rows_of_zeros_and_stays_within_one(tmp_path, rng):
    vectors = rng.normal(size=(200, 6))
    vectors[7] = 0
    made = Index.create(tmp_path / "i", {"image": vectors})
    hits = made.search(vectors[0], k=200)
    assert len(hits) == 200
    assert all(-1 <= hit.score <= 1 for hit in hits)
    assert next(hit.score for hit in hits if hit.row == 7) == 0


def test_search_many_is_search_for_each(tmp_path, rng):
    views, present = table(rng)
    made = Index.create(tmp_path / "i", views, present=present)
    questions = rng.normal(size=(4, 7))
    assert made.search_many(questions, k=6) == [made.search(question, k=6) for question in questions]
    assert made.search_many(np.empty((0, 7))) == []


def test_a_hit_tells_its_row_view_path_and_columns(tmp_path):
    made = Index.create(
        tmp_path / "i",
        {"image": np.eye(2), "text": np.eye(2)},
        columns={"kind": ["bird", None], "year": [1999, 2001]},
        paths={"image": ["a.png", None]},
        rows=np.array([40, 7]),
    )
    assert made.search(np.array([1.0, 0.0]), k=1, view="image") == [
        Hit(score=1.0, row=40, view="image", path="a.png", columns={"kind": "bird", "year": 1999})
    ]
    assert made.search(np.array([0.0, 1.0]), k=1, view="text")[0].path is None
    assert (len(made), made.views, made.columns, made.dim) == (4, ("image", "text"), ("kind", "year"), 2)
    assert repr(made).endswith("4 cells of image, text; 2 wide, cosine)")


def test_approximate_search_finds_most_neighbours(tmp_path, rng):
    """40 clusters of 50: the 10 nearest lie in the question's own cluster, recall 0.9 or more."""
    centres = 4 * rng.normal(size=(40, 16))
    vectors = np.repeat(centres, 50, axis=0) + rng.normal(size=(2000, 16))
    made = Index.create(tmp_path / "i", {"image": vectors}, columns={"even": [i % 2 == 0 for i in range(2000)]})
    made.build_ann(within=0, partitions=20, probes=5)
    made = Index.open(tmp_path / "i")
    recalls = []
    for vector in vectors[::200] + 0.1:
        exact = {hit.row for hit in made.search(vector)}
        near = made.search(vector, exact=False)
        recalls.append(len(exact & {hit.row for hit in near}) / 10)
        assert [hit.score for hit in near] == sorted((hit.score for hit in near), reverse=True)
        filtered = made.search(vector, exact=False, equals={"even": True})
        assert len(filtered) == 10
        assert all(hit.row % 2 == 0 for hit in filtered)
    assert np.mean(recalls) >= 0.9
    made.add({"image": 100 * np.ones((1, 16))})
    assert made.search(np.ones(16), k=1, exact=False)[0].row == 2000


def test_an_approximate_index_reaches_and_tells_a_measured_recall(tmp_path, rng):
    """Questions of another view, so that the clusters of what is found are not theirs."""
    centres = 2 * rng.normal(size=(100, 16))
    image = np.repeat(centres, 20, axis=0) + rng.normal(size=(2000, 16))
    text = image + rng.normal(size=(2000, 16))
    made = Index.create(tmp_path / "i", {"image": image, "text": text})
    assert made.recall is None
    low = made.build_ann(within=0, partitions=40, probes=1)
    high = made.build_ann(within=0, partitions=40, recall=0.95)
    assert low < 0.9 < 0.95 <= high <= 1
    made = Index.open(tmp_path / "i")
    assert made.recall == high
    assert repr(made).endswith(f"cosine; exact=False finds {high:.0%} of the ten nearest)")
    assert 1 < made._state.probes <= 40
    found = [
        len(
            {hit.row for hit in made.search(t, view="image")}
            & {h.row for h in made.search(t, view="image", exact=False)}
        )
        for t in text[7::50]
    ]
    assert np.mean(found) / 10 >= high - 0.1


def test_the_example_runs():
    assert doctest.testmod(index).failed == 0
