"""How well do the views of held-out rows find each other, do their classes show, and are labels predicted?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from bouba.data.views import Column, Views, is_missing
from bouba.errors import DataError
from bouba.evaluation.class_names import class_embeddings
from bouba.evaluation.environment import environment
from bouba.evaluation.intervals import bootstrap
from bouba.evaluation.predictions import PredictsLabels, domains, evaluate_predictions, predicts
from bouba.evaluation.reconstructions import evaluate_reconstructions
from bouba.evaluation.result import Record, Result
from bouba.metrics import (
    RETRIEVAL_METRICS,
    accuracy,
    chance_level,
    linear_probe,
    majority_chance,
    modality_gap,
    retrieval,
    zero_shot,
)


class Embeds(Protocol):
    """What is judged: anything that turns Views into embeddings in one space, ours or not."""

    def embed(self, X: Views) -> Mapping[str, np.ndarray]:
        """view -> (n, d)."""


def evaluate(
    model: Embeds | PredictsLabels,
    views: Views,
    *,
    method: str = "model",
    split: str = "test",
    probe: Views | None = None,
    labels: Sequence[str] | None = None,
    by_domain: bool = True,
    templates: Sequence[str] = ("{}",),
    seed: int | None = None,
) -> Result:
    """Retrieval in every direction, accuracy on every label column, and what is predicted, with intervals and chance.

    Args:
        model: fitted. With `embed(views)` retrieval and classes are judged; it may say in `compared_by` how its
            embeddings are compared, and in `aligns` that its views share no space, so that only the classes in each
            are. Where it predicts labels these are judged too, see `evaluate_predictions`; where it gives views back,
            see `evaluate_reconstructions`.
        views: held-out rows. Rows with equal keys count as the same thing. Imputed cells are read for predictions, and
            are the truth of nothing: retrieval and reconstruction leave them out.
        method, split, seed: names for the records.
        probe: labelled rows whose embeddings a linear probe is fitted on; no probe without. The probe never
            sees `views`.
        labels: which label columns; all by default.
        by_domain: judge each domain apart; a gallery then holds one domain's rows only.
        templates: sentences in which class names are said for zero-shot accuracy, {} standing for the name.

    Returns:
        Records: recall@1/5/10, precision@10, median rank, mAP, MRR for each direction "a->b"; "modality_gap";
        "<label>_accuracy" (probe) and "<label>_zero_shot" (class names through the text tower) for each view.
        Of a model that fuses views without aligning or predicting, the probe also reads the fused vector, "all".
        Then the records of `evaluate_predictions` and `evaluate_reconstructions`. Intervals are 95% bootstraps over
        keys.

    Raises:
        DataError: fewer than two rows.
    """
    if len(views) < 2:
        raise DataError(f"evaluation needs two rows or more, got {len(views)}")
    labels = list(views.y if labels is None else labels)
    said: dict[str, Any] = {"method": method, "split": split, "by_domain": by_domain, "seed": seed}
    result = Result([], environment(seed))
    if hasattr(model, "embed"):
        result += _embeddings(model, views.observed(), probe, labels, templates, **said)
    if predicts(model):
        result += evaluate_predictions(model, views, labels=labels, **said)  # type: ignore[arg-type]
    if hasattr(model, "explained"):
        result += evaluate_reconstructions(model, views.observed(), **said)  # type: ignore[arg-type]
    return result


def _embeddings(
    model: Any,
    views: Views,
    probe: Views | None,
    labels: Sequence[str],
    templates: Sequence[str],
    *,
    by_domain: bool,
    **said: Any,
) -> Result:
    """Retrieval and the classes in the embeddings."""
    compared_by = getattr(model, "compared_by", "cosine")
    aligned = getattr(model, "aligns", True)  # else each view has a space of its own, and directions mean nothing
    spoken = _spoken(model, views, labels, templates) if aligned else {}
    fused = not aligned and getattr(model, "fusion", None) is not None and not predicts(model)
    views, embedded = _embedded(model, views, fused)
    probe_z: dict[str, np.ndarray] = {}
    if probe is not None and labels:
        probe, probe_z = _embedded(model, probe, fused)
    records: list[Record] = []
    for domain, rows in domains(views, by_domain):
        part = views[rows]
        z = {name: values[rows] for name, values in embedded.items()}
        where = {**said, "domain": domain}
        records += _directions(part, z, compared_by, where) if aligned else []
        for label in labels:
            for name in (name for name in z if part.modalities[name] != "text"):
                truth = _Truth(part, name, label)
                if truth.ok.sum() < 2:
                    continue
                if name in probe_z and probe is not None and label in probe.y:
                    records += _probed(truth, z[name], probe, probe_z[name], where)
                if label in spoken:
                    classes, class_z = spoken[label]
                    guessed = zero_shot(z[name][truth.ok], class_z, classes, compared_by)
                    records.append(truth.record(where, "zero_shot", guessed, 1 / len(classes)))
    return Result(records)


def _embedded(model: Any, views: Views, fused: bool) -> tuple[Views, dict[str, np.ndarray]]:
    """Views and their embeddings; where asked, with the fused vector of each row as one more view, "all"."""
    z = dict(model.embed(views))
    if fused:
        z["all"] = np.asarray(model.fuse(views))
        some = np.any(list(views.present.values()), axis=0)
        views = views.replace(columns={**views.columns, "all": Column.of(z["all"], "vector", some)})
    return views, z


class _Truth:
    """The labelled rows of one view in one domain."""

    def __init__(self, part: Views, view: str, label: str):
        self.view, self.label = view, label
        self.ok = _labelled(part, view, label)
        self.y = part.y[label][self.ok].astype(str)
        self.keys = part.things[self.ok]

    def record(self, where: dict[str, Any], kind: str, guessed: np.ndarray, chance: float) -> Record:
        """The accuracy of a guess."""
        low, high = _interval((np.asarray(guessed) == self.y).astype(float), "mean", self.keys)
        metric, value = f"{self.label}_{kind}", accuracy(self.y, guessed)
        said: dict[str, Any] = {
            "direction": self.view,
            "metric": metric,
            "value": value,
            "low": low,
            "high": high,
            "chance": chance,
        }
        return Record(**where, **said, n=len(self.y))


def _labelled(views: Views, view: str, label: str) -> np.ndarray:
    return views[view].present & ~np.array([is_missing(v) for v in views.y[label]], bool)


def _probed(truth: _Truth, z: np.ndarray, probe: Views, probe_z: np.ndarray, where: dict[str, Any]) -> list[Record]:
    """Accuracy of a linear probe fitted on the labelled rows of `probe`; nothing where it has one class only."""
    rows = _labelled(probe, truth.view, truth.label)
    train_y = probe.y[truth.label][rows].astype(str)
    if len(set(train_y)) < 2:
        return []
    guessed = linear_probe(probe_z[rows], train_y, z[truth.ok])
    return [truth.record(where, "accuracy", guessed, majority_chance(train_y, truth.y))]


def _interval(values: np.ndarray, statistic: str, keys: np.ndarray) -> tuple[float | None, float | None]:
    """A bootstrap over keys; none where there is one key only."""
    return bootstrap(values, statistic, groups=keys) if len(set(keys)) > 1 else (None, None)  # type: ignore[arg-type]


def _directions(part: Views, z: Mapping[str, np.ndarray], compared_by: str, where: dict[str, Any]) -> list[Record]:
    """Every ordered pair of views among one domain's rows."""
    records = []
    key = part.things
    for a in z:
        for b in z:
            both = part[a].present & part[b].present
            if a == b or both.sum() < 2:
                continue
            found = retrieval(z[a][both], z[b][both], key[both], key[both], similarity=compared_by)  # type: ignore[arg-type]
            chance = chance_level(key[both], key[both])
            where_to = {**where, "direction": f"{a}->{b}", "n": int(both.sum())}
            for metric, (values, statistic) in RETRIEVAL_METRICS.items():
                low, high = _interval(found[values], statistic, key[both])
                value = float(getattr(np, statistic)(found[values]))
                records.append(
                    Record(**where_to, metric=metric, value=value, low=low, high=high, chance=chance[metric])
                )
            if a < b:
                gap = modality_gap(z[a][both], z[b][both])
                records.append(Record(**where_to, metric="modality_gap", value=gap, low=None, high=None, chance=None))
    return records


def _spoken(
    model, views: Views, labels: Sequence[str], templates: Sequence[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """label -> (class names, their embeddings), where the model reads text that can say the class names."""
    text = next((name for name, kind in views.modalities.items() if kind == "text"), "")
    out = {}
    for label in labels if text else ():
        classes = np.array(sorted({str(v) for v in views.y[label] if not is_missing(v)}))
        if len(classes) > 1:
            out[label] = (classes, class_embeddings(model, classes.tolist(), view=text, templates=templates))
    return out
