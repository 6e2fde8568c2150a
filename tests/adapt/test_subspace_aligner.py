"""SubspaceAligner: the paper's map, and what follows from it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from bouba.adapt import SubspaceAligner
from bouba.errors import DataError


def domains(n=60, d=6, seed=0):
    random = np.random.default_rng(seed)
    mix = random.normal(size=(d, d))
    return random.normal(size=(n, d)) @ mix + 3, 2 * random.normal(size=(n + 9, d)) @ (mix + random.normal(size=(d, d)))


@pytest.mark.parametrize(("n", "d"), [(60, 6), (9, 20)])
def test_definition_the_papers_algorithm(n, d):
    """X_s P_s (P_s' P_t) and X_t P_t with another library's principal components."""
    source, target = domains(n, d)
    z_s, z_t = (StandardScaler().fit_transform(x) * np.sqrt(1 - 1 / len(x)) for x in (source, target))  # by n - 1
    p_s, p_t = (PCA(3).fit(z).components_.T for z in (z_s, z_t))
    aligner = SubspaceAligner(3).fit(source, target)
    sign = np.sign((aligner.target_weights_ * p_t).sum(0))
    np.testing.assert_allclose(aligner.transform(source), z_s @ p_s @ (p_s.T @ p_t) * sign, atol=1e-9)
    np.testing.assert_allclose(aligner.transform(target, domain="target"), z_t @ p_t * sign, atol=1e-9)


def test_definition_the_alignment_is_the_best_one():
    """M minimises |P_s M - P_t|: least squares finds no better."""
    source, target = domains()
    aligner = SubspaceAligner(3).fit(source, target)
    p_t = aligner.target_weights_ * target.std(0, ddof=1)[:, None]
    p_s_m = aligner.source_weights_ * source.std(0, ddof=1)[:, None]
    p_s = PCA(3).fit(StandardScaler().fit_transform(source)).components_.T
    np.testing.assert_allclose(p_s_m, p_s @ np.linalg.lstsq(p_s, p_t)[0], atol=1e-9)
    np.testing.assert_allclose(p_t.T @ p_t, np.eye(3), atol=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_law_units_equal_domains_and_all_components(seed):
    source, target = domains(seed=seed)
    units = np.array([1e-4, 1, 10, 1e3, 5, 1e5])
    plain, other = (SubspaceAligner(2).fit(source * u, target * u + 3) for u in (1, units))
    np.testing.assert_allclose(other.transform(source * units), plain.transform(source), atol=1e-6)
    same = SubspaceAligner(2).fit(source, source)
    np.testing.assert_allclose(same.transform(source), same.transform(source, domain="target"), atol=1e-9)
    whole = SubspaceAligner(6).fit(source, target).transform(source)  # nothing is lost: distances stay
    z = (source - source.mean(0)) / source.std(0, ddof=1)
    np.testing.assert_allclose(whole @ whole.T, z @ z.T, atol=1e-8)


def test_the_default_keeps_nine_tenths_of_both():
    source, target = domains()
    k = SubspaceAligner().fit(source, target).target_weights_.shape[1]
    shares = [PCA().fit(StandardScaler().fit_transform(x)).explained_variance_ratio_.cumsum() for x in (source, target)]
    assert min(share[k - 1] for share in shares) >= 0.9
    assert min(share[k - 2] for share in shares) < 0.9


def tilted(seed, n=40, d=100):
    """Two classes along one of four directions that turn a little between domains; much noise, other units."""
    random = np.random.default_rng(seed)
    y = np.arange(n) % 2
    frame = random.normal(size=(4, d))
    turned = frame + 0.5 * random.normal(size=(4, d))

    def rows(directions):
        latent = np.column_stack([4 * y - 2 + random.normal(size=n), 2 * random.normal(size=(n, 3))])
        return latent @ directions + 5 * random.normal(size=(n, d))

    return rows(frame), rows(turned) * np.exp(random.normal(size=d)) + 30 * random.normal(size=d), y


def test_recovery_beats_raw_features_and_standardising_alone():
    raw, alone, moved = [], [], []
    for seed in range(5):
        source, target, y = tilted(seed)
        classifier, aligner, scaled = LogisticRegression(), SubspaceAligner(4), StandardScaler().fit_transform
        raw.append(classifier.fit(source, y).score(target, y))
        alone.append(classifier.fit(scaled(source), y).score(scaled(target), y))
        classifier.fit(aligner.fit_transform(source, target), y)
        moved.append(classifier.score(aligner.transform(target, domain="target"), y))
    assert min(np.subtract(moved, raw)) > 0.1
    assert np.mean(moved) > np.mean(alone)


def test_refusals():
    source, target = domains(4)
    for k in (0, 4):
        with pytest.raises(
            DataError, match=f"{k} components from a source of rank 3 and a target of rank 6; take 1 to 3"
        ):
            SubspaceAligner(k).fit(source, target)
    with pytest.raises(DataError, match="all target rows are alike; nothing has a direction"):
        SubspaceAligner().fit(source, np.full((5, 6), 0.1))
