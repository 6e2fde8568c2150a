"""Do drawn views show what was asked, go together, and look like real ones?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from bouba.data.views import Column, Views, is_missing
from bouba.errors import DataError, UsageError, nearest
from bouba.evaluation.environment import environment
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.intervals import interval
from bouba.evaluation.model import Embeds, PredictsLabels
from bouba.evaluation.result import Record, Result
from bouba.metrics.coherence import cross_coherence, joint_coherence
from bouba.metrics.generation import frechet_distance


class Generates(Protocol):
    """Draws any views from any others, and all from nothing: MultimodalVAE."""

    kinds_: Mapping[str, str]

    def draw(self, X: Views, n: int = 1, *, random_state: int = 0) -> Mapping[str, np.ndarray]:
        """view -> (rows, n, ...)."""

    def sample(self, n: int, *, random_state: int = 0) -> Mapping[str, np.ndarray]:
        """view -> (n, ...)."""


def evaluate_generations(
    model: Generates,
    views: Views,
    *,
    judge: PredictsLabels,
    label: str,
    space: Embeds | None = None,
    n: int = 1,
    samples: int = 1000,
    method: str = "model",
    split: str = "test",
    seed: int | None = None,
) -> Result:
    """Coherence of what a generative model draws for held-out rows, and of what it draws from nothing.

    Args:
        model: fitted.
        views: held-out rows with the label.
        judge: says what label an item has, view by view, and should be fitted apart from the model: FusionClassifier.
        label: the label column that is compared.
        space: an aligner, fitted apart, in whose space Frechet distances to the real cells are measured; none if None.
        n: items a row. samples: rows drawn from nothing.
        method, split, seed: names for the records; items are drawn from `seed`.

    Returns:
        Records "cross_coherence" of direction "from->to", with each view alone and, of three views or more, with all
        others ("without to->to"), over the labelled rows that have one of those views; "joint_coherence" of direction
        "nothing->all"; both with 95% intervals. "frechet_distance" of direction "nothing->view", without one, and as
        chance that of two halves of the real cells. The other chances are those of C classes that are equally frequent.

    Raises:
        DataError: no label known. UsageError: no such label.

    References: Shi et al. 2019, section 4.2; Sutter et al. 2021, Generalized Multimodal ELBO, section 4.
    """
    if label not in views.y:
        raise UsageError(f"no label column {label!r}{nearest(label, views.y)}")
    views = views.observed()
    views = views[np.flatnonzero([not is_missing(value) for value in views.y[label]])]
    if not len(views):
        raise DataError(f"no row has a {label!r}; coherence compares labels")
    names = [name for name in views.columns if name in model.kinds_]
    shown = _Shown(model.kinds_, judge, label)
    fields: dict[str, Any] = {"method": method, "split": split, "domain": "all", "seed": seed}
    records = [
        Record(**fields, direction=direction, metric="cross_coherence", value=float(hits.mean()), low=low, high=high,
               chance=1 / len(shown.classes), n=len(hits))
        for direction, hits, (low, high) in _crossed(model, views, names, shown, label, n, seed or 0)
    ]  # fmt: skip
    drawn = model.sample(samples, random_state=seed or 0)
    judged = [name for name in names if name in drawn]
    if len(judged) > 1:
        agree = joint_coherence(np.column_stack([shown.labels(name, drawn[name]) for name in judged]))
        low, high = interval(agree)
        chance = float(len(shown.classes)) ** (1 - len(judged))
        records.append(
            Record(**fields, direction="nothing->all", metric="joint_coherence", value=float(agree.mean()), low=low,
                   high=high, chance=chance, n=samples)
        )  # fmt: skip
    for name, distance, chance in () if space is None else _distances(space, views, shown, drawn, seed or 0):
        records.append(
            Record(**fields, direction=f"nothing->{name}", metric="frechet_distance", value=distance, low=None,
                   high=None, chance=chance, n=samples)
        )  # fmt: skip
    return Result(records, environment(seed, fingerprint(views)) | {"judge": type(judge).__name__})


class _Shown:
    """Made items as views that a judge reads."""

    def __init__(self, kinds: Mapping[str, str], judge: PredictsLabels, label: str):
        self.kinds, self.judge, self.label = kinds, judge, label
        self.classes = np.asarray(judge.classes(label)).astype(str)

    def view(self, name: str, items: np.ndarray) -> Views:
        """Items (m, ...) of a view."""
        cells = list(items) if self.kinds[name] == "image" else items
        return Views({name: Column.of(cells, self.kinds[name])})

    def labels(self, name: str, items: np.ndarray) -> np.ndarray:
        """(m,) what the judge takes items for."""
        outputs = self.judge.outputs(self.view(name, items))[self.label]
        return self.classes[outputs[:, 0].argmax(1)]


def _crossed(
    model: Generates, views: Views, names: list[str], shown: _Shown, label: str, n: int, seed: int
) -> Iterator[tuple[str, np.ndarray, tuple[float | None, float | None]]]:
    """Directions, hits a row, and their intervals."""
    for to in names:
        others = [name for name in names if name != to]
        sources = {name: [name] for name in others} | ({f"without {to}": others} if len(others) > 1 else {})
        for direction, given in sources.items():
            part = views[np.flatnonzero(np.any([views.present[name] for name in given], axis=0))]
            drawn = model.draw(part.select(*given), n, random_state=seed).get(to) if len(part) > 1 else None
            if drawn is None:  # a view without a decoder
                continue
            made = shown.labels(to, drawn.reshape(-1, *drawn.shape[2:])).reshape(len(part), n)
            hits = cross_coherence(made, part.y[label].astype(str))
            yield f"{direction}->{to}", hits, interval(hits, groups=part.things)


def _distances(
    space: Embeds, views: Views, shown: _Shown, drawn: Mapping[str, np.ndarray], seed: int
) -> Iterator[tuple[str, float, float]]:
    """Views, the distance of drawn cells from real ones, and that of two halves of these."""
    for name in (name for name in drawn if name in views.columns):
        real = views[np.flatnonzero(views.present[name])].select(name)
        true, made = space.embed(real)[name], space.embed(shown.view(name, drawn[name]))[name]
        order = np.random.default_rng(seed).permutation(len(true))
        first, second = true[order[::2]], true[order[1::2]]
        if len(second) > 1:
            yield name, frechet_distance(made, true), frechet_distance(first, second)
