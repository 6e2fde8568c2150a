"""metrics.json of a run: the model and its rivals on the rows that were held out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bouba.data.split import split
from bouba.data.views import Views
from bouba.errors import BoubaError
from bouba.evaluation import Record, Result, evaluate, evaluate_predictions
from bouba.evaluation.differences import Difference, RowValues
from bouba.runs.method import Method
from bouba.runs.processes import Processes
from bouba.runs.solved_rivals import Baselines
from bouba.runs.stages import Stages

HALF, SEEN = "half of the training rows", "rows of training"
MOST_SEEN = 5000  # rows of training that the model is judged on


@dataclass(frozen=True)
class Measured:
    """What came of measuring.

    Args:
        result: the numbers; None where there was no judge. differences: of the model and each rival, on the same rows.
        remarks: sentences on how they were taken, for the report.
        half: of the model and the same fitted on half of the training rows. seen: the numbers of the model on rows of
            training, as many as were held out.
    """

    result: Result | None
    differences: Sequence[Difference] = ()
    remarks: Sequence[str] = ()
    half: Sequence[Difference] = ()
    seen: Sequence[Record] = ()


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
    halved: Callable[[], Any] | None = None,
    processes: Processes | None = None,
) -> Measured | None:
    """Retrieval, accuracies and predictions of a model and its rivals, rows of the same table.

    Args:
        training: labelled rows that probes and the simple baselines are fitted on.
        rivals: name -> fitted model that predicts what this one predicts. stages: says what is measured.
        baseline: whether simple baselines are solved, too. embedded: the model with the embeddings of the table at
            hand, where there are some. halved: fits the same on half of the training rows, None where that takes long.
        processes: among which the model and its rivals are dealt out.

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
        own = model if embedded is None else embedded
        if name == HALF and halved is not None:
            _judge_half(halved, held_out, kept)
        elif name == SEEN:
            result = evaluate(own, _as_many(training, held_out, seed or 0), method=SEEN, **fields)
        elif name in rivals:
            result = evaluate_predictions(rivals[name], held_out, method=name, row_values=kept, **fields)
        elif name == method.name:
            result = evaluate(own, held_out, probe=probe, method=name, row_values=kept, **fields)
        elif (one := solved[name]()) is not None:
            result = one.judged(held_out, probe, seed, kept)
        return result, kept, list(baselines.remarks)

    rows = f"on {len(held_out):,} rows held out, with intervals"
    extra = {HALF: halved is not None, SEEN: len(held_out) <= MOST_SEEN} if baseline else {}
    names = [method.name, *rivals, *solved, *(name for name, wanted in extra.items() if wanted)]
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
    differences = kept.differences(method.name)
    return Measured(
        Result([record for record in result if record.method != SEEN], result.meta),
        [one for one in differences if one.rival != HALF],
        list(dict.fromkeys(remarks)),
        [one for one in differences if one.rival == HALF],
        [record for record in result if record.method == SEEN],
    )


def half_of(training: Views, seed: int) -> Views:
    """Half of the rows, things and groups whole."""
    return split(training, {"half": 0.5, "rest": 0.5}, random_state=seed)["half"]


def _judge_half(halved: Callable[[], Any], held_out: Views, kept: RowValues) -> None:
    """What single rows score by the model of half of the rows; nothing where these are too few to fit it."""
    with contextlib.suppress(BoubaError):
        evaluate(halved(), held_out, method=HALF, split="test", row_values=kept)


def _as_many(training: Views, held_out: Views, seed: int) -> Views:
    """As many rows of training as were held out, drawn at random."""
    rows = np.random.default_rng(seed).permutation(len(training))[: len(held_out)]
    return training[np.sort(rows)]


def best_known(result: Result) -> Result:
    """Of retrieval and of predictions the numbers that are best known, methods side by side."""
    metrics = {record.metric for record in result}
    chosen = {"recall@1", "recall@10", "median_rank", "variance_explained"} & metrics
    chosen |= {metric for metric in metrics if metric.endswith(("_accuracy", "_macro_f1", "_r2", "_mae"))}
    records = result.where(metric=chosen) if chosen else result
    place = {direction: i for i, direction in enumerate(dict.fromkeys(record.direction for record in records))}
    return Result(sorted(records, key=lambda record: (record.domain, place[record.direction])))
