"""Centroid labels, the term and its function."""

import doctest
import importlib

import pytest
import torch

from bouba.batch import Batch
from bouba.errors import DataError, UsageError
from bouba.terms import CentroidLabels, Space, centroid_labels
from bouba.terms.centroid_labels import Centroids

SPACE = Space({"a": 4}, classes={"kind": ("x", "y", "z")}, predicted=("kind",))


def drawn(n=8, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, 4, generator=draw), torch.randn(n, 3, generator=draw).log_softmax(1)


def test_definition_over_two_batches():
    centroids, sums = Centroids(3, 4, 0.5), torch.zeros(3, 4)
    for seed in range(2):
        z, log_p = drawn(seed=seed)
        u = z / z.norm(dim=1, keepdim=True)
        for k in range(3):
            sums[k] = 0.5 * sums[k] + 0.5 * sum(p[k].exp() * row for p, row in zip(log_p, u))
        value, agrees = centroid_labels(z, log_p, centroids)
        centroids.after_step()
        codes = [max(range(3), key=lambda k: float(row @ sums[k] / sums[k].norm())) for row in u]
        assert value.item() == pytest.approx(-sum(float(p[c]) for p, c in zip(log_p, codes)) / 8, abs=1e-5)
        assert agrees.item() == pytest.approx(sum(int(p.argmax()) == c for p, c in zip(log_p, codes)) / 8)


def test_law_a_rotation_changes_nothing_and_a_class_without_rows_is_nobodys():
    z, log_p = drawn()
    turn, _ = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(1)))
    values = [centroid_labels(rows, log_p, Centroids(3, 4, 0.9))[0].item() for rows in (z, 7 * z @ turn)]
    assert values[0] == pytest.approx(values[1], abs=1e-5)
    sure = torch.tensor([[0.0, -80.0, -80.0]]).repeat(8, 1)
    value, agrees = centroid_labels(z, sure, Centroids(3, 4, 0.9))
    assert (value.item(), agrees.item()) == (0.0, 1.0)


def test_recovery_a_cluster_names_its_rows_together():
    """Of two clusters each has a third of its rows predicted wrongly: centres name almost all rightly."""
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(200) % 2
    z = torch.nn.functional.one_hot(y, 4).float() + 0.2 * torch.randn(200, 4, generator=draw)
    wrong = torch.rand(200, generator=draw) < 1 / 3
    said = torch.where(wrong, 1 - y, y)
    log_p = torch.full((200, 2), 0.2).scatter(1, said[:, None], 0.8).log()
    named = Centroids(2, 4, 0.9).nearest(z / z.norm(dim=1, keepdim=True), log_p.exp())
    assert (named == y).float().mean() > 0.97 > 0.75 > (said == y).float().mean()


def test_term_reads_rows_with_the_view_and_without_a_class():
    z, log_p = drawn(5)
    batch = Batch(
        {},
        {"a": torch.tensor([True, True, True, True, False])},
        torch.arange(5),
        z={"a": z},
        y={"kind": torch.tensor([-1, -1, 0, 2, -1])},
        predicted={"kind": log_p},
    )
    term = CentroidLabels()
    value, parts = term.loss(batch, term.state(SPACE))
    expected, agrees = centroid_labels(z[:2], log_p[:2], Centroids(3, 4, 0.9))
    assert value.item() == pytest.approx(expected.item())
    assert parts["agrees.a.kind"] == agrees
    assert term.loss(batch.replace(y={"kind": torch.zeros(5, dtype=torch.int64)}), term.state(SPACE)) == (None, {})


def test_refusals():
    z, log_p = drawn()
    with pytest.raises(
        UsageError, match=r"centroid_labels needs z \(B, 4\) and log probabilities \(B, 3\), got \(8, 4\)"
    ):
        centroid_labels(z, log_p[:, :2], Centroids(3, 4, 0.9))
    with pytest.raises(DataError, match="z holds NaN or infinity in 8 of 8 rows"):
        centroid_labels(z * torch.nan, log_p, Centroids(3, 4, 0.9))
    with pytest.raises(UsageError, match=r"momentum lies in \[0, 1\), got 1"):
        CentroidLabels(momentum=1).state(SPACE)
    with pytest.raises(UsageError, match="CentroidLabels labels is a tuple of names, got 'kind'"):
        CentroidLabels(labels="kind").state(SPACE)


def test_examples():
    assert doctest.testmod(importlib.import_module("bouba.terms.centroid_labels")).failed == 0
