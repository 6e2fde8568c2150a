import numpy as np
import pytest

from bouba.errors import UsageError
from bouba.search import Index


@pytest.fixture(scope="module", params=["cosine", "dot", "euclidean"])
def made(request, tmp_path_factory):
    z = np.random.default_rng(0).normal(size=(300, 12)).astype(np.float32)
    columns = {"kind": [["bird", "cat"][row % 2] for row in range(300)]}
    index = Index.create(tmp_path_factory.mktemp("narrow"), {"a": z}, similarity=request.param, columns=columns)
    return z, index


def scores_of(cells, query, similarity):
    """By a loop, in float64."""
    out = []
    for cell in cells.astype(float):
        if similarity == "cosine":
            out.append(cell @ query / np.linalg.norm(cell) / np.linalg.norm(query))
        else:
            out.append(cell @ query if similarity == "dot" else -np.linalg.norm(cell - query))
    return np.array(out)


def test_the_first_numbers_alone_are_compared(made):
    z, index = made
    query = np.random.default_rng(1).normal(size=12)
    for width in (1, 5, 12):
        hits = index.search(query, k=7, width=width)
        expected = scores_of(z[:, :width], query[:width], index.similarity)
        assert [hit.score for hit in hits] == pytest.approx(np.sort(expected)[::-1][:7], abs=1e-5)
    whole = [(hit.row, pytest.approx(hit.score, abs=1e-6)) for hit in index.search(query, k=7)]
    assert [(hit.row, hit.score) for hit in index.search(query, k=7, width=12)] == whole


def test_codes_and_filters_find_the_same(made):
    _, index = made
    queries = np.random.default_rng(2).normal(size=(3, 12))
    plain = index.search_many(queries, k=9, width=4, equals={"kind": "cat"})
    index._source.codes = True
    coded = index.search_many(queries, k=9, width=4, equals={"kind": "cat"})
    index._source.codes = None
    assert coded == plain
    assert {hit.row % 2 for hits in plain for hit in hits} == {1}


def test_rows_that_left_are_not_found(made, tmp_path):
    z, _ = made
    index = Index.create(tmp_path / "index", {"a": z})
    best = index.search(z[3], k=1, width=4)[0].row
    index.remove([best])
    assert best not in [hit.row for hit in index.search(z[3], k=300, width=4)]


def test_refusals(made):
    z, index = made
    for width in (0, 13, True, 2.0):
        with pytest.raises(
            UsageError, match=f"width is from 1 to 12, the numbers of a vector of the index, got {width}"
        ):
            index.search(z[0], width=width)
    with pytest.raises(UsageError, match="the approximate index holds whole vectors"):
        index.search(z[0], width=4, exact=False)
    if index.similarity == "cosine":
        with pytest.raises(UsageError, match="the first 4 numbers of the query are all zeros"):
            index.search(np.r_[np.zeros(4), np.ones(8)], width=4)
