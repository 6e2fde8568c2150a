"""Retrieval metrics against a loop over permutations, their laws, chance, and refusals."""

from fractions import Fraction
from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.errors import DataError, UsageError
from bouba.metrics import RETRIEVAL_METRICS, chance_level, retrieval, summarise
from bouba.metrics.ties import miss_probability

KS = (1, 3, 10)


def by_loop(scores, relevant, ks):
    """Every metric of one query, averaged over all orders of the gallery that respect the scores."""
    sums, orders = {}, 0
    for order in permutations(range(len(scores))):
        if any(scores[a] < scores[b] for a, b in pairwise(order)):
            continue
        orders += 1
        ranks = [place for place, item in enumerate(order, 1) if relevant[item]]
        values = {f"recall@{k}": Fraction(ranks[0] <= k) for k in ks}
        values["precision@10"] = Fraction(sum(r <= 10 for r in ranks), 10)
        values["rank"] = Fraction(ranks[0])
        values["reciprocal_rank"] = Fraction(1, ranks[0])
        values["average_precision"] = sum(Fraction(i, r) for i, r in enumerate(ranks, 1)) / len(ranks)
        for name, value in values.items():
            sums[name] = sums.get(name, 0) + value
    return {name: float(total / orders) for name, total in sums.items()}


def score_as(scores):
    """A query and a gallery whose dot products are the scores."""
    return np.ones((1, 1)), np.asarray(scores, float)[:, None]


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=6))
@settings(max_examples=80, deadline=None)
def test_definition_is_the_mean_over_all_orders_of_ties(items):
    scores, relevant = [s for s, _ in items], [r for _, r in items]
    relevant[0] = True
    got = retrieval(*score_as(scores), [1], np.array(relevant, int), similarity="dot", ks=KS)
    for name, value in by_loop(scores, relevant, KS).items():
        assert got[name][0] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
