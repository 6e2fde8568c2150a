"""metrics.json of a run: the model and its rivals on the rows that were held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bouba.data.views import Views
from bouba.evaluation import Result, evaluate, evaluate_predictions
from bouba.evaluation.differences import Difference, RowValues
from bouba.runs.method import Method
from bouba.runs.processes import Processes
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
    embedded: Any = None,
    processes: Processes | None = None,
) -> Measured | None:
    """Retrieval, accuracies and predictions of a model and its rivals, rows of the same table.

    Args:
        training: labelled rows that probes and the simple baselines are fitted on.
        rivals: name -> fitted model that predicts what this one predicts. stages: says what is measured.
        baseline: whether simple baselines are solved, too. embedded: the model with the embeddings of the table at
            hand, where there are some. processes: among which the model and its rivals are dealt out.

    Returns:
        None on a process that is not the first.
    """
    seed = model.get_params(deep=False).get("random_state")
    probe = training if training.y and not model.predicts else None
    baselines = Baselines(method, model, training, seed or 0)
    solved = baselines.parts if baseline else {}
    fields: dict[str, Any] = {"split": "test", "seed": seed}

    def judged(name: str) -> tuple[Result, RowValues, list[str]]:
        result, kept = Result([]), RowValues()
        baselines.remarks.clear()
        if name in rivals:
            result = evaluate_predictions(rivals[name], held_out, method=name, row_values=kept, **fields)
        elif name == method.name:
            own = model if embedded is None else embedded
            result = evaluate(own, held_out, probe=probe, method=name, row_values=kept, **fields)
        elif (one := solved[name]()) is not None:
            result = one.judged(held_out, probe, seed, kept)
        return result, kept, list(baselines.remarks)

    rows = f"on {len(held_out):,} rows held out, with intervals"
    names = [method.name, *rivals, *solved]
    parts = (processes or Processes()).deal(
        names, judged, lambda own: stages.each("measure", own, lambda name: f"{name} {rows}")
    )
    return None if parts is None else _joined(method, parts)


def _joined(method: Method, parts: Sequence[tuple[Result, RowValues, list[str]]]) -> Measured:
    """What came of the model and each rival, together."""
    result, kept, remarks = Result([]), RowValues(), []
    for of_one, values, sentences in parts:
        result += of_one
        for task, by_method in values.of.items():
            kept.of.setdefault(task, {}).update(by_method)
        remarks += sentences
    return Measured(result, kept.differences(method.name), list(dict.fromkeys(remarks)))


def best_known(result: Result) -> Result:
    """Of retrieval and of predictions the numbers that are best known, methods side by side."""
    metrics = {record.metric for record in result}
    chosen = {"recall@1", "recall@10", "median_rank", "variance_explained"} & metrics
    chosen |= {metric for metric in metrics if metric.endswith(("_accuracy", "_macro_f1", "_r2", "_mae"))}
    records = result.where(metric=chosen) if chosen else result
    place = {direction: i for i, direction in enumerate(dict.fromkeys(record.direction for record in records))}
    return Result(sorted(records, key=lambda record: (record.domain, place[record.direction])))
