"""Adaptation on a fixed toy shift: it must help, on every seed, without ever seeing a target pair."""

import numpy as np
import pytest

from bouba import CLIP, MLP, AdaptedCLIP, InfoNCE, Prediction, PseudoPairs, SelfTraining, Views
from bouba.errors import DataError, UsageError

TOWERS = {"left": MLP((64,)), "right": MLP((64,))}
QUICK = {"epochs": 60, "dim": 8, "batch_size": 100, "lr": 3e-3}


def shifted(seed, n=300, d=6):
    """A sharp cue, displaced in the target, and a noisy one that is not. A source-only model trusts the sharp one."""
    random = np.random.default_rng(seed)
    latent = random.normal(size=(2 * n, d))
    sharp = latent + 0.05 * random.normal(size=latent.shape)
    sharp[n:] += 1.5
    noisy = latent + 0.4 * random.normal(size=latent.shape)
    left = np.hstack([sharp, noisy]) @ np.random.default_rng(7).normal(size=(2 * d, 16))
    right = latent @ np.random.default_rng(8).normal(size=(d, 10)) + 0.05 * random.normal(size=(2 * n, 10))
    return Views({"left": left, "right": right}, domain=np.repeat(["source", "target"], n).astype(object))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_recovery_beats_source_only_on_the_target(seed):
    views = shifted(seed)
    target = views[views.domain == "target"]
    plain = CLIP(TOWERS, random_state=seed, **QUICK).fit(views[views.domain == "source"])
    adapted = AdaptedCLIP(TOWERS, weight=0.3, adapt=("left",), random_state=seed, **QUICK)
    adapted.fit(views, target={"target": ["left"]})
    assert adapted.score(target) > plain.score(target) + 0.15


@pytest.mark.parametrize("validation", [None, 0.2])
def test_law_target_pairs_labels_and_captions_are_never_seen(validation):
    """Permuting everything hidden of the target leaves the trained weights equal to the bit."""
    views = shifted(0, n=60)
    views = views.replace(
        y={"kind": np.array(list("ab") * 60, dtype=object)}, key=np.arange(120).astype(str).astype(object)
    )
    order = np.concatenate([np.arange(60), 60 + np.random.default_rng(0).permutation(60)])
    shuffled = views.replace(
        columns={"left": views["left"], "right": views["right"].take(order)},
        y={"kind": views.y["kind"][order]},
        key=views.key[order],
    )
    quick = {**QUICK, "epochs": 3}
    for also in (None, PseudoPairs(threshold=0.0) + Prediction(("kind",)) + SelfTraining(("kind",), threshold=0.0)):
        fitted = [
            AdaptedCLIP(TOWERS, also=also, **quick).fit(v, target={"target": ["left"]}, validation=validation)
            for v in (views, shuffled)
        ]
        a, b = (model.module_.state_dict() for model in fitted)
        for name, value in a.items():
            assert value.equal(b[name]), name


def test_also_adds_terms():
    model = AdaptedCLIP(also=0.1 * PseudoPairs())
    assert model._objective() == AdaptedCLIP()._objective() + 0.1 * PseudoPairs()
    assert repr(model._objective()).startswith(repr(InfoNCE()))


def test_refusals():
    views = shifted(0, n=20)
    with pytest.raises(DataError, match="no domain 'targt'; did you mean 'target'"):
        AdaptedCLIP(TOWERS, **QUICK).fit(views, target="targt")
    with pytest.raises(UsageError, match="DomainAdversarial needs two domains or more, got 1"):
        AdaptedCLIP(TOWERS, **QUICK).fit(views[views.domain == "source"])


def test_target_rows_do_not_choose_the_epoch():
    """Validation that would be perfect on target pairs must not be used: only source rows judge."""
    views = shifted(0, n=60)
    quick = {**QUICK, "epochs": 2}
    source = views[views.domain == "source"]
    both, alone = (
        AdaptedCLIP(TOWERS, **quick).fit(views, target={"target": ["left"]}, validation=held_out)
        for held_out in (views, source)
    )
    assert [r["validation"] for r in both.history_] == [r["validation"] for r in alone.history_]
    with pytest.raises(DataError, match="there are 0 rows besides the target"):
        AdaptedCLIP(TOWERS, **quick).fit(views, target="target", validation=views[views.domain == "target"])
    with pytest.raises(DataError, match=r"one target at a time, got \['a', 'b'\]"):
        AdaptedCLIP(TOWERS, **quick).fit(views, target={"a": ["left"], "b": ["left"]})
