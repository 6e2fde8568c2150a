"""The product that is taken never shows: float32, codes, blocks, filters and removed cells give what a sort gives."""

import numpy as np
import pytest
import torch  # noqa: F401 - the codes are multiplied by it
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.search import exact, store
from bouba.search.exact import CodeProduct, FloatProduct, nearest
from bouba.search.matrices import Writer, opened
from bouba.search.matrix import coded


def matrix_of(folder, vectors, similarity="dot", offsets=None):
    import pyarrow as pa

    offsets = np.zeros((len(vectors), 0), np.float32) if offsets is None else offsets
    n, m = offsets.shape
    state = store.State("cells-x", 1, similarity, vectors.shape[1], ("v",), (), n, n, offsets=m)
    wide = np.hstack([vectors, offsets]).astype(np.float32)
    writer = Writer(folder, state, {})
    cells = {
        "_row": np.arange(n),
        "_path": pa.nulls(n, pa.string()),
        "_vector": pa.FixedSizeListArray.from_arrays(pa.array(wide.ravel()), wide.shape[1]),
    }
    writer.append("v", pa.record_batch(cells))
    writer.finish(state)
    return opened(folder, state)["v"]


def definition(vectors, query, euclidean):
    """Scores in float64, a cell at a time."""
    vectors, query = vectors.astype(np.float64), query.astype(np.float64)
    return np.array([-np.sqrt(((v - query) ** 2).sum()) if euclidean else (v * query).sum() for v in vectors])


def kinds(rng, kind, n, d):
    if kind == "normal":
        return rng.normal(size=(n, d))
    if kind == "clusters":
        return np.repeat(rng.normal(size=(n // 20 + 1, d)), 20, axis=0)[:n] + 1e-3 * rng.normal(size=(n, d))
    if kind == "ties":
        return rng.integers(-2, 3, size=(n, d)).astype(float)
    if kind == "sorted":
        return np.sort(rng.normal(size=(n, d)), axis=0)
    return rng.normal(size=(n, d)) * 10.0 ** rng.integers(-30, 15, size=(n, 1))  # "sizes"


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n=st.sampled_from([1, 7, 300, 5000]),
    k=st.sampled_from([1, 10, 400]),
    kind=st.sampled_from(["normal", "clusters", "ties", "sorted", "sizes"]),
    euclidean=st.booleans(),
    share=st.sampled_from([None, 0.0, 0.05, 0.6]),
    queries=st.sampled_from([1, 3]),
)
def test_law_the_best_are_all_there_whatever_was_multiplied(
    tmp_path_factory, seed, n, k, kind, euclidean, share, queries
):
    rng = np.random.default_rng(seed)
    vectors = kinds(rng, kind, n, 12).astype(np.float32)
    matrix = matrix_of(tmp_path_factory.mktemp("m"), vectors, "euclidean" if euclidean else "dot")
    questions = (vectors[rng.integers(n, size=queries)] + 0.1 * rng.normal(size=(queries, 12))).astype(np.float32)
    passing = None if share is None else np.flatnonzero(rng.random(n) < share)
    among = np.arange(n) if passing is None else passing
    for codes in (False, True):
        found = nearest(matrix, questions, k, euclidean=euclidean, passing=passing, codes=codes)
        for question, (positions, scores) in zip(questions, found, strict=True):
            truth = definition(vectors[among], question, euclidean)
            np.testing.assert_allclose(scores, definition(vectors[positions], question, euclidean), rtol=1e-12)
            kth = np.sort(truth)[-min(k, len(truth)) :].min(initial=np.inf)
            wanted = among[truth >= kth]
            assert set(wanted) <= set(positions)
            assert len(positions) == len(set(positions))
            assert set(positions) <= set(among)


@pytest.mark.parametrize("product", [FloatProduct, CodeProduct])
@pytest.mark.parametrize("size", [1e-20, 1.0, 1e12])
def test_a_product_is_never_off_by_more_than_it_says(tmp_path, rng, product, size):
    vectors = (size * rng.normal(size=(2000, 40))).astype(np.float32)
    offsets = (size * rng.normal(size=(2000, 2))).astype(np.float32)
    matrix = matrix_of(tmp_path, vectors, offsets=offsets)
    queries = rng.normal(size=(5, 42)).astype(np.float32)
    made = product(matrix, queries)
    truth = queries.astype(np.float64) @ np.hstack([vectors, offsets]).astype(np.float64).T
    for part in (slice(0, 2000), np.arange(3, 1999, 7)):
        off = np.abs(made.scores(part) - truth[:, part]).max(axis=1)
        assert (off <= made.bound).all()
        assert (made.bound < 0.1 * np.abs(truth).max()).all()


def test_few_cells_are_scored_again(tmp_path, rng):
    """Else codes would save nothing."""
    vectors = rng.normal(size=(30_000, 64)).astype(np.float32)
    matrix = matrix_of(tmp_path, vectors)
    ((positions, _),) = nearest(matrix, vectors[:1], 10, codes=True)
    assert len(positions) < 300
    ((positions, _),) = nearest(matrix, vectors[:1], 10, codes=False)
    assert len(positions) == 10


def test_blocks_of_any_size_give_the_same(tmp_path, rng, monkeypatch):
    vectors = rng.normal(size=(3000, 8)).astype(np.float32)
    matrix = matrix_of(tmp_path, vectors)
    whole = nearest(matrix, vectors[:5], 10, codes=False)
    for size in (7, 100, 999):
        monkeypatch.setattr(exact, "ONE", size)
        monkeypatch.setattr(exact, "SEVERAL", size)
        monkeypatch.setattr(exact, "QUERIES", 2)
        for (_, scores), (_, expected) in zip(nearest(matrix, vectors[:5], 10, codes=True), whole, strict=True):
            assert np.sort(scores)[-10:].tolist() == np.sort(expected)[-10:].tolist()


def test_numbers_beyond_float32_are_scored_exactly(tmp_path):
    vectors = np.array([[3e38, 3e38], [3e38, -3e38], [1, 1]], np.float32)
    matrix = matrix_of(tmp_path, vectors)
    ((positions, scores),) = nearest(matrix, np.array([[2, 1]], np.float32), 1)
    assert scores[positions == 0] == pytest.approx(9e38)
    assert scores[positions == 1] == pytest.approx(3e38)


def test_codes_are_near_what_they_stand_for(rng):
    vectors = rng.normal(size=(50, 9)).astype(np.float32)
    vectors[3] = 0
    codes, scales = coded(vectors)
    assert np.abs(codes * scales[:, None] - vectors).max() <= 0.51 * scales.max()
    assert codes[3].any() == 0
    assert scales[3] == 0
