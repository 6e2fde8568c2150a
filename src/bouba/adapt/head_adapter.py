"""HeadAdapter: a network of the source, whose heads are solved anew for the target in closed form."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from bouba.adapt.adapted_classifier import AdaptedClassifier
from bouba.adapt.linear_heads import (
    CHOSEN_AMONG,
    MOST,
    NEEDS_POT,
    NOTHING,
    WAYS,
    Head,
    drawn,
    probabilities,
    target_head,
)
from bouba.adapt.selection import information
from bouba.batch import Batch
from bouba.data.views import Views
from bouba.errors import UsageError, nearest, require_installed
from bouba.learner.training_data import TrainingData
from bouba.terms import CORAL
from bouba.towers import EncoderSpec

log = logging.getLogger("bouba")
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
"""z (n, d) and codes (n,) of labelled source rows, z (m, d) of target rows."""


class HeadAdapter(AdaptedClassifier):
    """Classification of the source, then a new linear head for the target: Learner(Prediction() + w * CORAL()), with
    w = 0 unless it is given, and `target_head` on its embeddings.

    Towers are trained on the source as if there was no target, but for BatchNorm, which has statistics of each domain.
    Then every way of `bouba.adapt.linear_heads` to learn a linear classifier for rows of the target is solved on the
    embeddings (optimal transport, JDA, TCA, CORAL, subspaces, importance weights, standardising), in seconds; the one
    whose predictions on target rows tell most (`information`, see `rank`) is kept. No label of the target is read.

    Take it where features are good and domains differ in how they lie, with frozen encoders first (towers of
    `Packaged`, or `MLP(hidden=())` on ready vectors); DANN and the terms train the features themselves, which takes
    longer and can gain more. Where several views are read apart, each has a head of its own. Rows of the source are
    predicted by the new head too, less well than before.

    Without `target` in fit, the rows without a label are the target.

    Args:
        towers: view -> encoder; a default for each kind when None.
        by: one way, by name; None chooses without labels of the target. Ways of transport need the extra `transport`.
        weight: of CORAL in training.
        label, adapt, also, fusion, smoothing: see AdaptedClassifier.
        **training: dim, epochs, batch_size, lr, weight_decay, patience, random_state, verbose; see Learner.

    Attributes: `way_`, the one that was kept; `ways_`, way -> information, of those that were tried.

    Raises:
        UsageError: an unknown way, a hidden layer in the head. MissingExtraError: transport without its extra.

    References: those of the ways; Shi and Sha 2012 (the choice).

    >>> from bouba import MLP, Views
    >>> random = np.random.default_rng(0)
    >>> y, domain = random.integers(0, 2, 80), np.repeat(["a", "b"], 40)
    >>> x = np.column_stack([4 * y, 0 * y]) + random.normal(size=(80, 2)) + 9 * (domain == "b")[:, None]
    >>> model = HeadAdapter({"x": MLP(())}, by="standardised", epochs=2, dim=4)
    >>> model.fit(Views({"x": x}), y, domain=domain, target="b").way_
    'standardised'
    """

    saves = (*AdaptedClassifier.saves, "way_", "ways_")

    def __init__(
        self,
        towers: Mapping[str, EncoderSpec] | None = None,
        *,
        by: str | None = None,
        weight: float = 0.0,
        **training,
    ):
        super().__init__(towers, weight=weight, **training)
        self.by = by

    def _adaptation(self) -> CORAL:
        return CORAL(self.adapt)

    def _check_options(self, validation: float | Views | None) -> None:
        if self.by is not None and self.by not in WAYS:
            raise UsageError(f"no way {self.by!r} to adapt a head{nearest(self.by, WAYS)}")
        if self.by in NEEDS_POT:
            require_installed("ot", "transport")
        if self.hidden is not None:
            raise UsageError(f"a head that is solved is linear, got hidden={self.hidden}; leave hidden out")

    def _solve(self, data: TrainingData) -> None:
        """Heads for the target in place of those that were trained."""
        by_source = self._rows(data)
        if not by_source:
            log.warning("no two rows of the target and of two classes of the source to solve a head for; none was")
        ways = [self.by] if self.by is not None else [way for way in CHOSEN_AMONG if _is_possible(way)]
        heads = {way: self._heads_by(way, by_source) for way in ways if by_source}
        self.ways_ = {way: _told(each, by_source) for way, each in heads.items()}
        self.way_ = max(self.ways_, key=lambda way: self.ways_[way]) if self.ways_ else NOTHING
        for source, (weights, bias) in heads.get(self.way_, {}).items():
            self._set_head(source, weights, bias)

    def _rows(self, data: TrainingData) -> dict[str, Rows]:
        """What each head reads of rows of either domain; heads without enough of them are left out."""
        assert data.is_target is not None, "the target was hidden"
        classes = {str(name): code for code, name in enumerate(self.classes_)}
        codes = np.array([classes.get(str(value), -1) for value in data.views.y[self.label_]])
        unlabelled = data.is_target if data.is_target.any() else codes < 0
        labelled = ~unlabelled & (codes >= 0)
        found = {}
        for source, (z, present) in self._read_by_heads(data.views).items():
            rows, others = np.flatnonzero(labelled & present), np.flatnonzero(unlabelled & present)
            rows = rows[drawn(len(rows), self.random_state)]
            others = others[drawn(len(others), self.random_state)]
            if len(others) > 1 and len(np.unique(codes[rows])) > 1:
                found[source] = z[rows], codes[rows], z[others]
        return found

    def _read_by_heads(self, views: Views) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """source of a head -> z (n, dim) that it reads, and which rows have it."""
        network, sources = self._fitted(), list(self._state().heads)

        def forward(batch: Batch) -> dict[str, Any]:
            batch = network.module.fuse(network.with_every_view(batch))
            return {name: batch.z.get(name, batch.fused) for name in sources}

        anywhere: np.ndarray = np.asarray(np.any(list(views.present.values()), axis=0))
        z = network.run(views.select(*(name for name in views.columns if name in self.kinds_)), forward)
        return {name: (z[name].astype(np.float64), views.present.get(name, anywhere)) for name in sources}

    def _heads_by(self, way: str, by_source: Mapping[str, Rows]) -> dict[str, Head]:
        classes = len(self.classes_)
        return {source: target_head(way, z, y, other, classes) for source, (z, y, other) in by_source.items()}

    def _state(self) -> Any:
        """The heads of the Prediction."""
        return self.module_.state[0]

    def _set_head(self, source: str, weights: np.ndarray, bias: np.ndarray) -> None:
        import torch

        layer = self._state().heads[source][self.label_]
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weights))
            layer.bias.copy_(torch.from_numpy(bias))


def _is_possible(way: str) -> bool:
    """Whether what a way needs is installed."""
    from importlib.util import find_spec

    return way not in NEEDS_POT or find_spec("ot") is not None


def _told(heads: Mapping[str, Head], by_source: Mapping[str, Rows]) -> float:
    """How much predictions on the target tell, averaged over heads."""
    return float(np.mean([information(probabilities(head, by_source[s][2][:MOST])) for s, head in heads.items()]))
