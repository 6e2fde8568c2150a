"""How well do the views of held-out rows find each other, do their classes show, and are labels predicted?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any, cast

import numpy as np

from bouba.data.matching import views_for
from bouba.data.views import Column, Views, is_missing
from bouba.errors import DataError
from bouba.evaluation.class_names import class_embeddings
from bouba.evaluation.differences import RowValues
from bouba.evaluation.environment import environment
from bouba.evaluation.fingerprint import fingerprint
from bouba.evaluation.intervals import Statistic, bootstrap_weighted, interval
from bouba.evaluation.model import Embeds, Fuses, Model, PredictsLabels, Reconstructs, as_model
from bouba.evaluation.predictions import domains, evaluate_predictions
from bouba.evaluation.reconstructions import evaluate_reconstructions
from bouba.evaluation.result import Record, Result
from bouba.metrics import (
    RETRIEVAL_METRICS,
    accuracy,
    chance_level,
    gallery_recall,
    linear_probe,
    majority_chance,
    modality_gap,
    retrieval,
    zero_shot,
)
from bouba.metrics.hubs import as_gallery, as_questions

GALLERY = 1000  # things that searches of different tables are compared among


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
    row_values: RowValues | None = None,
) -> Result:
    """Retrieval in every direction, accuracy on every label column, and what is predicted, with intervals and chance.

    Args:
        model: fitted. With `embed(views)` retrieval and classes are judged; its `compared_by` may tell how its
            embeddings are compared, and in `aligns` that its views share no space, so that only the classes in each
            are. Where it predicts labels these are judged too, see `evaluate_predictions`; where it gives views back,
            see `evaluate_reconstructions`; `as_model` has the defaults of a model that is not bouba's.
        views: held-out rows, or what `bouba.read` takes. Rows with equal keys count as the same thing. Imputed cells
            are read for predictions, and are the truth of nothing: retrieval and reconstruction leave them out.
        method, split, seed: names for the records.
        probe: labelled rows whose embeddings a linear probe is fitted on; no probe without. The probe never
            sees `views`.
        labels: which label columns; all by default.
        by_domain: judge each domain apart; a gallery then holds one domain's rows only.
        templates: sentences around class names for zero-shot accuracy, {} standing for the name.
        row_values: takes recall@10 and accuracy of each row, for paired differences.

    Returns:
        Records: recall@1/5/10, precision@10, median rank, mAP, MRR for each direction "a->b"; "recall@10_of_1000", what
        it would be among so many things, see `bouba.metrics.GalleryRecall`; "modality_gap";
        "<label>_accuracy" (probe) and "<label>_zero_shot" (class names through the text tower) for each view.
        Of a model that fuses views without aligning or predicting, the probe also reads the fused vector, "all".
        Then the records of `evaluate_predictions` and `evaluate_reconstructions`. Intervals are of 95%, with
        all rows of a key drawn together, see `interval`.

    Raises:
        DataError: fewer than two rows.
    """
    views = views_for(model, views)
    probe = None if probe is None else views_for(model, probe)
    if len(views) < 2:
        raise DataError(f"evaluation needs two rows or more, got {len(views)}")
    abilities = as_model(model)
    labels = list(views.y if labels is None else labels)
    fields: dict[str, Any] = {"method": method, "split": split, "by_domain": by_domain, "seed": seed}
    kept = RowValues() if row_values is None else row_values
    result = Result([])
    if isinstance(model, Embeds):
        result += _embeddings(abilities, views.observed(), probe, labels, templates, kept, **fields)
    if abilities.predicts:
        result += evaluate_predictions(cast(PredictsLabels, model), views, labels=labels, row_values=kept, **fields)
    if abilities.reconstructs:
        result += evaluate_reconstructions(cast(Reconstructs, model), views.observed(), **fields)
    return Result(result.records, environment(seed, fingerprint(views)))


def _embeddings(
    model: Model,
    views: Views,
    probe: Views | None,
    labels: Sequence[str],
    templates: Sequence[str],
    kept: RowValues,
    *,
    by_domain: bool,
    **fields: Any,
) -> Result:
    """Retrieval and the classes in the embeddings."""
    named = _named_classes(model, views, labels, templates) if model.aligns else {}
    views, embedded = _embedded(model, views)
    probe_z: dict[str, np.ndarray] = {}
    if probe is not None and labels:
        probe, probe_z = _embedded(model, probe)
    records: list[Record] = []
    for domain, rows in domains(views, by_domain):
        part = views[rows]
        z = {name: values[rows] for name, values in embedded.items()}
        of_domain = {**fields, "domain": domain}
        if model.aligns:  # else each view has a space of its own, and directions mean nothing
            records += _directions(part, z, model, of_domain, kept)
        for label in labels:
            for name in (name for name in z if part.modalities[name] != "text"):
                truth = _Truth(part, name, label)
                if len(truth.y) < 2:
                    continue
                if name in probe_z and probe is not None and label in probe.y:
                    records += _probed(truth, z[name], probe, probe_z[name], of_domain, kept)
                if label in named:
                    classes, class_z = named[label]
                    guess = zero_shot(z[name][truth.labelled], class_z, classes, model.compared_by)
                    records.append(truth.record(of_domain, "zero_shot", guess, 1 / len(classes)))
    return Result(records)


def _embedded(model: Model, views: Views) -> tuple[Views, dict[str, np.ndarray]]:
    """Views and their embeddings; of a model that only fuses, the fused vector of each row as one more view, "all"."""
    z = {name: np.asarray(values) for name, values in model.embed(views).items()}
    if model.fuses and not model.aligns and not model.predicts:
        z["all"] = np.asarray(cast(Fuses, model).fuse(views))
        present = np.any(list(views.present.values()), axis=0)
        views = views.replace(columns={**views.columns, "all": Column.of(z["all"], "vector", present)})
    return views, z


class _Truth:
    """The labelled rows of one view in one domain."""

    def __init__(self, part: Views, view: str, label: str):
        self.view, self.label = view, label
        self.labelled = _labelled(part, view, label)
        self.y = part.y[label][self.labelled].astype(str)
        self.rows = part.rows[self.labelled]
        self.keys = part.things[self.labelled]

    def record(self, of_domain: dict[str, Any], kind: str, guess: np.ndarray, chance: float) -> Record:
        """The accuracy of a guess."""
        low, high = _interval((np.asarray(guess) == self.y).astype(float), "mean", self.keys)
        return Record(
            **of_domain,
            direction=self.view,
            metric=f"{self.label}_{kind}",
            value=accuracy(self.y, guess),
            low=low,
            high=high,
            chance=chance,
            n=len(self.y),
        )


def _labelled(views: Views, view: str, label: str) -> np.ndarray:
    return views[view].present & ~np.array([is_missing(v) for v in views.y[label]], bool)


def _probed(
    truth: _Truth, z: np.ndarray, probe: Views, probe_z: np.ndarray, of_domain: dict[str, Any], kept: RowValues
) -> list[Record]:
    """Accuracy of a linear probe fitted on the labelled rows of `probe`; nothing where it has one class only."""
    rows = _labelled(probe, truth.view, truth.label)
    train_y = probe.y[truth.label][rows].astype(str)
    if len(set(train_y)) < 2:
        return []
    guess = linear_probe(probe_z[rows], train_y, z[truth.labelled])
    record = truth.record(of_domain, "accuracy", guess, majority_chance(train_y, truth.y))
    kept.add({**of_domain, "direction": truth.view}, record.metric, truth.rows, truth.keys, guess == truth.y)
    return [record]


def _interval(
    values: np.ndarray, statistic: str, keys: np.ndarray, bounds: tuple[float, float] = (0.0, 1.0)
) -> tuple[float | None, float | None]:
    """Over keys; none where there is one key only."""
    if len(set(keys)) < 2:
        return None, None
    return interval(values, cast(Statistic, statistic), groups=keys, bounds=bounds)


def query_scores(
    part: Views, z: Mapping[str, np.ndarray], model: Model
) -> Iterator[tuple[str, str, np.ndarray, dict[str, np.ndarray]]]:
    """Of every ordered pair of views that two rows or more have: the views, the rows that have both (n,), and of each
    of these as a query what `bouba.metrics.retrieval` gives. Cells that are near to everything count less where the
    model has offsets for them."""
    offsets: Mapping[str, np.ndarray] = getattr(model, "hub_offsets", lambda z: {})(z)
    for a, b in permutations(z, 2):
        both = part[a].present & part[b].present
        if both.sum() < 2:
            continue
        key = part.things[both]
        queries, gallery, similarity = z[a][both], z[b][both], model.compared_by
        if b in offsets:
            queries, gallery, similarity = as_questions(queries), as_gallery(gallery, offsets[b][both]), "dot"
        yield a, b, both, retrieval(queries, gallery, key, key, similarity=similarity)


def _directions(
    part: Views, z: Mapping[str, np.ndarray], model: Model, of_domain: dict[str, Any], kept: RowValues
) -> list[Record]:
    """Every ordered pair of views among one domain's rows."""
    records = []
    for a, b, both, per_query in query_scores(part, z, model):
        key = part.things[both]
        chance = chance_level(key, key)
        of_pair = {**of_domain, "direction": f"{a}->{b}", "n": int(both.sum())}
        kept.add(of_pair, "recall@10", part.rows[both], key, per_query["recall@10"])
        for metric, (column, statistic) in RETRIEVAL_METRICS.items():
            bounds = (1.0, float(both.sum())) if statistic == "median" else (0.0, 1.0)
            low, high = _interval(per_query[column], statistic, key, bounds)
            value = float(getattr(np, statistic)(per_query[column]))
            records.append(Record(**of_pair, metric=metric, value=value, low=low, high=high, chance=chance[metric]))
        records += _among(per_query["rank"], key, of_pair)
        if a < b:
            gap = modality_gap(z[a][both], z[b][both])
            records.append(Record(**of_pair, metric="modality_gap", value=gap, low=None, high=None, chance=None))
    return records


