"""metrics.json of a run: the model and its rivals on the rows that were held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bouba.data.views import Views
from bouba.evaluation import Result, evaluate, evaluate_predictions
from bouba.evaluation.differences import Difference, RowValues
from bouba.runs.method import Method
from bouba.runs.solved_rivals import Baselines
from bouba.runs.stages import Stages


@dataclass(frozen=True)
class Measured:
    """What came of measuring.

    Args:
        result: the numbers; None where there was no judge. differences: of the model and each rival, on the same rows.
        remarks: sentences on how they were taken, for the report.
    """

    result: Result | None
    differences: Sequence[Difference] = ()
    remarks: Sequence[str] = ()


def measure(
    method: Method,
    model: Any,
    training: Views,
    held_out: Views,
    rivals: Mapping[str, Any],
    stages: Stages,
    *,
    baseline: bool = True,
) -> Measured:
    """Retrieval, accuracies and predictions of a model and its rivals, rows of the same table.

    Args:
        training: labelled rows that probes and the simple baselines are fitted on.
        rivals: name -> fitted model that predicts what this one predicts. stages: says what is measured.
        baseline: whether simple baselines are solved, too.
    """
    seed = model.get_params(deep=False).get("random_state")
    probe = training if training.y and not model.predicts else None
    baselines = Baselines(method, model, training, seed or 0)
    solved = baselines.parts if baseline else {}
    rows = f"on {len(held_out):,} rows held out, with intervals"
    result, kept = Result([]), RowValues()
    for name in stages.each("measure", [method.name, *rivals, *solved], lambda name: f"{name} {rows}"):
        if name in rivals:
            result += evaluate_predictions(
                rivals[name], held_out, method=name, split="test", seed=seed, row_values=kept
            )
        elif name == method.name:
            fields: dict[str, Any] = {"method": name, "split": "test", "seed": seed}
            result += evaluate(model, held_out, probe=probe, row_values=kept, **fields)
        elif (one := solved[name]()) is not None:
            result += one.judged(held_out, probe, seed, kept)
    return Measured(result, kept.differences(method.name), list(dict.fromkeys(baselines.remarks)))


def best_known(result: Result) -> Result:
    """Of retrieval and of predictions the numbers that are best known, methods side by side."""
    metrics = {record.metric for record in result}
    chosen = {"recall@1", "recall@10", "median_rank", "variance_explained"} & metrics
    chosen |= {metric for metric in metrics if metric.endswith(("_accuracy", "_macro_f1", "_r2", "_mae"))}
    records = result.where(metric=chosen) if chosen else result
    place = {direction: i for i, direction in enumerate(dict.fromkeys(record.direction for record in records))}
    return Result(sorted(records, key=lambda record: (record.domain, place[record.direction])))