def test_definition_without_ties(similarity):
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(7, 4)), rng.normal(size=(12, 4))
    query_key, gallery_key = rng.integers(0, 4, 7), np.arange(12) % 4
    got = retrieval(queries, gallery, query_key, gallery_key, similarity=similarity, tile=3)
    for i, q in enumerate(queries):
        score = {
            "cosine": [q @ g / np.linalg.norm(q) / np.linalg.norm(g) for g in gallery],
            "dot": [q @ g for g in gallery],
            "euclidean": [-np.linalg.norm(q - g) for g in gallery],
        }[similarity]
        hit = [gallery_key[j] == query_key[i] for j in np.argsort(score)[::-1]]
        ranks = np.flatnonzero(hit) + 1
        assert got["rank"][i] == ranks[0]
        assert got["recall@5"][i] == (ranks[0] <= 5)
        assert got["precision@10"][i] == pytest.approx((ranks <= 10).sum() / 10)
        assert got["average_precision"][i] == pytest.approx(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def test_definition_of_miss_probability_counts_draws():
    for size, hits in [(5, 2), (4, 4), (6, 1)]:
        marks = [i < hits for i in range(size)]
        orders = list(permutations(marks))
        for x in range(size + 1):
            share = np.mean([not any(order[:x]) for order in orders])
            assert miss_probability(size, hits)[x] == pytest.approx(share)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean"])
@pytest.mark.parametrize("row", [[0.3, -1.7, 0.1], [0.0, 0.0, 0.0]])
def test_law_identical_embeddings_score_exactly_chance(similarity, row):
    rng = np.random.default_rng(1)
    gallery_key = rng.integers(0, 9, 203)
    query_key = gallery_key[:50]
    flat = retrieval(np.tile(row, (50, 1)), np.tile(row, (203, 1)), query_key, gallery_key, similarity=similarity)
    chance = chance_level(query_key, gallery_key)
    got = summarise(flat)
    assert got.keys() == chance.keys() == RETRIEVAL_METRICS.keys()
    for name in chance.keys() - {"median_rank"}:
        assert got[name] == pytest.approx(chance[name], abs=1e-12), name
    once = chance_level(range(30), range(30))  # one relevant item each: the median is exact, too
    assert once == pytest.approx(summarise(retrieval(np.ones((30, 2)), np.ones((30, 2)), range(30), range(30))))


def test_law_random_embeddings_score_chance_on_average():
    rng = np.random.default_rng(2)
    gallery_key, query_key = np.repeat(np.arange(10), [1, 2, 3, 4, 5, 6, 7, 8, 9, 15]), np.arange(10)
    per_query = retrieval(rng.normal(size=(8000, 8)), rng.normal(size=(60, 8)), np.tile(query_key, 800), gallery_key)
    got, chance = summarise(per_query), chance_level(query_key, gallery_key)
    for name, value in chance.items():
        assert got[name] == pytest.approx(value, rel=0.12), name


def test_law_chance_of_one_partner_is_k_over_m():
    chance = chance_level(range(40), range(40))
    assert chance["recall@1"] == pytest.approx(1 / 40)
    assert chance["recall@10"] == pytest.approx(10 / 40)
    assert chance["precision@10"] == pytest.approx(1 / 40)
    assert chance["median_rank"] == 20.5
    harmonic = sum(1 / r for r in range(1, 41)) / 40
    assert (chance["mrr"], chance["map"]) == pytest.approx((harmonic, harmonic))


@given(st.integers(0, 10_000), st.integers(1, 12))
@settings(max_examples=25, deadline=None)
def test_law_gallery_order_tile_and_rotation_change_nothing(seed, tile):
    rng = np.random.default_rng(seed)
    queries, gallery = rng.integers(-1, 2, (9, 3)), rng.integers(-1, 2, (14, 3))
    gallery_key = np.arange(14) % 5
    query_key = rng.integers(0, 5, 9)
    order, (turn, _) = rng.permutation(14), np.linalg.qr(rng.normal(size=(3, 3)))
    before = retrieval(queries, gallery, query_key, gallery_key)
    after = retrieval(queries @ turn, (gallery @ turn)[order], query_key, gallery_key[order], tile=tile)
    for name in before:
        np.testing.assert_allclose(after[name], before[name], atol=1e-12, err_msg=name)


def test_recovery_of_planted_pairs_beats_chance_and_ends_perfect():
    rng = np.random.default_rng(3)
    z = rng.normal(size=(300, 16))
    noisy = summarise(retrieval(z, z + rng.normal(size=z.shape), range(300), range(300)))
    assert noisy["recall@1"] > 20 * chance_level(range(300), range(300))["recall@1"]
    perfect = summarise(retrieval(z, z, range(300), range(300)))
    assert (perfect["recall@1"], perfect["median_rank"], perfect["map"]) == (1.0, 1.0, 1.0)


def test_other_ks_and_key_types():
    values = retrieval(np.eye(3), np.eye(3), ["a", "b", "c"], np.array(["a", "b", "c"], object), ks=(2, 50))
    assert set(values) == {"recall@2", "recall@50", "rank", "reciprocal_rank", "average_precision"}
    assert summarise(values)["recall@50"] == 1.0


def test_refusals_say_what_came_and_what_to_do():
    z, bad = np.eye(3), np.eye(3)
    bad[1, 0] = np.nan
    with pytest.raises(DataError, match=r"gallery has NaN or infinity in 1 of 3 rows, first in row 1"):
        retrieval(z, bad, range(3), range(3))
    with pytest.raises(DataError, match=r"2 of 3 queries have no relevant item .* first row 1 with key 7"):
        retrieval(z, z, [0, 7, 8], range(3))
    with pytest.raises(DataError, match=r"query_key is int64, gallery_key <U1"):
        chance_level([1, 2], ["1", "2"])
    with pytest.raises(DataError, match="queries has 3 dimensions and gallery has 2"):
        retrieval(z, z[:, :2], range(3), range(3))
    with pytest.raises(DataError, match="query_key has 2 labels for 3 rows"):
        retrieval(z, z, range(2), range(3))
    with pytest.raises(DataError, match="gallery_key has 1 missing labels, first in row 2"):
        retrieval(z, z, range(3), [0, 1, None])
    with pytest.raises(DataError, match=r"queries must be a matrix .* got shape \(3,\)"):
        retrieval(z[0], z, range(3), range(3))
    with pytest.raises(UsageError, match="'cosinus' is not known; did you mean 'cosine'"):
        retrieval(z, z, range(3), range(3), similarity="cosinus")
    with pytest.raises(UsageError, match="ks must be whole numbers"):
        retrieval(z, z, range(3), range(3), ks=(0,))
    with pytest.raises(UsageError, match="tile must be 1 or more"):
        retrieval(z, z, range(3), range(3), tile=0)
    with pytest.raises(DataError, match="too large"), np.errstate(over="ignore"):
        retrieval(z * 1e200, z * 1e200, range(3), range(3), similarity="dot")