def _among(rank: np.ndarray, key: np.ndarray, of_pair: dict[str, Any]) -> list[Record]:
    """What recall@10 would be among GALLERY things; nothing where too few are here to say, or one has more cells."""
    if np.unique(key, return_counts=True)[1].max() >= GALLERY:
        return []
    estimate = gallery_recall(rank, key, size=GALLERY, k=10)
    if not estimate.known:
        return []
    low, high = bootstrap_weighted(estimate, key, bounds=(0.0, 1.0))
    metric = f"recall@10_of_{GALLERY}"
    return [Record(**of_pair, metric=metric, value=estimate(), low=low, high=high, chance=estimate.chance)]


def _named_classes(
    model: Embeds, views: Views, labels: Sequence[str], templates: Sequence[str]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """label -> (class names, their embeddings as text); nothing where no view of text reads them."""
    kinds = [*views.modalities.items(), *as_model(model).kinds_.items()]  # rows may lack the texts
    text = next((name for name, kind in kinds if kind == "text"), "")
    named = {}
    for label in labels if text else ():
        classes = np.array(sorted({str(v) for v in views.y[label] if not is_missing(v)}))
        if len(classes) > 1:
            named[label] = (classes, class_embeddings(model, classes.tolist(), view=text, templates=templates))
    return named
