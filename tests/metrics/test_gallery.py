"""Recall in a gallery of another size: exact where things are left out, close where there are to be more."""

from itertools import combinations

import numpy as np
import pytest

from bouba.align import LinearBaseline
from bouba.data.samples import emoji
from bouba.errors import DataError, UsageError
from bouba.metrics import GalleryRecall, gallery_recall, recall_at_gallery_size, retrieval
from bouba.metrics.similarity import similarities


def test_definition_is_the_mean_over_all_ways_to_leave_rivals_out():
    for rivals, above, size, k in ((6, 2, 4, 1), (7, 5, 5, 3), (5, 0, 3, 2), (6, 6, 4, 2)):
        hits = [sum(rival < above for rival in kept) < k for kept in combinations(range(rivals), size - 1)]
        assert GalleryRecall([above + 1], rivals, size=size, k=k)() == pytest.approx(np.mean(hits))


def test_of_the_size_that_was_measured_it_is_what_was_measured():
    rank = np.random.default_rng(0).integers(1, 200, 200)
    assert recall_at_gallery_size(rank, np.arange(200), size=200) == pytest.approx(np.mean(rank <= 10))
    halves = GalleryRecall([10.5], 199, size=200)
    assert halves() == pytest.approx(0.5)  # a tie for place 10 and 11


def test_random_ranks_stay_random():
    rank = np.random.default_rng(0).integers(1, 101, 5000)
    assert GalleryRecall(rank, 99, size=40)() == pytest.approx(0.25, abs=0.01)
    assert GalleryRecall(rank, 99, size=1000)() == pytest.approx(0.01, abs=0.005)


def noisy(noise, n=1000, d=20, lost=0, seed=1):
    """Similarities of n pairs with noise on both sides; the first `lost` have nothing to do with each other."""
    random = np.random.default_rng(seed)
    z = random.normal(size=(n, d))
    x, y = (z + noise * random.normal(size=z.shape) for _ in range(2))
    y[:lost] = random.normal(size=(lost, d))
    return similarities(x, y, "cosine")


def estimates(scores, n, times, size):
    """From random parts of a gallery what it would be in the whole."""
    random = np.random.default_rng(0)
    for _ in range(times):
        part = random.permutation(len(scores))[:n]
        among = scores[np.ix_(part, part)]
        rank = (among >= among.diagonal()[:, None]).sum(1)
        yield recall_at_gallery_size(rank, np.arange(n), size=size)


@pytest.mark.parametrize(("noise", "lost"), [(0.5, 0), (1.0, 0), (2.0, 0), (0.5, 500)])
@pytest.mark.parametrize("n", [100, 300])
def test_a_hundred_things_tell_what_it_is_among_a_thousand(noise, lost, n):
    scores = noisy(noise, lost=lost)
    measured = np.mean((scores >= scores.diagonal()[:, None]).sum(1) <= 10)
    assert np.mean(list(estimates(scores, n, 30, 1000))) == pytest.approx(measured, abs=0.04)


def test_leaving_out_is_unbiased():
    scores = noisy(1.0, n=400)
    rank = (scores >= scores.diagonal()[:, None]).sum(1)
    [small] = {recall_at_gallery_size(rank, np.arange(400), size=100)}
    parts = list(estimates(scores, 100, 300, 100))
    assert np.mean(parts) == pytest.approx(small, abs=3 * np.std(parts) / np.sqrt(300))


def test_emoji_are_found_among_a_thousand_as_a_hundred_tell():
    views = emoji(styles=("noto",)).select("image", "en")
    order = np.random.default_rng(0).permutation(len(views))
    model = LinearBaseline(ridge=0.3).fit(views[np.sort(order[:500])])
    z = model.embed(views[np.sort(order[-1000:])])
    scores = similarities(z["en"], z["image"], "cosine")
    measured = np.mean((scores >= scores.diagonal()[:, None]).sum(1) <= 10)
    assert np.mean(list(estimates(scores, 100, 30, 1000))) == pytest.approx(measured, abs=0.03)


def test_things_with_several_right_answers_keep_them_all():
    random = np.random.default_rng(0)
    z = random.normal(size=(60, 4))
    keys = np.arange(60) // 2
    rank = retrieval(z, z + random.normal(size=z.shape), keys, keys)["rank"]
    expected = []
    for _ in range(400):
        wrong = [np.sort(random.permutation(58)[:18]) for _ in rank]
        expected.append(np.mean([(kept < r - 1).sum() < 5 for kept, r in zip(wrong, rank, strict=True)]))
    assert recall_at_gallery_size(rank, keys, size=20, k=5) == pytest.approx(np.mean(expected), abs=0.01)


def test_weights_count_queries_again():
    rank, twice = np.array([1.0, 5.0, 40.0] * 20), np.array([2.0, 0.0, 1.0] * 20)
    for size in (30, 1000):
        weighted = GalleryRecall(rank, 60, size=size)(twice)
        assert weighted == pytest.approx(GalleryRecall(np.repeat(rank, twice.astype(int)), 60, size=size)())


def test_too_few_rivals_say_nothing_of_more():
    assert recall_at_gallery_size(np.ones(30), np.arange(30)) is None
    assert recall_at_gallery_size(np.ones(30), np.arange(30), size=20) == 1
    assert recall_at_gallery_size(np.ones(60), np.arange(60)) > 0.9


def test_refusals():
    with pytest.raises(DataError, match="a rank lies between 1 and one more than there are rivals"):
        GalleryRecall([5], 3)
    with pytest.raises(UsageError, match="k is 1 or more, and a gallery holds every right answer, got k=0, size=1000"):
        GalleryRecall([1], 3, k=0)
    with pytest.raises(DataError, match=r"ranks are a vector of one or more, got shape \(0,\)"):
        GalleryRecall([], 3)
    with pytest.raises(DataError, match="ranks need a key each, which some thing of the gallery has"):
        gallery_recall([1, 1], ["a", "b"], ["a", "c"])
