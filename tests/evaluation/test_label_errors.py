"""Labels that are probably wrong, from probabilities."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bouba.evaluation.label_errors import label_errors


def by_hand(p, labels):
    """The definition, row by row."""
    classes = p.shape[1]
    thresholds = [np.mean([row[j] for row, own in zip(p, labels) if own == j] or [np.inf]) for j in range(classes)]
    found = []
    for place, (row, own) in enumerate(zip(p, labels)):
        passing = [j for j in range(classes) if row[j] >= thresholds[j]]
        if passing:
            likely = max(passing, key=lambda j: row[j])
            if row[likely] > row[own]:
                found.append((place, likely))
    return sorted(found, key=lambda pair: (-(p[pair[0], pair[1]] - p[pair[0], labels[pair[0]]]), pair[0]))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 5), st.integers(2, 40))
def test_definition_row_by_row(seed, classes, n):
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.ones(classes), n)
    labels = random.integers(0, classes, n)
    rows, likely = label_errors(p, labels)
    assert list(zip(rows.tolist(), likely.tolist())) == by_hand(p, labels)


def test_a_class_that_is_never_sure_has_a_threshold_of_its_own():
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.6, 0.4], [0.55, 0.45]])
    rows, likely = label_errors(p, np.array([0, 0, 1, 1, 1]))
    assert rows.tolist() == []  # a half says nothing against the second class, whose rows are all so
    assert likely.tolist() == []
    rows, likely = label_errors(p, np.array([1, 0, 1, 1, 1]))
    assert (rows[0], likely[0]) == (0, 0)
