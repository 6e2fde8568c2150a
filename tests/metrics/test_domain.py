"""Domain accuracy and the proxy A-distance: definition, laws, recovery of a planted shift, refusals."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from bouba.errors import DataError
from bouba.metrics import domain_accuracy, proxy_a_distance


def shifted(shift, n=150, m=150, seed=0, d=6):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(m, d)) + shift * np.eye(d)[0]


def test_definition_by_folds():
    source, target = shifted(1.5, n=90, m=30)
    z, domain = np.concatenate([source, target]), np.repeat([0, 1], [90, 30])
    right = np.zeros(120, bool)
    for train, test in StratifiedKFold(5, shuffle=True, random_state=4).split(z, domain):
        scaler = StandardScaler().fit(z[train])
        model = LogisticRegression(C=0.1, class_weight="balanced")
        model.fit(scaler.transform(z[train]), domain[train])
        right[test] = model.predict(scaler.transform(z[test])) == domain[test]
    balanced = (right[domain == 0].mean() + right[domain == 1].mean()) / 2
    assert domain_accuracy(source, target, random_state=4) == pytest.approx(balanced)
    assert proxy_a_distance(source, target, random_state=4) == pytest.approx(2 * (1 - 2 * (1 - balanced)))


def test_law_moving_and_scaling_the_space_changes_nothing():
    source, target = shifted(1.0)
    moved = proxy_a_distance(source * 100 + 7, target * 100 + 7)
    assert moved == pytest.approx(proxy_a_distance(source, target))
    assert domain_accuracy(source, target) == domain_accuracy(source, target)


def test_recovery_of_a_planted_shift_grows_from_zero_to_two():
    distances = [proxy_a_distance(*shifted(shift)) for shift in (0.0, 1.0, 3.0, 30.0)]
    assert abs(distances[0]) < 0.4
    assert distances == sorted(distances)
    assert distances[-1] == 2.0


def test_recovery_unequal_sizes_do_not_pass_for_a_shift():
    assert abs(domain_accuracy(*shifted(0.0, n=500, m=50)) - 0.5) < 0.1
    assert domain_accuracy(np.ones((90, 3)), np.ones((10, 3))) == 0.5


def test_refusals_say_what_came_and_what_to_do():
    with pytest.raises(DataError, match="two rows or more in each domain, got 5 source and 1 target"):
        domain_accuracy(np.ones((5, 2)), np.ones((1, 2)))
    with pytest.raises(DataError, match="z_source has 2 dimensions and z_target has 3"):
        proxy_a_distance(np.ones((5, 2)), np.ones((5, 3)))
    with pytest.raises(DataError, match="z_target has NaN"):
        proxy_a_distance(np.ones((5, 2)), np.full((5, 2), np.nan))
