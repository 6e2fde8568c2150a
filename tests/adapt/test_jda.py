"""Joint and balanced distribution adaptation: against the paper's matrices, laws, recovery, refusals."""

import numpy as np
import pytest
from scipy import linalg
from sklearn.linear_model import LogisticRegression

import bouba
from bouba.adapt import JDA, TCA
from bouba.adapt.jda import class_gaps, estimated_balance
from bouba.errors import DataError, UsageError


def twisted(seed=0, n=300, d=6):
    """Three classes along two columns; a third column tells them too, and is another one in the target."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % 3
    told = np.array([[3, 0], [0, 3], [-3, -3]], float)[y]

    def rows(sharp):
        noise = random.normal(size=(n, d))
        noise[:, :2] += 0.7 * told
        noise[:, 2] += 2 * np.array(sharp)[y]
        return noise

    return rows([1, 0, -1]), rows([-1, 1, 0]), y


def test_definition_the_first_round_solves_the_papers_matrices():
    """M0 of all n rows (their equation 3), X M X' in place of g g'; H the centring matrix."""
    source, target, y = twisted(n=30)
    model = JDA(2, mu=0.3, rounds=1, balance=0.0).fit(source, target, labels=y)
    x = np.vstack([source, target])
    x = x - x.mean(0)
    x /= np.sqrt((x**2).sum(1).mean())
    e = np.repeat([1 / 30, -1 / 30], 30)
    values = linalg.eigh(x.T @ x / 60, x.T @ np.outer(e, e) @ x + 0.3 * np.eye(6), eigvals_only=True)
    np.testing.assert_allclose(model.eigenvalues_, values[::-1][:2])
    z = model.transform(np.vstack([source, target]))
    unit = np.sqrt(((np.vstack([source, target]) - model.mean_) ** 2).sum(1).mean())
    np.testing.assert_allclose(z.T @ z / 60, np.diag(0.3 * model.eigenvalues_) * unit**2, atol=1e-9)


def test_definition_gaps_by_a_loop():
    source, target, y = twisted(n=30)
    guesses = np.where(np.arange(30) % 5 == 0, 7, 2 * (np.arange(30) % 2))  # 7 is no class of the source
    gaps = class_gaps(source, target, y, guesses)
    expected = [source.mean(0) - target.mean(0)]
    for code in (0, 2):
        a = [row for row, c in zip(source, y) if c == code]
        b = [row for row, c in zip(target, guesses) if c == code]
        expected.append(np.mean(a, 0) - np.mean(b, 0))
    np.testing.assert_allclose(gaps, expected)


def test_law_where_nothing_differs_every_distance_stays():
    y = np.arange(90) % 3
    source = 9 * np.eye(6)[y] + np.random.default_rng(0).normal(size=(90, 6))  # guesses are right
    z = JDA().fit(source, source, labels=y).transform(source)
    before, after = (np.linalg.norm(rows[:40, None] - rows[None, :40], axis=2) for rows in (source, z))
    np.testing.assert_allclose(after, before, rtol=1e-6, atol=1e-8)


def test_law_names_of_classes_and_units_change_nothing():
    source, target, y = twisted()
    plain = JDA(3).fit(source, target, labels=y).transform(target)
    named = JDA(3).fit(source, target, labels=np.array(["c", "a", "b"])[y]).transform(target)
    scaled = JDA(3).fit(100 * source + 5, 100 * target + 5, labels=y).transform(100 * target + 5)
    np.testing.assert_allclose(abs(named), abs(plain), atol=1e-6)
    np.testing.assert_allclose(abs(scaled) / abs(scaled).max(), abs(plain) / abs(plain).max(), atol=1e-6)


def accuracy(model, source, target, y):
    return LogisticRegression().fit(model.transform(source), y).score(model.transform(target), y)


def test_recovery_a_column_that_changes_its_meaning_is_left_out():
    joint, marginal = [], []
    for seed in range(3):
        source, target, y = twisted(seed)
        joint.append(accuracy(JDA(mu=0.01).fit(source, target, labels=y), source, target, y))
        marginal.append(accuracy(TCA().fit(source, target), source, target, y))
    assert np.mean(joint) > np.mean(marginal) + 0.07


def test_balance_is_estimated_large_where_only_classes_moved():
    source, target, y = twisted(n=400)
    target = target - target.mean(0) + source.mean(0)
    only_classes = estimated_balance(source, target, y, y)
    shifted = estimated_balance(source, source[::-1] + 2.0, y, y[::-1])
    assert only_classes > 0.5 > 0.45 > shifted - 0.1  # a common shift is seen within classes, too
    model = JDA(balance=None).fit(source, target, labels=y)
    assert 0 <= model.balance_ <= 1


def test_saved_to_the_bit_and_in_a_pipeline(tmp_path):
    source, target, y = twisted()
    model = JDA(3, target=target, balance=0.9).fit(source, y)
    np.testing.assert_array_equal(
        model.transform(source), JDA(3, balance=0.9).fit(source, target, labels=y).transform(source)
    )
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(bouba.load(tmp_path / "model").transform(target), model.transform(target))


def test_refusals():
    source, target, y = twisted(n=60)
    with pytest.raises(UsageError, match="JDA reads the classes of source rows"):
        JDA().fit(source, target)
    for options, message in (
        ({"mu": 0}, "mu must be above 0, got 0; 0.1 is a start"),
        ({"balance": 2}, r"balance lies in \[0, 1\], got 2; None estimates it"),
        ({"rounds": 0}, "rounds must be 1 or more, got 0"),
    ):
        with pytest.raises(UsageError, match=message):
            JDA(**options).fit(source, target, labels=y)
    with pytest.raises(DataError, match="7 components of rows that have 6; take 1 to 6"):
        JDA(7).fit(source, target, labels=y)
    with pytest.raises(DataError, match="all rows of source and target are alike; nothing varies"):
        JDA().fit(np.ones((4, 2)), np.ones((3, 2)), labels=[0, 1, 0, 1])
