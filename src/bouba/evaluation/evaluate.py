"""How well do the views of held-out rows find each other, and do their classes show?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from bouba.data.views import Column, Views, is_missing
from bouba.errors import DataError
from bouba.evaluation.environment import environment
from bouba.evaluation.intervals import bootstrap
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
    model: Embeds,
    views: Views,
    *,
    method: str = "model",
    split: str = "test",
    probe: Views | None = None,
    labels: Sequence[str] | None = None,
    by_domain: bool = True,
    seed: int | None = None,
) -> Result:
    """Retrieval in every direction, and accuracy on every label column, each with its interval and chance.

    Args:
        model: fitted; has `embed(views)`, and may say in `compared_by` how its embeddings are compared.
        views: held-out rows. Rows with equal keys count as the same thing.
        method, split, seed: names for the records.
        probe: labelled rows whose embeddings a linear probe is fitted on; no probe without. The probe never
            sees `views`.
        labels: which label columns; all by default.
        by_domain: judge each domain apart; a gallery then holds one domain's rows only.

    Returns:
        Records: recall@1/5/10, precision@10, median rank, mAP, MRR for each direction "a->b"; "modality_gap";
        "<label>_accuracy" (probe) and "<label>_zero_shot" (class names through the text tower) for each view.
        Intervals are 95% bootstraps over keys.

    Raises:
        DataError: fewer than two rows.
    """
    if len(views) < 2:
        raise DataError(f"evaluation needs two rows or more, got {len(views)}")
    compared_by = getattr(model, "compared_by", "cosine")
    labels = list(views.y if labels is None else labels)
    embedded = dict(model.embed(views))
    probe_z = dict(model.embed(probe)) if probe is not None else {}
    names = _class_embeddings(model, views, labels)
    records: list[Record] = []
    for domain, rows in _domains(views, by_domain):
        part = views[rows]
        z = {name: values[rows] for name, values in embedded.items()}
        where: dict[str, Any] = {"method": method, "split": split, "domain": domain, "seed": seed}
        records += _directions(part, z, compared_by, where)
        for label in labels:
            for name in z:
                ok = part[name].present & ~np.array([is_missing(v) for v in part.y[label]], bool)
                if ok.sum() < 2 or part.modalities[name] == "text":
                    continue
                truth = part.y[label][ok].astype(str)
                guesses = {}
                if probe is not None and label in probe.y and name in probe_z:
                    train = probe[name].present & ~np.array([is_missing(v) for v in probe.y[label]], bool)
                    train_y = probe.y[label][train].astype(str)
                    if len(set(train_y)) > 1:
                        guessed = linear_probe(probe_z[name][train], train_y, z[name][ok])
                        guesses["accuracy"] = (guessed, majority_chance(train_y, truth))
                if label in names:
                    classes, class_z = names[label]
                    guesses["zero_shot"] = (
                        zero_shot(z[name][ok], class_z, classes, compared_by),
                        1 / len(classes),
                    )
                for kind, (guessed, chance) in guesses.items():
                    right = (np.asarray(guessed) == truth).astype(float)
                    low, high = bootstrap(right, groups=_keys(part)[ok])
                    records.append(
                        Record(
                            **where,
                            direction=name,
                            metric=f"{label}_{kind}",
                            value=accuracy(truth, guessed),
                            low=low,
                            high=high,
                            chance=chance,
                            n=int(ok.sum()),
                        )
                    )
    return Result(records, environment(seed))


def _domains(views: Views, by_domain: bool) -> list[tuple[str, np.ndarray]]:
    everything = np.arange(len(views))
    if not by_domain or views.domain is None:
        return [("all", everything)]
    names = views.domain.astype(str)
    return [(domain, rows) for domain in views.domains if len(rows := everything[names == domain]) > 1]


def _keys(views: Views) -> np.ndarray:
    """Each row's key; a row without one stands for itself."""
    if views.key is None:
        return views.rows.astype(str)
    return np.array([f"row {r}" if is_missing(k) else str(k) for k, r in zip(views.key, views.rows)])


def _directions(part: Views, z: Mapping[str, np.ndarray], compared_by: str, where: dict[str, Any]) -> list[Record]:
    """Every ordered pair of views among one domain's rows."""
    records = []
    key = _keys(part)
    for a in z:
        for b in z:
            both = part[a].present & part[b].present
            if a == b or both.sum() < 2:
                continue
            found = retrieval(z[a][both], z[b][both], key[both], key[both], similarity=compared_by)  # type: ignore[arg-type]
            chance = chance_level(key[both], key[both])
            where_to = {**where, "direction": f"{a}->{b}", "n": int(both.sum())}
            for metric, (values, statistic) in RETRIEVAL_METRICS.items():
                low, high = bootstrap(found[values], statistic, groups=key[both])  # type: ignore[arg-type]
                value = float(getattr(np, statistic)(found[values]))
                records.append(
                    Record(**where_to, metric=metric, value=value, low=low, high=high, chance=chance[metric])
                )
            if a < b:
                gap = modality_gap(z[a][both], z[b][both])
                records.append(Record(**where_to, metric="modality_gap", value=gap, low=None, high=None, chance=None))
    return records


def _class_embeddings(model, views: Views, labels: Sequence[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """label -> (class names, their embeddings), where the model reads text that can say the class names."""
    text = next((name for name, kind in views.modalities.items() if kind == "text"), "")
    out = {}
    for label in labels if text else ():
        classes = np.array(sorted({str(v) for v in views.y[label] if not is_missing(v)}))
        if len(classes) > 1:
            said = [name.replace("-", " ").replace("_", " ") for name in classes]
            out[label] = (classes, np.asarray(model.embed(Views({text: Column.of(said, "text")}))[text]))
    return out
