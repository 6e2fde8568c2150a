import numpy as np
import pytest

from bouba.errors import DataError, UsageError
from bouba.search import Index


@pytest.mark.parametrize("similarity", ["cosine", "dot"])
def test_weighed_offsets_are_taken_off_the_score(tmp_path, rng, similarity):
    z, offsets = rng.normal(size=(40, 6)), rng.normal(size=(40, 2))
    made = Index.create(tmp_path / "i", {"a": z, "b": -z}, offsets={"a": offsets}, similarity=similarity)
    query, weights = rng.normal(size=6), np.array([3.0, -0.5])
    unit = (lambda v: v / np.linalg.norm(v)) if similarity == "cosine" else (lambda v: v)
    scores = {row: unit(query) @ unit(z[row]) - weights @ offsets[row] for row in range(40)}
    best = sorted(scores, key=lambda row: -scores[row])[:7]
    for index in (made, Index.open(tmp_path / "i")):
        hits = index.search(query, k=7, view="a", weights=weights)
        assert [hit.row for hit in hits] == best
        assert [hit.score for hit in hits] == pytest.approx([scores[row] for row in best], abs=1e-5)
        plain = index.search(query, k=80)
        assert max(hit.score for hit in plain) == pytest.approx(
            max(abs(unit(query) @ unit(z[row])) for row in range(40)), abs=1e-5
        )


def test_added_rows_bring_their_offsets(tmp_path, rng):
    made = Index.create(tmp_path / "i", {"a": np.eye(3)}, offsets={"a": np.zeros((3, 1))})
    made.add({"a": np.eye(3)[:1]}, offsets={"a": np.array([[5.0]])})
    made.add({"a": np.eye(3)[:1]})
    hits = made.search(np.eye(3)[0], k=5, weights=np.ones(1))
    assert [(hit.row, round(hit.score, 6)) for hit in hits] == [(0, 1), (4, 1), (1, 0), (2, 0), (3, -4)]
    assert made.dim == 3
    vector, offsets = made.vectors([3], view="a")[3]
    assert vector.tolist() == [1, 0, 0]
    assert offsets.tolist() == [5]
    assert made.vectors([99], view="a") == {}


def test_offsets_that_do_not_fit_are_refused(tmp_path):
    z = np.eye(3)
    with pytest.raises(UsageError, match=r"offsets\['a'\] has 2 values for 3 rows"):
        Index.create(tmp_path / "i", {"a": z}, offsets={"a": np.zeros((2, 1))})
    with pytest.raises(UsageError, match="similarity must be cosine or dot"):
        Index.create(tmp_path / "i", {"a": z}, offsets={"a": np.zeros((3, 1))}, similarity="euclidean")
    with pytest.raises(DataError, match="NaN or infinity"):
        Index.create(tmp_path / "i", {"a": z}, offsets={"a": np.full((3, 1), np.nan)})
    made = Index.create(tmp_path / "i", {"a": z}, offsets={"a": np.zeros((3, 1))})
    with pytest.raises(UsageError, match="the index keeps 1 offsets a cell, got 2"):
        made.add({"a": z}, offsets={"a": np.zeros((3, 2))})
    with pytest.raises(UsageError, match=r"the index keeps 1 offsets a cell, got weights of shape \(2,\)"):
        made.search(z[0], weights=np.ones(2))
