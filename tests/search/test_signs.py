import numpy as np
import pytest

from bouba.errors import UsageError
from bouba.search import Index
from bouba.search.signs import Signs


def cells_of(n, d=96, seed=0):
    """Cells of 12 latent numbers, noisy and off their centre, as embeddings of one view are."""
    random = np.random.default_rng(seed)
    return random.normal(size=(n, 12)) @ random.normal(size=(12, d)) + random.normal(size=(n, d)) + 2.0


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    columns = {"kind": [["bird", "cat"][row % 2] for row in range(3000)]}
    return Index.create(tmp_path_factory.mktemp("signs"), {"a": cells_of(3000)}, columns=columns)


def test_bits_are_counted_as_a_loop_counts_them(index):
    matrix = index._source.matrices["a"]
    signs = Signs(matrix)
    centre = matrix.vectors.astype(float).mean(axis=0)
    query = cells_of(1, seed=5)[0] / 100
    expected = [int(((cell > centre) != (query > centre)).sum()) for cell in matrix.vectors[:200]]
    assert signs.far(query)[:200].tolist() == expected
    assert signs.nbytes == 3000 * 16  # two words of 64 bits hold 96
    near = signs.nearest(query, 25, None)
    far = signs.far(query)
    assert len(near) >= 25
    assert far[near].max() < np.delete(far, near).min()


def test_hits_have_exact_scores_and_all_cells_give_the_exact_answer(index):
    query = cells_of(1, seed=7)[0]
    exact = {hit.row: hit.score for hit in index.search(query, k=3000)}
    for hit in index.search(query, k=10, refine=3):
        assert hit.score == exact[hit.row]
    assert index.search(query, k=10, refine=300) == index.search(query, k=10)
    assert index.search(query, k=10, refine=300, equals={"kind": "cat"}) == index.search(
        query, k=10, equals={"kind": "cat"}
    )


def test_recall_grows_with_what_is_looked_at(index):
    measured = [index.refined_recall(refine) for refine in (1, 4, 20, 300)]
    assert measured == sorted(measured)
    assert measured[0] < 0.8 < 0.9 < measured[2]
    assert measured[3] == 1
    loop = []  # of those stored cells by which it is measured
    for row in np.linspace(0, 2999, 100).round().astype(int):
        vector = index.vectors([int(row)], view="a")[int(row)][0]
        truth = {hit.row for hit in index.search(vector, k=10)}
        loop.append(len(truth & {hit.row for hit in index.search(vector, k=10, refine=4)}) / 10)
    assert np.mean(loop) == pytest.approx(measured[1], abs=1e-9)


def test_recovery_the_mean_is_taken_off_as_bits_that_all_share_say_nothing(index):
    matrix = index._source.matrices["a"]
    centred, plain = Signs(matrix), Signs(matrix)
    plain.centre = np.zeros(96)
    plain.bits = np.stack([plain._of(matrix.vectors)[:, word] for word in range(2)])
    shares = {"centred": [], "plain": []}
    for row in range(0, 3000, 60):
        truth = np.argsort(-(matrix.vectors @ matrix.vectors[row]))[:10]
        for name, signs in (("centred", centred), ("plain", plain)):
            best = np.argsort(signs.far(matrix.vectors[row]), kind="stable")[:40]
            shares[name].append(len(set(truth) & set(best)) / 10)
    assert np.mean(shares["centred"]) > np.mean(shares["plain"]) + 0.02


def test_cells_that_left_are_not_found(tmp_path):
    index = Index.create(tmp_path / "index", {"a": cells_of(400)})
    query = cells_of(400)[7]
    best = index.search(query, k=1, refine=50)[0].row
    index.remove([best])
    assert best not in [hit.row for hit in index.search(query, k=400, refine=1)]


def test_refusals(index, tmp_path):
    query = np.ones(96)
    for refine in (0, True, 1.5):
        with pytest.raises(UsageError, match="refine is how many cells are scored for each"):
            index.search(query, refine=refine)
    with pytest.raises(UsageError, match="refine looks at the signs of whole vectors"):
        index.search(query, refine=4, width=8)
    dot = Index.create(tmp_path / "dot", {"a": cells_of(20)}, similarity="dot")
    with pytest.raises(UsageError, match="signs tell directions: refine goes with cosine"):
        dot.search(query, refine=4)
