"""metrics.json of a run: the model and its rivals on the rows that were held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bouba.data.views import Views
from bouba.evaluation import Result, evaluate, evaluate_predictions
from bouba.runs.methods import LINEAR_CCA, Method
from bouba.runs.rivals import linear_baseline


def measure(method: Method, model: Any, training: Views, held_out: Views, rivals: Mapping[str, Any]) -> Result:
    """Retrieval, accuracies and predictions of a model and its rivals, rows of the same table.

    Args:
        training: labelled rows that probes and the linear baseline are fitted on.
        rivals: name -> fitted model that predicts what this one predicts.
    """
    seed = model.get_params(deep=False).get("random_state")
    probe = training if training.y and not model.predicts else None
    result = evaluate(model, held_out, method=method.name, split="test", probe=probe, seed=seed)
    for name, rival in rivals.items():
        result += evaluate_predictions(rival, held_out, method=name, split="test", seed=seed)
    if LINEAR_CCA.name not in method.rivals or (model.predicts and not model.aligns):
        return result
    baseline = linear_baseline(model, training)
    if baseline is None:
        return result
    rows = held_out.select(*baseline.kinds_)
    return result + evaluate(baseline, rows, method=LINEAR_CCA.name, split="test", probe=probe)


def best_known(result: Result) -> Result:
    """Of retrieval and of predictions the numbers that are best known, methods side by side."""
    metrics = {record.metric for record in result}
    chosen = {"recall@1", "recall@10", "median_rank", "variance_explained"} & metrics
    chosen |= {metric for metric in metrics if metric.endswith(("_accuracy", "_macro_f1", "_r2", "_mae"))}
    records = result.where(metric=chosen) if chosen else result
    place = {direction: i for i, direction in enumerate(dict.fromkeys(record.direction for record in records))}
    return Result(sorted(records, key=lambda record: (record.domain, place[record.direction])))
