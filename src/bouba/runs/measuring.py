"""metrics.json of a run: the model and its rivals on the rows that were held out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bouba.data.views import Views
from bouba.evaluation import Result, evaluate, evaluate_predictions
from bouba.runs.methods import LINEAR_CCA, Method
from bouba.runs.rivals import linear_baseline
from bouba.runs.stages import Stages


def measure(
    method: Method, model: Any, training: Views, held_out: Views, rivals: Mapping[str, Any], stages: Stages
) -> Result:
    """Retrieval, accuracies and predictions of a model and its rivals, rows of the same table.

    Args:
        training: labelled rows that probes and the linear baseline are fitted on.
        rivals: name -> fitted model that predicts what this one predicts. stages: says what is measured.
    """
    seed = model.get_params(deep=False).get("random_state")
    probe = training if training.y and not model.predicts else None
    linear = LINEAR_CCA.name in method.rivals and (model.aligns or not model.predicts)
    names = [method.name, *rivals, *([LINEAR_CCA.name] if linear else [])]
    rows = f"on {len(held_out):,} rows held out, with intervals"
    result = Result([])
    for name in stages.each("measure", names, lambda name: f"{name} {rows}"):
        if name in rivals:
            result += evaluate_predictions(rivals[name], held_out, method=name, split="test", seed=seed)
        elif name == method.name:
            result += evaluate(model, held_out, method=name, split="test", probe=probe, seed=seed)
        elif (baseline := linear_baseline(model, training)) is not None:
            shared = held_out.select(*baseline.kinds_)
            result += evaluate(baseline, shared, method=name, split="test", probe=probe)
    return result


def best_known(result: Result) -> Result:
    """Of retrieval and of predictions the numbers that are best known, methods side by side."""
    metrics = {record.metric for record in result}
    chosen = {"recall@1", "recall@10", "median_rank", "variance_explained"} & metrics
    chosen |= {metric for metric in metrics if metric.endswith(("_accuracy", "_macro_f1", "_r2", "_mae"))}
    records = result.where(metric=chosen) if chosen else result
    place = {direction: i for i, direction in enumerate(dict.fromkeys(record.direction for record in records))}
    return Result(sorted(records, key=lambda record: (record.domain, place[record.direction])))
